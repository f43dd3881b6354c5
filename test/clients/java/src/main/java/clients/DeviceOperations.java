package clients;

import static clients.Tap.equal;
import static clients.Tap.holds;
import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.auth.AuthenticationType;
import com.microsoft.azure.sdk.iot.service.auth.SymmetricKey;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubConflictException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubNotFoundException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubPreconditionFailedException;
import com.microsoft.azure.sdk.iot.service.registry.Device;
import com.microsoft.azure.sdk.iot.service.registry.DeviceConnectionState;
import com.microsoft.azure.sdk.iot.service.registry.DeviceStatus;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.twin.DeviceCapabilities;
import java.util.Base64;
import java.util.List;

final class DeviceOperations {
    static final String KEY_1 = key('1');
    static final String KEY_2 = key('2');
    static final String THUMBPRINT_1 = "A1".repeat(20);
    static final String THUMBPRINT_2 = "b2".repeat(20);

    private DeviceOperations() {}

    static void add(Tap tap, Hub hub) {
        RegistryClient registry = hub.registry;

        tap.operation("devices - add with symmetric keys", () -> {
            Device device = registry.addDevice(withKeys("sas"));
            equal(device.getDeviceId(), "sas");
            equal(device.getAuthenticationType(), AuthenticationType.SAS);
            equal(device.getPrimaryKey(), KEY_1);
            equal(device.getSecondaryKey(), KEY_2);
            equal(device.getStatus(), DeviceStatus.Enabled);
            equal(device.getConnectionState(), DeviceConnectionState.Disconnected);
            equal(device.getCloudToDeviceMessageCount(), 0L);
            holds(!device.getGenerationId().isEmpty() && !device.getETag().isEmpty(), "generation id or etag");
        });

        tap.operation("devices - add with the keys that the client makes", () -> {
            Device device = new Device("own-keys");
            registry.addDevice(device);
            equal(registry.getDevice("own-keys").getPrimaryKey(), device.getPrimaryKey());
            equal(registry.getDevice("own-keys").getSecondaryKey(), device.getSecondaryKey());
        });

        tap.operation("devices - add with thumbprints", () -> {
            Device device = new Device("x509", AuthenticationType.SELF_SIGNED);
            device.setThumbprint(THUMBPRINT_1, THUMBPRINT_2);
            registry.addDevice(device);
            Device made = registry.getDevice("x509");
            equal(made.getAuthenticationType(), AuthenticationType.SELF_SIGNED);
            equal(made.getPrimaryThumbprint(), THUMBPRINT_1);
            equal(made.getSecondaryThumbprint(), THUMBPRINT_2);
        });

        tap.operation("devices - add with a certificate authority", () -> {
            registry.addDevice(new Device("ca", AuthenticationType.CERTIFICATE_AUTHORITY));
            equal(registry.getDevice("ca").getAuthenticationType(), AuthenticationType.CERTIFICATE_AUTHORITY);
        });

        tap.operation("devices - add an edge device, and a child in its scope", () -> {
            Device edge = withKeys("edge");
            DeviceCapabilities capabilities = new DeviceCapabilities();
            capabilities.setIotEdge(true);
            edge.setCapabilities(capabilities);
            String scope = registry.addDevice(edge).getScope();
            holds(scope.startsWith("ms-azure-iot-edge://edge-"), "its scope is " + scope);
            Device leaf = withKeys("leaf");
            leaf.setScope(scope);
            registry.addDevice(leaf);
            Device made = registry.getDevice("leaf");
            equal(made.getScope(), scope);
            equal(made.getParentScopes(), List.of(scope));
            equal(registry.getDevice("edge").getCapabilities().isIotEdge(), true);
        });

        tap.operation("devices - an id with the special characters that the client can send", () -> {
            // It puts ids into addresses as they are: one with # ? or % does not arrive as it was meant.
            String id = "odd-:.+_*!(),=@;$'";
            registry.addDevice(withKeys(id));
            equal(registry.getDevice(id).getDeviceId(), id);
            equal(hub.twins.get(id).getDeviceId(), id);
            registry.removeDevice(id);
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> registry.getDevice(id));
        });

        tap.operation("devices - add refuses an id that exists", () ->
                refused(IotHubConflictException.class, "DeviceAlreadyExists", () ->
                        registry.addDevice(withKeys("sas"))));

