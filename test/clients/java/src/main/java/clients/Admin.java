package clients;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** What the admin API of the simulator is needed for: faults. */
final class Admin {
    private final URI faults;

    /** @param hubUrl the address of the hub in the admin API */
    Admin(String hubUrl) {
        faults = URI.create(hubUrl + "/faults");
    }

    /** Lets the next request that fits fail; the rule is the simulator's own, as JSON. */
    void addFault(String rule) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(faults)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(rule))
                .build();
        HttpResponse<String> reply = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (reply.statusCode() != 200) throw new IOException("the admin API answered " + reply.body());
    }
}
