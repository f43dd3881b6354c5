import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection } from '@temporalio/worker';
import { type Activities, createActivities } from '../../activities/index.js';
import { Connections } from '../../azure/connections.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { type Config, loadConfig, storageOf } from '../../config/index.js';
import type { RunSettings } from '../../registry/settings.js';
import {
  type FullRecord,
  type HubOptions,
  type SimulatedHub,
  type Simulator,
  startSimulator,
} from '../../simulator/index.js';
import { createLogger, type Logger } from '../../worker/log.js';
import { hubMetrics } from '../../worker/metrics.js';
import { installRuntime } from '../../worker/runtime.js';
import { createWorkerPair, type WorkerPair } from '../../worker/worker-pair.js';
import {
  enqueue,
  hubQueueIdOf,
  type MigrateInput,
  type RollbackInput,
  type RunReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { type Services, storageOfFile } from './services.js';

/** Waits of milliseconds: everything is on this machine. */
export const FAST: RunSettings = {
  chunkLines: 200,
  maxLineBytes: 100_000,
  partitionBytes: 60_000,
  planMaxAge: 600_000,
  settle: 20,
  poll: { first: 20, max: 200 },
  slotWait: 50,
  jobDeadline: 60_000,
  sasLifetime: 600_000,
  repairRounds: 2,
  heartbeat: 5_000,
  edgePoll: 50,
  visible: 500,
};

/** Simulated hubs, and a worker in this process on queues of its own. */
export interface TestStand {
  readonly simulator: Simulator;
  readonly client: Client;
  readonly storage: Storage;
  readonly config: Config;
  readonly taskQueue: string;
  hub(name: string): SimulatedHub;
  /** Holds the next call of an activity until it is released, or cancelled. */
  hold(activity: string): Hold;
  migrate(options?: Partial<MigrateInput>): Promise<WorkflowHandle>;
  /** Runs to the end; a failure is returned as the report it closed with. */
  migrated(options?: Partial<MigrateInput>): Promise<RunReport>;
  reportOf(handle: WorkflowHandle): Promise<RunReport>;
  close(): Promise<void>;
}

export interface Hold {
  /** Resolves when a call is held. */
  readonly reached: Promise<void>;
  release(): void;
}

/** The servers of the global set-up. */
export function sharedServices(inject: <K extends keyof Services>(key: K) => Services[K]): Services {
  return {
    temporalAddress: inject('temporalAddress'),
    workflowBundle: inject('workflowBundle'),
    storageConnectionStrings: inject('storageConnectionStrings'),
  };
}

interface Telemetry {
  readonly log?: Logger;
  readonly metricsAddress?: string;
}

/** Where the worker of a stand works. */
export interface WorkerPlace {
  readonly config: Config;
  readonly configFile: string;
  /** The certificate that the simulated hubs are known by. */
  readonly caFile: string;
  readonly temporalAddress: string;
  readonly workflowBundle: string;
  readonly taskQueue: string;
  readonly client: Client;
}

/** Starts a worker. @returns how to end it. */
export type StartWorker = (place: WorkerPlace) => Promise<() => Promise<void>>;

let counter = 0;

/** A RUN of its own for every run of the tests. */
export function testRun(): string {
  counter += 1;
  const unique = `${process.pid.toString(36)}${counter.toString(36)}`.padStart(6, '0').slice(-6);
  return `20260101-000000-${unique}`;
}

/**
 * @param services those of the global set-up: `inject` them in a test.
 * @param startWorker left out: in this process, where activities can be held.
 */
export async function openTestStand(
  services: Services,
  hubs: readonly HubOptions[] = [{ name: 'old' }, { name: 'new' }],
  hubSettings: Readonly<Record<string, string>> = {},
  storageSettings = '',
  telemetry: Telemetry = {},
  startWorker?: StartWorker,
): Promise<TestStand> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-stand-'));
  const simulator = await startSimulator({ hubs: [...hubs], seed: 7, caDir: join(folder, 'ca') });
  const path = join(folder, 'hubferry.yaml');
  writeFileSync(
    path,
    [
      'hubs:',
      ...hubs.map(
        ({ name }) =>
          `  ${name}: { connectionString: ${JSON.stringify(simulator.hub(name).connectionString())}${hubSettings[name] ?? ''} }`,
      ),
      `storage: { connectionString: ${JSON.stringify(storageOfFile(services))}${storageSettings} }`,
      '',
    ].join('\n'),
  );
  const config = loadConfig({ path });
  const { account } = storageOf(config);
  const taskQueue = `test-${process.pid}-${simulator.port}`;
  const address = services.temporalAddress;
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const holds = new Map<string, Held>();
  const endWorker = await (startWorker ?? workHere(holds, telemetry))({
    config,
    configFile: path,
    caFile: simulator.caFile,
    temporalAddress: address,
    workflowBundle: services.workflowBundle,
    taskQueue,
    client,
  });

  const hostOf = (name: string): string => {
    const hub = config.hubs.get(name);
    if (!hub) throw new Error(`no hub ${name}`);
    return hub.host;
  };
  const reportOf = async (handle: WorkflowHandle): Promise<RunReport> => {
    try {
      return (await handle.result()) as RunReport;
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (cause instanceof ApplicationFailure && cause.details?.[0]) return cause.details[0] as RunReport;
      throw error;
    }
  };
  const migrate = async (options: Partial<MigrateInput> = {}): Promise<WorkflowHandle> => {
    const input: MigrateInput = {
      run: testRun(),
      account,
      settings: FAST,
      goal: 'migrate',
      source: options.source ?? { kind: 'hub', host: hostOf('old') },
      target: options.target ?? { host: hostOf('new') },
      existing: 'fail',
      strict: false,
      ...options,
    };
    const workflowId =
      input.goal === 'migrate' ? writerIdOf(input.target.host) : `${input.goal}/${input.run}`;
    return client.workflow.start('migrate', { workflowId, taskQueue, args: [input] });
  };
  return {
    simulator,
    client,
    config,
    taskQueue,
    storage: openStorage(storageOf(config)),
    hub: (name) => simulator.hub(name),
    hold: (activity) => {
      const reached = gate();
      const released = gate();
      holds.set(activity, { reach: reached.open, released: released.opened });
      return { reached: reached.opened, release: released.open };
    },
    migrate,
    migrated: async (options) => reportOf(await migrate(options)),
    reportOf,
    close: async () => {
      await endWorker();
      await Promise.all([connection.close(), simulator.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A worker in this process, some activities of which wait. */
function workHere(holds: Map<string, Held>, { log, metricsAddress }: Telemetry): StartWorker {
  return async ({ config, caFile, temporalAddress, workflowBundle, taskQueue, client }) => {
    installRuntime(log ?? createLogger({ level: 'silent' }), metricsAddress);
    const connections = new Connections(config, { ca: readFileSync(caFile), observer: hubMetrics });
    const connection = await NativeConnection.connect({ address: temporalAddress });
    const worker: WorkerPair = await createWorkerPair({
      connection,
      namespace: 'default',
      activities: holdable(
        createActivities({
          connections,
          client,
          version: '0.0.0-test',
          hubQueue: { type: 'hubQueue', signal: enqueue.name, idOf: hubQueueIdOf },
        }),
        holds,
      ),
      tuning: { taskQueue, workflowBundle, stickyTimeout: 1000, shutdownGrace: 100 },
    });
    const running = worker.run();
    running.catch(() => undefined); // awaited at the end
    return async () => {
      worker.shutdown();
      await running;
      connections.close();
      await connection.close();
    };
  };
}

interface Held {
  readonly reach: () => void;
  readonly released: Promise<void>;
}

function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** The same activities, each of which waits first where it is held. */
function holdable(activities: Activities, holds: Map<string, Held>): Activities {
  type Call = (input: never) => Promise<unknown>;
  const each = Object.entries(activities as unknown as Record<string, Call>).map(([name, call]) => {
    const waiting: Call = async (input) => {
      const held = holds.get(name);
      if (held) {
        holds.delete(name);
        held.reach();
        const context = Context.current();
        const beat = setInterval(() => context.heartbeat(), 100);
        await Promise.race([held.released, context.cancelled]).finally(() => clearInterval(beat));
      }
      return await call(input);
    };
    return [name, waiting] as const;
  });
  return Object.fromEntries(each) as unknown as Activities;
}

/** Undoes a run to the end. */
export async function rolledBack(
  stand: TestStand,
  { run: undone, target, snapshots }: RunReport,
  settings: RunSettings = FAST,
): Promise<RunReport> {
  const host = target ?? '';
  const input: RollbackInput = {
    run: testRun(),
    account: stand.storage.account,
    settings,
    undone,
    before: snapshots.target ?? '',
    target: { host },
  };
  const handle = await stand.client.workflow.start('rollback', {
    workflowId: writerIdOf(host),
    taskQueue: stand.taskQueue,
    args: [input],
  });
  return await stand.reportOf(handle);
}

/** What of a hub's records must arrive: everything but what the service makes itself. Parents by device id. */
export function essence(dump: Iterable<FullRecord>): Record<string, unknown> {
  const records = [...dump].filter(({ moduleId }) => !moduleId?.startsWith('$'));
  const edges = new Map(records.flatMap((edge) => (edge.iotEdge ? [[edge.deviceScope, edge.deviceId]] : [])));
  const found: Record<string, unknown> = {};
  for (const record of records) {
    const { deviceId, moduleId, status, statusReason, authentication, tags, desired, iotEdge } = record;
    const scope = iotEdge ? record.parentScopes?.[0] : record.deviceScope;
    const parent = edges.get(scope) ?? null;
    const own = moduleId
      ? {}
      : { status, statusReason: statusReason ?? '', iotEdge: iotEdge ?? false, parent };
    found[`${deviceId}/${moduleId ?? ''}`] = { authentication, tags, desired, ...own };
  }
  return found;
}

/** Requests that change a registry, by route. */
export function writesOf(hub: SimulatedHub): Record<string, number> {
  const changing = Object.entries(hub.counts()).filter(
    ([route]) => /^(PUT|PATCH|DELETE|POST) /.test(route) && !/query|jobs\/create/.test(route),
  );
  return Object.fromEntries(changing);
}
