package clients;

import static clients.DeviceOperations.KEY_1;
import static clients.DeviceOperations.KEY_2;
import static clients.DeviceOperations.THUMBPRINT_1;
import static clients.DeviceOperations.keys;
import static clients.Tap.equal;
import static clients.Tap.holds;
import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.auth.AuthenticationType;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubConflictException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubNotFoundException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubPreconditionFailedException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubUnauthorizedException;
import com.microsoft.azure.sdk.iot.service.registry.Module;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import java.util.List;

final class ModuleOperations {
    private ModuleOperations() {}

    static void add(Tap tap, Hub hub) {
        RegistryClient registry = hub.registry;

        tap.operation("modules - add with symmetric keys", () -> {
            registry.addModule(withKeys("x509", "m1"));
            Module made = registry.getModule("x509", "m1");
            equal(made.getDeviceId() + "/" + made.getId(), "x509/m1");
            equal(made.getPrimaryKey(), KEY_1);
            equal(made.getManagedBy(), "");
            holds(!made.getGenerationId().isEmpty() && !made.getETag().isEmpty(), "generation id or etag");
        });

        tap.operation("modules - add with thumbprints", () -> {
            Module module = new Module("x509", "m2", AuthenticationType.SELF_SIGNED);
            module.setThumbprint(THUMBPRINT_1, THUMBPRINT_1);
            registry.addModule(module);
            equal(registry.getModule("x509", "m2").getPrimaryThumbprint(), THUMBPRINT_1);
        });

        tap.operation("modules - add with a certificate authority", () -> {
            registry.addModule(new Module("x509", "m3", AuthenticationType.CERTIFICATE_AUTHORITY));
            equal(registry.getModule("x509", "m3").getAuthenticationType(), AuthenticationType.CERTIFICATE_AUTHORITY);
        });

        tap.operation("modules - add refuses an id that exists, and a device that does not", () -> {
            refused(IotHubConflictException.class, "ModuleAlreadyExistsOnDevice", () ->
                    registry.addModule(withKeys("x509", "m1")));
            // As seen on real hubs under a shared access signature.
            refused(IotHubUnauthorizedException.class, "IotHubUnauthorizedAccess", () ->
                    registry.addModule(withKeys("nobody", "m1")));
        });

        tap.operation("modules - list", () -> {
            equal(ids(registry.getModulesOnDevice("x509")), List.of("m1", "m2", "m3"));
            equal(ids(registry.getModulesOnDevice("ca")), List.of());
        });

        tap.operation("modules - an edge device has its system modules", () -> {
            equal(ids(registry.getModulesOnDevice("edge")), List.of("$edgeAgent", "$edgeHub"));
            Module agent = registry.getModule("edge", "$edgeAgent");
            equal(agent.getManagedBy(), "iotEdge");
            // The client has no word for `none`.
            equal(agent.getAuthenticationType(), null);
        });

        tap.operation("modules - update", () -> {
            Module module = registry.getModule("x509", "m1");
            String etag = module.getETag();
            module.getSymmetricKey().setPrimaryKey(KEY_2);
            registry.updateModule(module);
            equal(registry.getModule("x509", "m1").getPrimaryKey(), KEY_2);
            holds(!registry.getModule("x509", "m1").getETag().equals(etag), "the etag did not change");
            refused(IotHubNotFoundException.class, "ModuleNotFound", () ->
                    registry.updateModule(withKeys("x509", "nobody")));
        });

        tap.operation("modules - remove, and refuse an old etag", () -> {
            Module old = registry.getModule("x509", "m2");
            registry.updateModule(withKeys("x509", "m2"));
            refused(IotHubPreconditionFailedException.class, "PreconditionFailed", () -> registry.removeModule(old));
            registry.removeModule(registry.getModule("x509", "m2"));
            registry.removeModule("x509", "m3");
            refused(IotHubNotFoundException.class, "ModuleNotFound", () -> registry.getModule("x509", "m2"));
            equal(ids(registry.getModulesOnDevice("x509")), List.of("m1"));
        });
    }

    private static Module withKeys(String deviceId, String moduleId) {
        Module module = new Module(deviceId, moduleId);
        module.setSymmetricKey(keys());
        return module;
    }

    private static List<String> ids(List<Module> modules) {
        return modules.stream().map(Module::getId).sorted().toList();
    }
}
