package clients;

import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import java.util.Date;

final class LeftOutOperations {
    private LeftOutOperations() {}

    static void add(Tap tap, Hub hub) {
        tap.operation("left out - scheduled jobs and direct methods are refused as the client understands it", () -> {
            Twin change = new Twin();
            change.getTags().put("a", 1);
            refused(IotHubBadFormatException.class, "InvalidOperation", () ->
                    hub.scheduledJobs.scheduleUpdateTwin("later", "*", change, new Date(), 60));
            refused(IotHubBadFormatException.class, "InvalidOperation", () -> hub.methods.invoke("sas", "reboot"));
        });
    }
}
