import type { Client } from '@temporalio/client';
import type { Server } from '../registry/server.js';

/** How long the server is asked who it is, ms: no report waits for that. */
const PATIENCE = 2_000;

/** The id of a worker's namespace; null where the server does not tell. */
export async function namespaceIdOf(client: Client): Promise<string | null> {
  try {
    const { namespace } = client.options;
    const { namespaceInfo } = await client.withDeadline(Date.now() + PATIENCE, () =>
      client.connection.workflowService.describeNamespace({ namespace }),
    );
    return namespaceInfo?.id || null;
  } catch {
    return null;
  }
}

/** The Temporal server of a worker. @param name as the client of a run calls it */
export async function serverOf(client: Client, name: string | null): Promise<Server> {
  return { server: name, namespaceId: await namespaceIdOf(client) };
}