        tap.operation("devices - add refuses a key that is no base64", () -> {
            Device device = withKeys("bad");
            device.getSymmetricKey().setPrimaryKey("not base64!");
            refused(IotHubBadFormatException.class, "ArgumentInvalid", () -> registry.addDevice(device));
        });

        tap.operation("devices - get", () -> {
            Device device = registry.getDevice("sas");
            equal(device.getPrimaryKey(), KEY_1);
            equal(device.getStatusReason(), null);
            holds(device.getLastActivityTime() != null, "there is no time of the last activity");
        });

        tap.operation("devices - get refuses an id that does not exist", () ->
                refused(IotHubNotFoundException.class, "DeviceNotFound", () -> registry.getDevice("nobody")));

        tap.operation("devices - update", () -> {
            Device device = registry.getDevice("sas");
            String etag = device.getETag();
            device.setStatus(DeviceStatus.Disabled);
            device.getSymmetricKey().setPrimaryKey(KEY_2);
            registry.updateDevice(device);
            Device changed = registry.getDevice("sas");
            equal(changed.getStatus(), DeviceStatus.Disabled);
            equal(changed.getPrimaryKey(), KEY_2);
            equal(changed.getGenerationId(), device.getGenerationId());
            holds(!changed.getETag().equals(etag), "the etag did not change");
        });

        tap.operation("devices - update a device in a scope, as it was read", () -> {
            Device leaf = registry.getDevice("leaf");
            leaf.setStatus(DeviceStatus.Disabled);
            registry.updateDevice(leaf);
            equal(registry.getDevice("leaf").getStatus(), DeviceStatus.Disabled);
            equal(registry.getDevice("leaf").getScope(), leaf.getScope());
            Device edge = registry.getDevice("edge");
            registry.updateDevice(edge);
            equal(registry.getDevice("edge").getScope(), edge.getScope());
        });

        tap.operation("devices - update to another kind of authentication", () -> {
            Device device = new Device("own-keys", AuthenticationType.SELF_SIGNED);
            device.setThumbprint(THUMBPRINT_2, THUMBPRINT_1);
            registry.updateDevice(device);
            equal(registry.getDevice("own-keys").getPrimaryThumbprint(), THUMBPRINT_2);
            registry.updateDevice(new Device("own-keys", AuthenticationType.CERTIFICATE_AUTHORITY));
            equal(registry.getDevice("own-keys").getAuthenticationType(), AuthenticationType.CERTIFICATE_AUTHORITY);
        });

        tap.operation("devices - update refuses an id that does not exist", () ->
                refused(IotHubNotFoundException.class, "DeviceNotFound", () ->
                        registry.updateDevice(withKeys("nobody"))));

        tap.operation("devices - remove refuses an etag that is old, and takes the one that was read", () -> {
            Device old = registry.getDevice("own-keys");
            registry.updateDevice(new Device("own-keys", AuthenticationType.CERTIFICATE_AUTHORITY));
            refused(IotHubPreconditionFailedException.class, "PreconditionFailed", () -> registry.removeDevice(old));
            registry.removeDevice(registry.getDevice("own-keys"));
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> registry.getDevice("own-keys"));
        });

        tap.operation("devices - remove whatever the etag, and refuse an id that does not exist", () -> {
            registry.addDevice(withKeys("short"));
            registry.removeDevice("short");
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> registry.removeDevice("short"));
        });

        tap.operation("statistics - of the registry", () -> {
            equal(registry.getStatistics().getTotalDeviceCount(), 5L);
            equal(registry.getStatistics().getDisabledDeviceCount(), 2L);
            // The client looks for `enableDeviceCount`, which the service does not send.
            equal(registry.getStatistics().getEnabledDeviceCount(), 0L);
        });
    }

    static Device withKeys(String id) {
        Device device = new Device(id);
        device.setSymmetricKey(keys());
        return device;
    }

    static SymmetricKey keys() {
        SymmetricKey keys = new SymmetricKey();
        keys.setPrimaryKey(KEY_1);
        keys.setSecondaryKey(KEY_2);
        return keys;
    }

    private static String key(char digit) {
        return Base64.getEncoder().encodeToString(String.valueOf(digit).repeat(32).getBytes());
    }
}
