import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SimulatedHub, startSimulator } from '../../simulator/index.js';
import { startAzurite } from '../simulator/azurite.js';

/** What a client works against: two hubs and two containers of its own. */
export interface ClientStand {
  /** A folder for files of the run, gone after it. */
  readonly folder: string;
  /** The certificate that the client must trust. */
  readonly caFile: string;
  /** What the scripts read: connection strings, tokens, and addresses of containers and of the admin API. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts the simulator and a blob service for one client. */
export async function startClientStand(): Promise<ClientStand> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-clients-'));
  const azurite = await startAzurite();
  const simulator = await startSimulator({
    hubs: [
      { name: 'hub', ownPort: 0 },
      // Its jobs do not start by themselves, so that they can be cancelled.
      { name: 'slow', ownPort: 0, startDelay: 3_600_000 },
    ],
    caDir: join(folder, 'ca'),
    adminPort: 0,
    seed: 1,
  });
  const hub = simulator.hub('hub');
  const [input, output] = await Promise.all([azurite.container('input'), azurite.container('output')]);
  const [contributor, reader] = await Promise.all([
    simulator.bearerToken(),
    simulator.bearerToken({ roles: ['IoT Hub Data Reader'] }),
  ]);
  return {
    folder,
    caFile: simulator.caFile,
    env: {
      HUB_CONNECTION_STRING: hub.connectionString('iothubowner', true),
      READER_CONNECTION_STRING: hub.connectionString('registryRead', true),
      SLOW_HUB_CONNECTION_STRING: simulator.hub('slow').connectionString('iothubowner', true),
      HUB_HOST: ownHost(hub),
      CONTRIBUTOR_TOKEN: contributor,
      READER_TOKEN: reader,
      HUB_ADMIN_URL: `http://127.0.0.1:${simulator.adminPort}/hubs/hub`,
      INPUT_CONTAINER_URI: azurite.uri(input),
      OUTPUT_CONTAINER_URI: azurite.uri(output),
    },
    close: async () => {
      await simulator.close();
      await azurite.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ownHost(hub: SimulatedHub): string {
  if (hub.ownHostName === undefined) throw new Error(`hub '${hub.name}' has no port of its own`);
  return hub.ownHostName;
}
