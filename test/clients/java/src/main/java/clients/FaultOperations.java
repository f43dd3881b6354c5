package clients;

import static clients.DeviceOperations.withKeys;
import static clients.Tap.equal;
import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.exceptions.IotHubConflictException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubServerBusyException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubTooManyRequestsException;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;

final class FaultOperations {
    private FaultOperations() {}

    static void add(Tap tap, Hub hub, String adminUrl) {
        RegistryClient registry = hub.registry;
        Admin admin = new Admin(adminUrl);

        tap.operation("faults - a 503 and a 429 are not repeated by the client", () -> {
            admin.addFault("{\"kind\":\"status\",\"status\":503,\"route\":\"GET /devices/{id}\"}");
            refused(IotHubServerBusyException.class, "ServiceUnavailable", () -> registry.getDevice("sas"));
            admin.addFault("{\"kind\":\"status\",\"status\":429,\"route\":\"GET /devices/{id}\"}");
            refused(IotHubTooManyRequestsException.class, "ThrottlingBacklogTimeout", () -> registry.getDevice("sas"));
        });

        tap.operation("faults - a create whose reply is lost is repeated by Java, and so refused", () -> {
            admin.addFault("{\"kind\":\"loseReply\",\"route\":\"PUT /devices/{id}\"}");
            refused(IotHubConflictException.class, "DeviceAlreadyExists", () -> registry.addDevice(withKeys("twice")));
            equal(registry.getDevice("twice").getDeviceId(), "twice");
        });
    }
}
