package clients;

import static clients.Tap.equal;
import static clients.Tap.holds;
import static clients.Tap.refused;

import com.microsoft.azure.sdk.iot.service.configurations.Configuration;
import com.microsoft.azure.sdk.iot.service.configurations.ConfigurationContent;
import com.microsoft.azure.sdk.iot.service.configurations.ConfigurationsClient;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubConflictException;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubNotFoundException;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

final class ConfigurationOperations {
    private ConfigurationOperations() {}

    static void add(Tap tap, Hub hub) {
        ConfigurationsClient configurations = hub.configurations;

        tap.operation("configurations - create and get", () -> {
            Configuration configuration = heating("heating");
            String warm = "SELECT deviceId FROM devices WHERE tags.warm = true";
            configuration.getMetrics().setQueries(Map.of("warm", warm));
            equal(configurations.create(configuration).getId(), "heating");
            Configuration read = configurations.get("heating");
            equal(read.getSchemaVersion(), "1.0");
            equal(read.getPriority(), 10);
            equal(read.getTargetCondition(), "tags.only = 'this'");
            equal(read.getLabels(), Map.of("owner", "me"));
            equal(read.getContent().getDeviceContent(), Map.of("properties.desired.heating", Map.of("target", 21L)));
            equal(read.getMetrics().getQueries().keySet().toString(), "[warm]");
            holds(read.getSystemMetrics().getQueries().containsKey("targetedCount"), "there are no system metrics");
            holds(!read.getEtag().isEmpty() && read.getCreatedTimeUtc().startsWith("2"), "etag or time");
        });

        tap.operation("configurations - act on the twins that they target", () -> {
            until(() -> Map.of("target", 21L).equals(hub.twins.get("sas").getDesiredProperties().get("heating")));
            equal(hub.twins.get("sas").getDesiredProperties().get("x"), 1L);
            equal(hub.twins.get("x509").getDesiredProperties().containsKey("heating"), false);
        });

        tap.operation("configurations - create refuses an id that exists, and a bad condition", () -> {
            refused(IotHubConflictException.class, "ConfigurationAlreadyExists", () ->
                    configurations.create(heating("heating")));
            Configuration bad = heating("bad");
            bad.setTargetCondition("tags.only ~ 1");
            refused(IotHubBadFormatException.class, "InvalidConfigurationTargetCondition", () ->
                    configurations.create(bad));
        });

        tap.operation("configurations - replace what was read", () -> {
            Configuration read = configurations.get("heating");
            read.setPriority(20);
            read.setLabels(new HashMap<>(Map.of("owner", "you")));
            configurations.replace(read);
            Configuration after = configurations.get("heating");
            equal(after.getPriority(), 20);
            equal(after.getLabels(), Map.of("owner", "you"));
            equal(after.getCreatedTimeUtc(), read.getCreatedTimeUtc());
            refused(IotHubNotFoundException.class, "ConfigurationNotFound", () ->
                    configurations.replace(heating("nothing")));
        });

        tap.operation("configurations - replace keeps the old content", () -> {
            Configuration changed = heating("heating");
            changed.getContent().setDeviceContent(Map.of("properties.desired.heating", Map.of("target", 5)));
            configurations.replace(changed);
            Map<String, Object> content = configurations.get("heating").getContent().getDeviceContent();
            equal(content.get("properties.desired.heating"), Map.of("target", 21L));
        });

        tap.operation("configurations - create an edge deployment, which reaches its modules", () -> {
            Twin edge = new Twin("edge");
            edge.getTags().put("line", 7);
            hub.twins.patch(edge);
            Configuration deployment = new Configuration("deployment");
            deployment.setTargetCondition("tags.line = 7");
            deployment.setPriority(1);
            deployment.setContent(modules(Map.of()));
            configurations.create(deployment);
            Map<String, Map<String, Object>> made = configurations.get("deployment").getContent().getModulesContent();
            equal(made.keySet().stream().sorted().toList(), List.of("$edgeAgent", "$edgeHub"));
            until(() -> hub.twins.get("edge", "$edgeAgent").getDesiredProperties().containsKey("runtime"));
        });

        tap.operation("configurations - list", () -> {
            List<Configuration> all = configurations.get(20);
            equal(all.stream().map(Configuration::getId).sorted().toList(), List.of("deployment", "heating"));
        });

        tap.operation("configurations - delete", () -> {
            configurations.delete("heating");
            refused(IotHubNotFoundException.class, "ConfigurationNotFound", () -> configurations.get("heating"));
        });

        tap.operation("configurations - delete with the etag, in quotes", () -> {
            Configuration read = configurations.get("deployment");
            read.setEtag("\"" + read.getEtag() + "\"");
            configurations.delete(read);
            equal(configurations.get(20).size(), 0);
        });

        tap.operation("configurations - apply content on an edge device", () -> {
            Map<String, Object> thermo = Map.of("properties.desired", Map.of("unit", "C"));
            configurations.applyConfigurationContentOnDevice("edge", modules(Map.of("thermo", thermo)));
            equal(hub.twins.get("edge", "thermo").getDesiredProperties().get("unit"), "C");
            refused(IotHubBadFormatException.class, "ArgumentInvalid", () ->
                    configurations.applyConfigurationContentOnDevice("x509", modules(Map.of())));
            refused(IotHubNotFoundException.class, "DeviceNotFound", () ->
                    configurations.applyConfigurationContentOnDevice("nobody", modules(Map.of())));
        });
    }

    private static Configuration heating(String id) {
        Configuration configuration = new Configuration(id);
        ConfigurationContent content = new ConfigurationContent();
        content.setDeviceContent(Map.of("properties.desired.heating", Map.of("target", 21)));
        configuration.setContent(content);
        configuration.setTargetCondition("tags.only = 'this'");
        configuration.setPriority(10);
        configuration.setLabels(new HashMap<>(Map.of("owner", "me")));
        return configuration;
    }

    /** What the two system modules must have, and more. */
    private static ConfigurationContent modules(Map<String, Map<String, Object>> more) {
        Map<String, Object> agent = Map.of(
                "properties.desired",
                Map.of("schemaVersion", "1.1", "runtime", Map.of("type", "docker"), "modules", Map.of()));
        Map<String, Object> edgeHub = Map.of("properties.desired", Map.of("schemaVersion", "1.1", "routes", Map.of()));
        Map<String, Map<String, Object>> all = new HashMap<>(more);
        all.put("$edgeAgent", agent);
        all.put("$edgeHub", edgeHub);
        ConfigurationContent content = new ConfigurationContent();
        content.setModulesContent(all);
        return content;
    }

    /** Waits until the check holds: configurations act when they like. */
    private static void until(Callable<Boolean> check) throws Exception {
        for (int i = 0; i < 200; i++) {
            if (check.call()) return;
            Thread.sleep(50);
        }
        throw new AssertionError("it did not happen within 10 seconds");
    }
}
