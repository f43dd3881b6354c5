package clients;

/**
 * What the service client of Microsoft for Java does with a simulated hub: one operation after the other, each checked
 * by what can be read back. `npm run test:clients` starts the hub, sets the environment and reads the output.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) {
        Hub hub = new Hub(variable("HUB_CONNECTION_STRING"));
        Hub slow = new Hub(variable("SLOW_HUB_CONNECTION_STRING"));
        Tap tap = new Tap();
        DeviceOperations.add(tap, hub);
        ModuleOperations.add(tap, hub);
        TwinOperations.add(tap, hub);
        ConfigurationOperations.add(tap, hub);
        JobOperations.add(tap, hub, slow, variable("INPUT_CONTAINER_URI"), variable("OUTPUT_CONTAINER_URI"));
        QueryOperations.add(tap, hub);
        AccessOperations.add(tap, Main::variable);
        FaultOperations.add(tap, hub, variable("HUB_ADMIN_URL"));
        LeftOutOperations.add(tap, hub);
        System.exit(tap.runAll() == 0 ? 0 : 1);
    }

    private static String variable(String name) {
        String value = System.getenv(name);
        if (value == null) throw new IllegalStateException(name + " is not set");
        return value;
    }
}
