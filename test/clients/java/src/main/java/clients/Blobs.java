package clients;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;

/** Blobs of a container whose URI carries its signature, over plain HTTP. */
final class Blobs {
    private static final HttpClient http = HttpClient.newHttpClient();

    private Blobs() {}

    static void write(String containerUri, String name, String text) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(uri(containerUri, name))
                .header("x-ms-blob-type", "BlockBlob")
                .PUT(HttpRequest.BodyPublishers.ofString(text, StandardCharsets.UTF_8))
                .build();
        check(http.send(request, HttpResponse.BodyHandlers.ofString()), 201);
    }

    static String read(String containerUri, String name) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(uri(containerUri, name)).build();
        return check(http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8)), 200);
    }

    private static URI uri(String containerUri, String name) {
        int mark = containerUri.indexOf('?');
        return URI.create(containerUri.substring(0, mark) + "/" + name + containerUri.substring(mark));
    }

    private static String check(HttpResponse<String> reply, int expected) throws IOException {
        if (reply.statusCode() != expected) throw new IOException("the blob service answered " + reply.statusCode());
        return reply.body();
    }
}
