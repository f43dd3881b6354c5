import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection } from '@temporalio/worker';
import { type Activities, createActivities } from '../../activities/index.js';
import { Connections } from '../../azure/connections.js';
import { openKeyRing } from '../../azure/key-ring.js';
import type { Storage } from '../../azure/storage.js';
import { type Config, loadConfig, storageOf } from '../../config/index.js';
import type { ErrorCode } from '../../registry/errors.js';
import type { RunSettings } from '../../registry/settings.js';
import {
  type FullRecord,
  type HubOptions,
  type SimulatedHub,
  type Simulator,
  startSimulator,
} from '../../simulator/index.js';
import { dataConverterOf } from '../../worker/data-converter.js';
import { createLogger, type Logger } from '../../worker/log.js';
import { hubMetrics } from '../../worker/metrics.js';
import { installRuntime } from '../../worker/runtime.js';
import { createWorkerPair } from '../../worker/worker-pair.js';
import {
  enqueue,
  hubQueueIdOf,
  type MigrateInput,
  type RollbackInput,
  type RunReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { makeSealedBundle, type Services, storageOfFile } from './services.js';

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
  /** Makes all hubs as they were at first, but for the jobs they had. */
  reset(): void;
  /** Holds the next call of an activity until it is released, or cancelled. */
  hold(activity: string): Hold;
  /** Lets the next call of each of these activities fail for good with a code; null: no more. @returns whose did. */
  failEach(code: ErrorCode | null, which?: (activity: string) => boolean): ReadonlySet<string>;
  migrate(options?: Partial<MigrateInput>): Promise<WorkflowHandle>;
  /** Runs to the end; a failure is returned as the report it closed with. */
  migrated(options?: Partial<MigrateInput>): Promise<RunReport>;
  reportOf(handle: WorkflowHandle): Promise<RunReport>;
  /** Ends the worker and starts another one, with other keys (see `StandOptions`); so does the client. */
  restart(keys: string): Promise<void>;
  close(): Promise<void>;
}

