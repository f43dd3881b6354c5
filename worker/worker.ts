import { NativeConnection } from '@temporalio/worker';
import { createActivities } from '../activities/index.js';
import { Connections } from '../azure/connections.js';
import { openKeyRing } from '../azure/key-ring.js';
import type { Config } from '../config/index.js';
import type * as workflows from '../workflows/index.js';
import { enqueue, hubQueueIdOf } from '../workflows/messages.js';
import { connectClient, type TemporalAddress } from './connection.js';
import { dataConverterOf } from './data-converter.js';
import type { Logger } from './log.js';
import { hubMetrics } from './metrics.js';
import { VERSION } from './version.js';
import { createWorkerPair, type WorkerPair, type WorkerTuning } from './worker-pair.js';

export type { WorkerTuning } from './worker-pair.js';

export interface WorkersOptions extends TemporalAddress {
  readonly config: Config;
  readonly log: Logger;
  readonly options?: WorkerTuning;
}

/** The workflow that owns a hub's jobs, by the name that the bundle exports it under. */
const HUB_QUEUE_TYPE = 'hubQueue' satisfies keyof typeof workflows;

/**
 * Wires workflows and activities to a Temporal server, ready to `run()`.
 *
 * @throws HubferryError TEMPORAL_UNREACHABLE, or as `openKeyRing`
 */
export async function createWorkers(options: WorkersOptions): Promise<WorkerPair> {
  const { config, address, namespace, access = {}, log } = options;
  const ring = await openKeyRing(config);
  const { connection: clientConnection, client } = await connectClient(
    { address, namespace, access },
    { dataConverter: dataConverterOf(ring) },
  );
  const connection = await NativeConnection.connect({ address, ...access });
  const connections = new Connections(config, { observer: hubMetrics, keys: ring });
  const close = async (): Promise<void> => {
    connections.close();
    await Promise.allSettled([connection.close(), clientConnection.close()]);
  };
  try {
    const activities = createActivities({
      connections,
      client,
      version: VERSION,
      hubQueue: {
        type: HUB_QUEUE_TYPE,
        signal: enqueue.name,
        idOf: hubQueueIdOf,
        ...(options.options?.versioning && { versioningOverride: 'AUTO_UPGRADE' }),
      },
    });
    const pair = await createWorkerPair({
      connection,
      namespace,
      activities,
      ring,
      ...(options.options === undefined ? {} : { tuning: options.options }),
    });
    log.info(
      { address, namespace, build: pair.build, hubs: [...config.hubs.values()].map((hub) => hub.host) },
      'worker created',
    );
    return {
      build: pair.build,
      run: async () => {
        try {
          await pair.run();
        } finally {
          await close();
        }
      },
      shutdown: () => pair.shutdown(),
    };
  } catch (error) {
    await close();
    throw error;
  }
}
