package clients;

import static clients.Tap.equal;
import static clients.Tap.holds;
import static clients.Tap.refused;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubNotFoundException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubTooManyDevicesException;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.registry.RegistryJob;
import com.microsoft.azure.sdk.iot.service.registry.RegistryJob.JobStatus;
import com.microsoft.azure.sdk.iot.service.registry.RegistryJob.JobType;
import com.microsoft.azure.sdk.iot.service.registry.StorageAuthenticationType;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

final class JobOperations {
    private JobOperations() {}

    static void add(Tap tap, Hub hub, Hub slow, String input, String output) {
        RegistryClient registry = hub.registry;

        tap.operation("jobs - export", () -> {
            RegistryJob job = registry.exportDevices(output, false);
            equal(job.getType(), JobType.EXPORT);
            holds(!job.getJobId().isEmpty(), "the job has no id");
            RegistryJob done = finished(registry, job.getJobId());
            equal(done.getStatus(), JobStatus.COMPLETED);
            equal(done.getProgress(), 100);
            equal(done.getFailureReason(), null);
            holds(!done.getEndTimeUtc().before(done.getStartTimeUtc()), "it ended before it began");
            Map<String, JsonObject> lines = exported(Blobs.read(output, "devices.txt"));
            holds(lines.keySet().containsAll(List.of("sas", "x509", "ca", "edge", "leaf", "x509/m1")),
                    "exported were " + lines.keySet());
            JsonObject keys = lines.get("sas").getAsJsonObject("authentication").getAsJsonObject("symmetricKey");
            equal(keys.get("primaryKey").getAsString(), registry.getDevice("sas").getPrimaryKey());
            equal(lines.get("sas").getAsJsonObject("tags").get("only").getAsString(), "this");
        });

        tap.operation("jobs - export without keys, in the long form", () -> {
            RegistryJob wanted = RegistryJob.createForExportJob(output, true, StorageAuthenticationType.KEY);
            RegistryJob job = registry.exportDevices(wanted);
            equal(job.getStorageAuthenticationType(), StorageAuthenticationType.KEY);
            equal(finished(registry, job.getJobId()).getExcludeKeysInExport(), true);
            String text = Blobs.read(output, "devices.txt");
            holds(!text.contains(registry.getDevice("sas").getPrimaryKey()), "there is a key in the blob");
            equal(exported(text).get("sas").get("authentication").isJsonNull(), true);
        });

        tap.operation("jobs - import, with an error log", () -> {
            Blobs.write(input, "devices.txt", String.join("\r\n",
                    "{\"id\":\"imported\",\"status\":\"enabled\",\"importMode\":\"create\",\"tags\":{\"by\":\"job\"}}",
                    "{\"id\":\"x509\",\"status\":\"enabled\",\"importMode\":\"create\"}",
                    "{\"id\":\"ca\",\"status\":\"enabled\",\"importMode\":\"delete\"}"));
            RegistryJob job = registry.importDevices(input, output);
            equal(job.getType(), JobType.IMPORT);
            equal(finished(registry, job.getJobId()).getStatus(), JobStatus.COMPLETED);
            equal(hub.twins.get("imported").getTags(), Map.of("by", "job"));
            refused(IotHubNotFoundException.class, "DeviceNotFound", () -> registry.getDevice("ca"));
            List<String> log = Blobs.read(output, "importErrors.log").lines().filter(line -> !line.isBlank()).toList();
            equal(log.size(), 1);
            JsonObject entry = JsonParser.parseString(log.get(0)).getAsJsonObject();
            equal(entry.get("deviceId").getAsString(), "x509");
            equal(entry.get("errorCode").getAsInt(), 409001);
        });

        tap.operation("jobs - import a hundred devices, in the long form", () -> {
            StringBuilder lines = new StringBuilder();
            for (int i = 0; i < 100; i++) {
                String line = "{\"id\":\"many-%03d\",\"status\":\"enabled\",\"tags\":{\"n\":%d}}\n";
                lines.append(String.format(line, i, i));
            }
            Blobs.write(input, "devices.txt", lines.toString());
            RegistryJob wanted = RegistryJob.createForImportJob(input, output, StorageAuthenticationType.KEY);
            RegistryJob job = registry.importDevices(wanted);
            equal(finished(registry, job.getJobId()).getStatus(), JobStatus.COMPLETED);
            equal(hub.twins.get("many-042").getTags(), Map.of("n", 42L));
            equal(Blobs.read(output, "importErrors.log"), "");
        });

        tap.operation("jobs - refuse a container without a signature, and identities that the hub has not", () -> {
            String unsigned = output.substring(0, output.indexOf('?'));
            refused(IotHubBadFormatException.class, "BlobContainerValidationError", () ->
                    registry.exportDevices(unsigned, false));
            RegistryJob identity = RegistryJob.createForExportJob(unsigned, false, StorageAuthenticationType.IDENTITY);
            refused(IotHubBadFormatException.class, "ManagedIdentityNotEnabled", () ->
                    registry.exportDevices(identity));
        });

        tap.operation("jobs - refuse an id that does not exist", () ->
                refused(IotHubNotFoundException.class, "JobNotFound", () -> registry.getJob("nothing")));

        tap.operation("jobs - refuse a second one, which the client takes for too many devices", () -> {
            RegistryJob job = slow.registry.exportDevices(output, false);
            equal(slow.registry.getJob(job.getJobId()).getStatus(), JobStatus.ENQUEUED);
            refused(IotHubTooManyDevicesException.class, "JobQuotaExceeded", () ->
                    slow.registry.exportDevices(output, false));
        });
    }

    /** Waits for the end of a job. */
    private static RegistryJob finished(RegistryClient registry, String jobId) throws Exception {
        for (int i = 0; i < 300; i++) {
            RegistryJob job = registry.getJob(jobId);
            if (job.getStatus() != JobStatus.ENQUEUED && job.getStatus() != JobStatus.RUNNING) return job;
            Thread.sleep(50);
        }
        throw new AssertionError("the job did not end within 15 seconds");
    }

    /** The lines of an exported blob by `device` or `device/module`. */
    private static Map<String, JsonObject> exported(String text) {
        Map<String, JsonObject> lines = new HashMap<>();
        text.lines().filter(line -> line.startsWith("{")).forEach(line -> {
            JsonObject one = JsonParser.parseString(line).getAsJsonObject();
            String id = one.get("id").getAsString();
            lines.put(one.has("moduleId") ? id + "/" + one.get("moduleId").getAsString() : id, one);
        });
        return lines;
    }
}