/** What works for a stand, until it is restarted. */
interface Working {
  readonly client: Client;
  readonly storage: Storage;
  end(): Promise<void>;
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

let counter = 0;

/** A RUN of its own for every run of the tests. */
export function testRun(): string {
  counter += 1;
  const unique = `${process.pid.toString(36)}${counter.toString(36)}`.padStart(6, '0').slice(-6);
  return `20260101-000000-${unique}`;
}

export interface StandOptions {
  readonly log?: Logger;
  readonly metricsAddress?: string;
  /** The part of the throttles of hubs that the worker uses. */
  readonly rates?: number;
  /** Lines of the configuration: `keys:`, and `settings:` with `keyId`. */
  readonly keys?: string;
  /** Left out: in this process, where activities can be held. */
  readonly startWorker?: StartWorker;
}

/** Starts a worker elsewhere. @returns how to end it. */
export type StartWorker = (place: WorkerPlace) => Promise<() => Promise<void>>;

/** Where the worker of a stand works. */
export interface WorkerPlace {
  readonly configFile: string;
  /** The certificate that the simulated hubs are known by. */
  readonly caFile: string;
  readonly temporalAddress: string;
  readonly workflowBundle: string;
  readonly taskQueue: string;
}

/** @param services those of the global set-up: `inject` them in a test. */
export async function openTestStand(
  services: Services,
  hubs: readonly HubOptions[] = [{ name: 'old' }, { name: 'new' }],
  hubSettings: Readonly<Record<string, string>> = {},
  storageSettings = '',
  {
    log = createLogger({ level: 'silent' }),
    metricsAddress,
    keys = '',
    rates = 1_000,
    startWorker,
  }: StandOptions = {},
): Promise<TestStand> {
  if (startWorker === undefined) installRuntime(log, metricsAddress);
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-stand-'));
  const simulator = await startSimulator({ hubs: [...hubs], seed: 7, caDir: join(folder, 'ca') });
  const path = join(folder, 'hubferry.yaml');
  const write = (sealing: string): Config => {
    const named = hubs.map(({ name }) => {
      const connectionString = JSON.stringify(simulator.hub(name).connectionString());
      return `  ${name}: { connectionString: ${connectionString}${hubSettings[name] ?? ''} }`;
    });
    const storage = `storage: { connectionString: ${JSON.stringify(storageOfFile(services))}${storageSettings} }`;
    // Its hubs do not throttle, unless a test says so.
    const settled = `settings: { rates: ${rates}`;
    const rest = sealing.includes('settings: {')
      ? sealing.replace('settings: {', `${settled},`)
      : `${sealing}\n${settled} }`;
    writeFileSync(path, ['hubs:', ...named, storage, rest, ''].join('\n'));
    return loadConfig({ path });
  };
  const config = write(keys);
  const { account } = storageOf(config);
  const taskQueue = `test-${process.pid}-${simulator.port}`;
  const address = services.temporalAddress;
  const [connection, nativeConnection] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const holds = new Map<string, Held>();
  let failing: Failing | null = null;
  const begin = async (current: Config): Promise<Working> => {
    const ring = await openKeyRing(current);
    if (ring.current !== null) await makeSealedBundle(services.workflowBundle);
    const client = new Client({ connection, dataConverter: dataConverterOf(ring) });
    const connections = new Connections(current, {
      ca: readFileSync(simulator.caFile),
      observer: hubMetrics,
      keys: ring,
    });
    const storage = connections.storage(account);
    if (startWorker !== undefined) {
      const end = await startWorker({
        configFile: path,
        caFile: simulator.caFile,
        temporalAddress: address,
        workflowBundle: services.workflowBundle,
        taskQueue,
      });
      return { client, storage, end: () => end().finally(() => connections.close()) };
    }
    const worker = await createWorkerPair({
      connection: nativeConnection,
      namespace: 'default',
      activities: holdable(
        createActivities({
          connections,
          client,
          version: '0.0.0-test',
          hubQueue: { type: 'hubQueue', signal: enqueue.name, idOf: hubQueueIdOf },
        }),
        holds,
        () => failing,
      ),
      ring,
      tuning: { taskQueue, workflowBundle: services.workflowBundle, stickyTimeout: 1000, shutdownGrace: 100 },
    });
    const running = worker.run();
    running.catch(() => undefined); // awaited in end()
    return {
      client,
      storage,
      end: async () => {
        worker.shutdown();
        await running;
        connections.close();
      },
    };
  };
  let working = await begin(config);

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
    return working.client.workflow.start('migrate', { workflowId, taskQueue, args: [input] });
  };
  return {
    simulator,
    get client() {
      return working.client;
    },
    config,
    taskQueue,
    get storage() {
      return working.storage;
    },
    hub: (name) => simulator.hub(name),
    reset: () => {
      for (const { name } of hubs) simulator.hub(name).reset();
    },
    hold: (activity) => {
      const reached = gate();
      const released = gate();
      holds.set(activity, { reach: reached.open, released: released.opened });
      return { reached: reached.opened, release: released.open };
    },
    failEach: (code, which = () => true) => {
      const failed = new Set<string>();
      failing = code === null ? null : { code, failed, which };
      return failed;
    },
    migrate,
    migrated: async (options) => reportOf(await migrate(options)),
    reportOf,
    restart: async (sealing) => {
      await working.end();
      working = await begin(write(sealing));
    },
    close: async () => {
      await working.end();
      await Promise.all([connection.close(), nativeConnection.close(), simulator.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Held {
  readonly reach: () => void;
  readonly released: Promise<void>;
}

interface Failing {
  readonly code: ErrorCode;
  readonly failed: Set<string>;
  readonly which: (activity: string) => boolean;
}

function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** The same activities, each of which waits first where it is held, and fails where it is to. */
function holdable(
  activities: Activities,
  holds: Map<string, Held>,
  failing: () => Failing | null,
): Activities {
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
      const { code, failed, which } = failing() ?? {};
      if (failed && which?.(name) && !failed.has(name)) {
        failed.add(name);
        throw ApplicationFailure.nonRetryable(`${name} meets a fault.`, code);
      }
      return await call(input);
    };
    return [name, waiting] as const;
  });
  return Object.fromEntries(each) as unknown as Activities;
}

/** Undoes a run to the end. */
export async function rolledBack(...args: Parameters<typeof startRollback>): Promise<RunReport> {
  return await args[0].reportOf(await startRollback(...args));
}

export async function startRollback(
  stand: TestStand,
  { run: undone, target, snapshots }: RunReport,
  settings: RunSettings = FAST,
): Promise<WorkflowHandle> {
  const host = target ?? '';
  const input: RollbackInput = {
    run: testRun(),
    account: stand.storage.account,
    settings,
    undone,
    before: snapshots.target ?? '',
    target: { host },
  };
  return await stand.client.workflow.start('rollback', {
    workflowId: writerIdOf(host),
    taskQueue: stand.taskQueue,
    args: [input],
  });
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
