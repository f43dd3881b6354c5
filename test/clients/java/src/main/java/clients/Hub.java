package clients;

import com.azure.core.credential.AzureSasCredential;
import com.microsoft.azure.sdk.iot.service.auth.IotHubConnectionStringBuilder;
import com.microsoft.azure.sdk.iot.service.auth.IotHubServiceSasToken;
import com.microsoft.azure.sdk.iot.service.configurations.ConfigurationsClient;
import com.microsoft.azure.sdk.iot.service.jobs.ScheduledJobsClient;
import com.microsoft.azure.sdk.iot.service.methods.DirectMethodsClient;
import com.microsoft.azure.sdk.iot.service.query.QueryClient;
import com.microsoft.azure.sdk.iot.service.registry.RegistryClient;
import com.microsoft.azure.sdk.iot.service.twin.TwinClient;

/**
 * The clients of one hub. The client's connection strings refuse a port in the host name; what it makes of a host name
 * and a signature takes one. So the connection string, without the port, only signs.
 */
final class Hub {
    final RegistryClient registry;
    final TwinClient twins;
    final QueryClient queries;
    final ConfigurationsClient configurations;
    final ScheduledJobsClient scheduledJobs;
    final DirectMethodsClient methods;

    /** @param connectionString with `HostName=localhost:PORT` */
    Hub(String connectionString) {
        String host = connectionString.replaceAll("^HostName=([^;]+);.*$", "$1");
        AzureSasCredential credential = new AzureSasCredential(sign(connectionString.replaceFirst(":\\d+;", ";")));
        registry = new RegistryClient(host, credential);
        twins = new TwinClient(host, credential);
        queries = new QueryClient(host, credential);
        configurations = new ConfigurationsClient(host, credential);
        scheduledJobs = new ScheduledJobsClient(host, credential);
        methods = new DirectMethodsClient(host, credential);
    }

    private static String sign(String withoutPort) {
        return new IotHubServiceSasToken(IotHubConnectionStringBuilder.createIotHubConnectionString(withoutPort))
                .toString();
    }
}
