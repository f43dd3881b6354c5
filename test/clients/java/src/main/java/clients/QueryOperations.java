package clients;

import static clients.Tap.equal;
import static clients.Tap.refused;

import com.google.gson.JsonParser;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubBadFormatException;
import com.microsoft.azure.sdk.iot.service.query.QueryClient;
import com.microsoft.azure.sdk.iot.service.query.QueryPageOptions;
import com.microsoft.azure.sdk.iot.service.query.RawQueryResponse;
import com.microsoft.azure.sdk.iot.service.query.SqlQueryBuilder;
import com.microsoft.azure.sdk.iot.service.query.SqlQueryBuilder.FromType;
import com.microsoft.azure.sdk.iot.service.query.TwinQueryResponse;
import com.microsoft.azure.sdk.iot.service.twin.Twin;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;

final class QueryOperations {
    private QueryOperations() {}

    /** After the jobs: a hundred imported devices are there to be found. */
    static void add(Tap tap, Hub hub) {
        QueryClient queries = hub.queries;

        tap.operation("query - twins of all devices, page after page as the client does it by itself", () -> {
            List<String> seen = ids(queries.queryTwins("SELECT * FROM devices"));
            equal(seen.size(), 105);
            equal(new HashSet<>(seen).size(), 105);
        });

        tap.operation("query - pages by hand, with a continuation token", () -> {
            int pages = 0;
            List<String> seen = new ArrayList<>();
            String token = null;
            do {
                QueryPageOptions page = QueryPageOptions.builder().pageSize(30).continuationToken(token).build();
                TwinQueryResponse answer = queries.queryTwins("SELECT * FROM devices", page);
                token = answer.getContinuationToken();
                int onPage = token == null ? 105 - seen.size() : 30;
                for (int i = 0; i < onPage; i++) seen.add(answer.next().getDeviceId());
                pages++;
            } while (token != null);
            equal(pages, 4);
            equal(new HashSet<>(seen).size(), 105);
        });

        tap.operation("query - where", () -> {
            equal(found(queries, "tags.only = 'this' AND properties.desired.x >= 1"), List.of("sas"));
            equal(found(queries, "tags.n IN [10, 11] OR tags.n = 97"), List.of("many-010", "many-011", "many-097"));
            equal(found(queries, "status = 'disabled' AND NOT startswith(deviceId, 'sa')"), List.of("leaf"));
            equal(found(queries, "is_defined(tags.n) AND tags.n > 97"), List.of("many-098", "many-099"));
            equal(found(queries, "capabilities.iotEdge = true"), List.of("edge"));
        });

        tap.operation("query - through the client of twins", () -> {
            Twin twin = hub.twins.query("SELECT * FROM devices WHERE deviceId = 'many-042'").next();
            equal(twin.getDeviceId(), "many-042");
            equal(twin.getTags(), Map.of("n", 42L));
        });

        tap.operation("query - twins of modules, in the client's own spelling", () -> {
            String text = SqlQueryBuilder.createSqlQuery("*", FromType.MODULES, "deviceId = 'x509'", null);
            equal(text, "select * from devices.modules where deviceId = 'x509' ");
            TwinQueryResponse answer = queries.queryTwins(text);
            equal(answer.next().getModuleId(), "m1");
            equal(answer.hasNext(), false);
        });

        tap.operation("query - a projection", () -> {
            RawQueryResponse answer = queries.queryRaw("SELECT deviceId, tags.n AS n FROM devices WHERE tags.n = 42");
            String expected = "{\"deviceId\":\"many-042\",\"n\":42}";
            equal(JsonParser.parseString(answer.next()), JsonParser.parseString(expected));
            equal(answer.hasNext(), false);
        });

        tap.operation("query - a count", () -> {
            RawQueryResponse answer = queries.queryRaw("SELECT COUNT() AS total FROM devices");
            equal(JsonParser.parseString(answer.next()), JsonParser.parseString("{\"total\":105}"));
        });

        tap.operation("query - refuses what is not in the language", () -> {
            refused(IotHubBadFormatException.class, "ArgumentInvalid", () ->
                    queries.queryTwins("SELECT * FROM nowhere"));
            refused(IotHubBadFormatException.class, "ArgumentInvalid", () ->
                    queries.queryRaw("SELECT * FROM devices WHERE"));
        });

        tap.operation("statistics - of the registry, when it is larger", () ->
                equal(hub.registry.getStatistics().getTotalDeviceCount(), 105L));
    }

    private static List<String> found(QueryClient queries, String condition) throws Exception {
        return ids(queries.queryTwins("SELECT * FROM devices WHERE " + condition)).stream().sorted().toList();
    }

    private static List<String> ids(TwinQueryResponse answer) throws Exception {
        List<String> ids = new ArrayList<>();
        while (answer.hasNext()) ids.add(answer.next().getDeviceId());
        return ids;
    }
}
