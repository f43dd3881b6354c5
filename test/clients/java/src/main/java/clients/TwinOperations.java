package clients;

import static clients.Tap.equal;
import static clients.Tap.holds;
import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubNotFoundException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubPreconditionFailedException;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import com.microsoft.azure.sdk.iot.service.twin.TwinClient;
import com.microsoft.azure.sdk.iot.service.twin.TwinStatus;
import java.util.List;
import java.util.Map;

final class TwinOperations {
    private TwinOperations() {}

    static void add(Tap tap, Hub hub) {
        TwinClient twins = hub.twins;

        tap.operation("twins - get", () -> {
            Twin twin = twins.get("sas");
            equal(twin.getDeviceId(), "sas");
            equal(twin.getStatus(), TwinStatus.DISABLED);
            equal(twin.getConnectionState(), "DISCONNECTED");
            equal(twin.getTags().size() + twin.getDesiredProperties().size(), 0);
            equal(twin.getDesiredProperties().getVersion(), 1);
            equal(twin.getReportedProperties().getVersion(), 1);
            equal(twin.getCapabilities().isIotEdge(), false);
            // The client looks for `statusUpdatedTime`; in a twin it is `statusUpdateTime`.
            equal(twin.getStatusUpdateTime(), null);
            holds(twin.getVersion() >= 1 && !twin.getETag().isEmpty(), "version or etag");
        });

        tap.operation("twins - patch merges, and null deletes", () -> {
            Twin first = new Twin("sas");
            first.getTags().put("site", Map.of("city", "Bonn", "floor", 2));
            first.getTags().put("old", true);
            first.getDesiredProperties().put("rate", 1.5);
            first.getDesiredProperties().put("deep", Map.of("a", List.of(1, "two"), "b", "ü€😀"));
            twins.patch(first);
            Twin second = new Twin("sas");
            second.getTags().put("site", Map.of("floor", 3));
            second.getTags().put("old", null);
            twins.patch(second);
            Twin twin = twins.get("sas");
            equal(twin.getTags(), Map.of("site", Map.of("city", "Bonn", "floor", 3L)));
            equal(twin.getDesiredProperties().get("rate"), 1.5);
            equal(twin.getDesiredProperties().get("deep"), Map.of("a", List.of(1L, "two"), "b", "ü€😀"));
            holds(twin.getDesiredProperties().getTwinMetadata("rate").getLastUpdated() != null, "no metadata");
        });

        tap.operation("twins - patch with the etag in quotes, and refuse an old one", () -> {
            String etag = "\"" + twins.get("sas").getETag() + "\"";
            Twin change = new Twin("sas");
            change.getTags().put("n", 1);
            twins.patch(change, etag);
            equal(twins.get("sas").getTags().get("n"), 1L);
            refused(IotHubPreconditionFailedException.class, "PreconditionFailed", () -> twins.patch(change, etag));
        });

        tap.operation("twins - replace", () -> {
            Twin twin = new Twin("sas");
            twin.getTags().put("only", "this");
            twin.getDesiredProperties().put("x", 1);
            Twin answer = twins.replace(twin);
            equal(answer.getTags(), Map.of("only", "this"));
            equal(twins.get("sas").getTags(), Map.of("only", "this"));
            equal(twins.get("sas").getDesiredProperties(), Map.of("x", 1L));
            String stale = "\"AAAAAAAAAAA=\"";
            refused(IotHubPreconditionFailedException.class, "PreconditionFailed", () -> twins.replace(twin, stale));
        });

        tap.operation("twins - read, changed and replaced as it is", () -> {
            Twin twin = twins.get("sas");
            twin.getDesiredProperties().put("y", 2);
            twins.replace(twin, "*");
            equal(twins.get("sas").getDesiredProperties(), Map.of("x", 1L, "y", 2L));
            equal(twins.get("sas").getTags(), Map.of("only", "this"));
        });

        tap.operation("twins - refuse a device that does not exist, and keys that are not allowed", () -> {
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> twins.get("nobody"));
            Twin change = new Twin("sas");
            change.getTags().put("a.b", 1);
            refused(IotHubBadFormatException.class, "ArgumentInvalid", () -> twins.patch(change));
        });

        tap.operation("module twins - get, patch and replace", () -> {
            equal(twins.get("x509", "m1").getModuleId(), "m1");
            equal(twins.get("x509", "m1").getTags().size(), 0);
            Twin change = new Twin("x509", "m1");
            change.getTags().put("a", 1);
            change.getDesiredProperties().put("b", "two");
            twins.patch(change);
            equal(twins.get("x509", "m1").getTags(), Map.of("a", 1L));
            Twin other = new Twin("x509", "m1");
            other.getDesiredProperties().put("c", 3);
            twins.replace(other);
            equal(twins.get("x509", "m1").getTags().size(), 0);
            equal(twins.get("x509", "m1").getDesiredProperties(), Map.of("c", 3L));
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> twins.get("x509", "nobody"));
        });
    }
}
