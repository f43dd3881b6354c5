package clients;

import com.microsoft.azure.sdk.iot.service.exceptions.IotHubException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** Operations, run in the order in which they were added; one line of output for each. */
final class Tap {
    /** Anything that may fail. */
    interface Step {
        void run() throws Exception;
    }

    private final Map<String, Step> operations = new LinkedHashMap<>();

    void operation(String name, Step step) {
        if (operations.put(name, step) != null) throw new IllegalStateException("two operations " + name);
    }

    /** Runs all operations; a failed one does not stop the rest. Returns how many failed. */
    int runAll() {
        int failed = 0;
        System.out.println("1.." + operations.size());
        for (Map.Entry<String, Step> operation : operations.entrySet()) {
            try {
                operation.getValue().run();
                System.out.println("ok " + operation.getKey());
            } catch (Exception | AssertionError error) {
                failed++;
                String why = (error.getClass().getSimpleName() + ": " + error.getMessage()).replaceAll("\\s+", " ");
                System.out.println("not ok " + operation.getKey() + ": " + why + where(error));
            }
        }
        return failed;
    }

    private static String where(Throwable error) {
        for (StackTraceElement frame : error.getStackTrace()) {
            if (frame.getFileName() != null && frame.getFileName().endsWith("Operations.java")) {
                return " (" + frame.getFileName() + " line " + frame.getLineNumber() + ")";
            }
        }
        return "";
    }

    static void equal(Object actual, Object expected) {
        if (!Objects.equals(actual, expected)) throw new AssertionError(actual + " instead of " + expected);
    }

    static void holds(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    /**
     * Fails unless the call is refused with this exception and this name: in the text of one of the service's two
     * envelopes, as the description of the number in the other. (The client does not hand out the header that names
     * errors.)
     */
    static void refused(Class<? extends IotHubException> kind, String code, Step call) throws Exception {
        try {
            call.run();
        } catch (IotHubException error) {
            equal(error.getClass().getSimpleName(), kind.getSimpleName());
            String message = String.valueOf(error.getMessage());
            boolean told = message.startsWith("ErrorCode:" + code + ";");
            holds(told || error.getErrorCodeDescription().name().equals(code), "the message is " + message);
            return;
        }
        throw new AssertionError("it was not refused");
    }
}
