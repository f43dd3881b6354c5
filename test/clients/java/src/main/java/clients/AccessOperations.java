package clients;

import static clients.Tap.equal;
import static clients.Tap.refused;

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.microsoft.azure.sdk.iot.service.exceptions.IotHubUnauthorizedException;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.twin.TwinClient;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.function.UnaryOperator;
import reactor.core.publisher.Mono;

final class AccessOperations {
    private AccessOperations() {}

    /** @param variables the environment */
    static void add(Tap tap, UnaryOperator<String> variables) {
        String connectionString = variables.apply("HUB_CONNECTION_STRING");
        String host = variables.apply("HUB_HOST");

        tap.operation("access - a wrong key is refused", () -> {
            Hub stranger = new Hub(connectionString.replaceFirst("SharedAccessKey=.*", "SharedAccessKey=AAAA"));
            refused(IotHubUnauthorizedException.class, "IotHubUnauthorizedAccess", () ->
                    stranger.registry.getDevice("sas"));
        });

        tap.operation("access - a policy that may only read the registry", () -> {
            Hub limited = new Hub(variables.apply("READER_CONNECTION_STRING"));
            equal(limited.registry.getDevice("sas").getDeviceId(), "sas");
            refused(IotHubUnauthorizedException.class, "IotHubUnauthorizedAccess", () ->
                    limited.registry.removeDevice("sas"));
            refused(IotHubUnauthorizedException.class, "IotHubUnauthorizedAccess", () -> limited.twins.get("sas"));
        });

        tap.operation("access - the client refuses a connection string with a port", () -> {
            try {
                new RegistryClient(connectionString);
            } catch (IllegalArgumentException error) {
                equal(error.getMessage(), "The connection string has an invalid value for property.");
                return;
            }
            throw new AssertionError("it was not refused");
        });

        tap.operation("access - a bearer token with every right", () -> {
            TokenCredential credential = credential(variables.apply("CONTRIBUTOR_TOKEN"));
            RegistryClient registry = new RegistryClient(host, credential);
            equal(registry.getDevice("sas").getDeviceId(), "sas");
            equal(new TwinClient(host, credential).get("sas").getDeviceId(), "sas");
            // Not so under a shared access signature: the device is disabled.
            equal(registry.getModulesOnDevice("sas"), List.of());
        });

        tap.operation("access - a bearer token that may only read", () -> {
            RegistryClient registry = new RegistryClient(host, credential(variables.apply("READER_TOKEN")));
            equal(registry.getDevice("sas").getDeviceId(), "sas");
            refused(IotHubUnauthorizedException.class, "IotHubUnauthorizedAccess", () -> registry.removeDevice("sas"));
        });
    }

    /** A credential that has its token already; to the client one like those of Microsoft Entra ID. */
    private static TokenCredential credential(String token) {
        return context -> {
            equal(context.getScopes(), List.of("https://iothubs.azure.net/.default"));
            return Mono.just(new AccessToken(token, OffsetDateTime.now().plusHours(1)));
        };
    }
}
