import { availableParallelism } from 'node:os';
import {
  type NativeConnection,
  Worker,
  type WorkerDeploymentOptions,
  type WorkerOptions,
} from '@temporalio/worker';
import type { KeyRing } from '../azure/key-ring.js';
import { TASK_QUEUE, transferQueueOf } from '../workflows/messages.js';
import { buildId } from './build-id.js';
import { workflowSource } from './bundling.js';
import { dataConverterOf } from './data-converter.js';
import { activityLogFields } from './log-fields.js';
import type { Versioning } from './versioning.js';

/** What may be set differently for one worker; times in ms. */
export interface WorkerTuning {
  /** Queue of workflows and light activities; the transfer queue's name follows from it. */
  readonly taskQueue?: string;
  /** Heavy activities at a time (default: one per processor, at least 2, at most 4). */
  readonly transferSlots?: number;
  /** How long running activities may go on after a shutdown was asked for, before they are cancelled. */
  readonly shutdownGrace?: number;
  /**
   * How long the server waits for a worker that remembers a workflow before it asks another one (Temporal's default:
   * 10 s). After a kill a run goes on only then, so crash tests shorten it.
   */
  readonly stickyTimeout?: number;
  /** Path of a bundle of workflows (default: the one made by the build, else the sources). */
  readonly workflowBundle?: string;
  /** Name of this build (default: `buildId()`). */
  readonly build?: string;
  /** Whether the server may hand this worker only what belongs to its build, see `Versioning` (default: it may not). */
  readonly versioning?: Versioning;
}

/** The name of all workers of hubferry together, in Temporal's worker deployments. */
export const DEPLOYMENT = 'hubferry';

/**
 * Enough for the largest step of an activity that takes no notice of a shutdown to end by itself; the next attempt
 * would repeat it.
 */
const SHUTDOWN_GRACE = 30_000;

/** After the grace activities are cancelled; one that does not even react to that is given up after this. */
const FORCE_AFTER_GRACE = 15_000;

/**
 * A cancellation reaches an activity with a heartbeat, and heartbeats are held back for up to 0.8 × their timeout
 * unless this is shorter: with the default a cancel takes 24 s to arrive.
 */
const HEARTBEAT_THROTTLE = 2_000;

/** Heavy activities stream through memory, a few blocks each: more of them at a time only wait for each other. */
const MOST_TRANSFERS = 4;

export interface WorkerPair {
  /** What the server knows its build by. */
  readonly build: string;
  /** Polls both queues from the moment it is called; ends after a shutdown, or with the fault that ended a worker. */
  run(): Promise<void>;
  /** Takes no more tasks, lets running activities go on for the grace time, then cancels them. */
  shutdown(): void;
}

/** Two workers in one process: workflows with light activities, and the heavy activities with few slots. */
export async function createWorkerPair(options: {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly activities: object;
  /** What is written into Temporal is sealed with its current key. */
  readonly ring: KeyRing;
  readonly tuning?: WorkerTuning;
}): Promise<WorkerPair> {
  const { connection, namespace, activities, ring, tuning = {} } = options;
  const taskQueue = tuning.taskQueue ?? TASK_QUEUE;
  const build = tuning.build ?? buildId();
  const grace = tuning.shutdownGrace ?? SHUTDOWN_GRACE;
  const shared: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    namespace,
    activities,
    dataConverter: dataConverterOf(ring),
    workerDeploymentOptions: deploymentOf(build, tuning.versioning),
    shutdownGraceTime: grace,
    shutdownForceTime: grace + FORCE_AFTER_GRACE,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    interceptors: { activity: [activityLogFields] },
    ...(tuning.stickyTimeout === undefined
      ? {}
      : { stickyQueueScheduleToStartTimeout: tuning.stickyTimeout }),
  };
  const workers = await Promise.all([
    Worker.create({ ...shared, taskQueue, ...workflowSource(ring.current !== null, tuning.workflowBundle) }),
    Worker.create({
      ...shared,
      taskQueue: transferQueueOf(taskQueue),
      maxConcurrentActivityTaskExecutions: tuning.transferSlots ?? defaultTransferSlots(),
    }),
  ]);
  const shutdown = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const run = async (): Promise<void> => {
    // One worker without the other would leave runs standing, so both end together.
    const ends = await Promise.allSettled(workers.map((worker) => worker.run().finally(shutdown)));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  };
  return { build, run, shutdown };
}

function deploymentOf(build: string, versioning: Versioning | undefined): WorkerDeploymentOptions {
  const version = { deploymentName: DEPLOYMENT, buildId: build };
  if (versioning === undefined) return { version, useWorkerVersioning: false };
  const defaultVersioningBehavior = versioning === 'pinned' ? 'PINNED' : 'AUTO_UPGRADE';
  return { version, useWorkerVersioning: true, defaultVersioningBehavior };
}

function defaultTransferSlots(): number {
  return Math.min(MOST_TRANSFERS, Math.max(2, availableParallelism()));
}
