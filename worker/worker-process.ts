import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Connection } from '@temporalio/client';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { TASK_QUEUE } from '../workflows/messages.js';
import { connectClient, ensureSearchAttributes, type TemporalAddress } from './connection.js';
import { type Fault, faultOf } from './fault.js';
import { createLogger, type Logger, logLevel } from './log.js';
import { metricsPlaceFree } from './metrics.js';
import { installRuntime } from './runtime.js';
import { SUPERVISED } from './supervisor-spec.js';
import { createWorkers, type WorkerTuning } from './worker.js';

/**
 * V8 lets the heap grow to several times of what is alive before it collects, on a machine with much memory. Most of what a
 * worker makes is dead at once: with this a worker needs much less memory for some more time (docs/performance.md).
 */
const HEAP_GROWTH = '--heap-growing-percent=20';

/** What a worker process tells the process that started it with an IPC channel: that it works, or why it ends. */
type WorkerNews = 'ready' | { readonly failed: Fault };

/** How long a worker waits for its server by default, ms: in a cluster both may start at once. */
const SERVER_WAIT = 120_000;

/** How long one try to reach the server may take, ms, and the pause before the next. */
const CONNECT_TIMEOUT = 5_000;
const RETRY_PAUSE = 500;

/** A server that answers later than this is worth a line, ms. */
const TELL_AFTER = 500;

export interface WorkerProcessOptions extends TemporalAddress {
  readonly config: Config;
  readonly tuning?: WorkerTuning;
  /** How long to wait for the server, ms. */
  readonly wait?: number;
  /** Prints the ready line as JSON. */
  readonly json?: boolean;
  /** Where metrics are served, `address:port`; left out, where the configuration says. */
  readonly metricsAddress?: string;
}

/**
 * The life of a worker process: waits for the server, prints one line when it takes tasks (and sends `ready` over an
 * IPC channel, if there is one), and returns when SIGTERM or SIGINT has drained it. A second signal ends the process at
 * once. The caller exits the process afterwards, since native handles may outlive the worker.
 *
 * @throws HubferryError TEMPORAL_UNREACHABLE, TEMPORAL_REFUSED, METRICS_NOT_SERVED, USAGE for a wrong HUBFERRY_LOG_LEVEL
 */
export async function runWorkerProcess(options: WorkerProcessOptions): Promise<void> {
  setFlagsFromString(HEAP_GROWTH);
  // A parent that is gone must not take us with it through a write to its pipe or channel.
  process.stdout.on('error', () => undefined);
  try {
    await work(options);
  } catch (error) {
    await tellParent({ failed: faultOf(error, 'INTERNAL') });
    throw error;
  }
}

async function work(options: WorkerProcessOptions): Promise<void> {
  const { config, address, namespace, tuning = {}, metricsAddress = config.metricsAddress } = options;
  const log = createLogger({ level: logLevel(process.env) });
  if (metricsAddress !== null) await metricsPlaceFree(metricsAddress);
  installRuntime(log, metricsAddress);
  if (metricsAddress !== null)
    log.info({ metrics: `http://${metricsAddress}/metrics` }, 'metrics are served');
  const stop = stopSignal(log);

  const connection = await Promise.race([waitForServer(options, stop, log), abortOf(stop)]);
  if (connection === undefined) return; // told to end while it waited
  try {
    await ensureSearchAttributes(connection, namespace);
  } finally {
    await connection.close();
  }
  const { access = {} } = options;
  const workers = await createWorkers({ config, address, namespace, access, log, options: tuning });
  const running = workers.run();
  stop.addEventListener('abort', () => workers.shutdown(), { once: true });
  if (stop.aborted) workers.shutdown();
  else await announce(options, workers.build);
  await running;
  log.info('worker ended');
}

/** Aborted by the first SIGTERM or SIGINT, or by the supervisor's death. */
function stopSignal(log: Logger): AbortSignal {
  const controller = new AbortController();
  const stop = (reason: string, exitCode: number): void => {
    if (controller.signal.aborted) {
      log.warn({ reason }, 'worker forced to end');
      process.exit(exitCode);
    }
    log.info({ reason }, 'worker draining');
    controller.abort();
  };
  process.on('SIGTERM', () => stop('SIGTERM', 143));
  process.on('SIGINT', () => stop('SIGINT', 130));
  if (process.env[SUPERVISED]) {
    process.once('disconnect', () => stop('supervisor gone', 1));
    // It may have died while our modules were loaded, when nobody listened.
    if (!process.connected) stop('supervisor gone', 1);
  }
  return controller.signal;
}

async function abortOf(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort');
  return undefined;
}

async function waitForServer(
  options: WorkerProcessOptions,
  stop: AbortSignal,
  log: Logger,
): Promise<Connection | undefined> {
  const wait = options.wait ?? SERVER_WAIT;
  const deadline = Date.now() + wait;
  const connectTimeout = Math.min(CONNECT_TIMEOUT, Math.max(1_000, wait));
  const { address } = options;
  const tell = setTimeout(() => log.warn({ address, wait }, 'waiting for the Temporal server'), TELL_AFTER);
  try {
    while (!stop.aborted) {
      try {
        return (await connectClient(options, { connectTimeout })).connection;
      } catch (error) {
        if (!(error instanceof HubferryError) || Date.now() >= deadline) throw error;
        await pause(RETRY_PAUSE);
      }
    }
    return undefined;
  } finally {
    clearTimeout(tell);
  }
}

async function announce(options: WorkerProcessOptions, build: string): Promise<void> {
  const { taskQueue = TASK_QUEUE, versioning } = options.tuning ?? {};
  const facts = {
    queue: taskQueue,
    address: options.address,
    namespace: options.namespace,
    pid: process.pid,
    build,
    ...(versioning === undefined ? {} : { versioning }),
  };
  const words = Object.entries(facts).map(([name, value]) => `${name}=${value}`);
  process.stdout.write(
    options.json ? `${JSON.stringify({ ready: true, ...facts })}\n` : `worker ready ${words.join(' ')}\n`,
  );
  await tellParent('ready');
}

async function tellParent(news: WorkerNews): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(news, undefined, undefined, () => resolve());
  });
}
