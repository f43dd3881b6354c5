import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  setHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { failureOf } from './failure.js';
import { hubJob } from './hub-job.js';
import {
  enqueue,
  hubJobIdOf,
  hubQueueIdOf,
  type JobDone,
  type JobRequest,
  type JobResult,
  jobDone,
  jobUp,
  leave,
  line,
  type QueueRequest,
} from './messages.js';
import { proxies } from './proxies.js';

/** A queue with nothing to do ends after this; the next caller starts it again. */
const IDLE_END = '1 h';

/** How long a cancelled caller waits for its job to be taken down. */
const LEAVE_WAIT = '60 s';

/** How often a waiting caller asks again, in case the queue was terminated: a new one then takes its request. */
const ASK_AGAIN = '15 m';

/** Requests that a queue remembers after they were served, so that one that asks again too late is not served twice. */
const REMEMBERED = 50;

/**
 * Owns the jobs of one hub, which runs one import or export job at a time (design §4): callers are served in the order
 * they came and see their place; a caller that died or left is passed over; a job that runs when its caller dies is
 * still watched to its end before the next one starts.
 */
export async function hubQueue(
  host: string,
  waiting: QueueRequest[] = [],
  served: readonly string[] = [],
): Promise<void> {
  let running: CancellationScope | undefined;

  setHandler(enqueue, (request) => {
    // A repeated signal of a retried activity, or of a caller that asks again, must not take a second place.
    const known = served.includes(request.id) || waiting.some((other) => other.id === request.id);
    if (!known) waiting.push(request);
  });
  setHandler(leave, async (id) => {
    const place = waiting.findIndex((request) => request.id === id);
    if (place === 0 && running) running.cancel();
    else if (place >= 0) {
      const [request] = waiting.splice(place, 1);
      if (request) await tell(request, { id, dropped: true });
    }
  });
  setHandler(line, () =>
    waiting.map(({ workflowId, job }) => ({ workflowId, type: job.type, container: job.container })),
  );

  while (!workflowInfo().continueAsNewSuggested) {
    if (!(await condition(() => waiting.length > 0, IDLE_END))) break;
    const request = waiting[0];
    if (request === undefined) continue;
    if (await isGone(request)) {
      if (waiting[0] === request) waiting.shift();
      continue;
    }
    if (waiting[0] !== request) continue; // it left while it was being asked
    running = new CancellationScope();
    const done = await running.run(() => runJob(host, request));
    running = undefined;
    waiting.shift();
    served = [...served, request.id].slice(-REMEMBERED);
    await tell(request, done);
  }
  await condition(allHandlersFinished);
  if (waiting.length > 0 || workflowInfo().continueAsNewSuggested) {
    await continueAsNew<typeof hubQueue>(host, waiting, served);
  }
}

/** Announces the start to the caller; a caller that ended (or was replaced by another run) cannot be told. */
async function isGone(request: QueueRequest): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(request.workflowId, request.runId).signal(jobUp, request.id);
    return false;
  } catch {
    return true;
  }
}

async function tell(request: QueueRequest, done: JobDone): Promise<void> {
  await getExternalWorkflowHandle(request.workflowId, request.runId)
    .signal(jobDone, done)
    .catch(() => undefined); // the caller ended meanwhile: nobody waits for this
}

async function runJob(host: string, request: QueueRequest): Promise<JobDone> {
  const { id, job } = request;
  for (;;) {
    try {
      const result = await executeChild(hubJob, {
        workflowId: hubJobIdOf(host),
        args: [job],
        // A queue that is terminated must not take the hub's running job with it: the fixed id keeps the slot ours.
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${job.type} job of ${host}`,
      });
      return { id, result };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) return endOf(id, error);
    }
    try {
      await sleep(job.settings.slotWait, { summary: 'until the job of an earlier queue has ended' }); // a job of an earlier, terminated queue is still watched
    } catch (error) {
      return endOf(id, error);
    }
  }
}

/** What a caller is told of a job that did not end by itself. */
function endOf(id: string, error: unknown): JobDone {
  if (isCancellation(error)) return { id, dropped: true };
  const { code, message } = failureOf(error);
  return { id, error: { code, message } };
}

/** A caller's side of the queues: runs jobs on hubs, any number of hubs at a time. One per workflow. */
export class HubJobs {
  readonly #done = new Map<string, JobDone>();

  constructor() {
    setHandler(jobUp, () => undefined);
    setHandler(jobDone, (done) => {
      this.#done.set(done.id, done);
    });
  }

  /**
   * Waits for the hub's slot, runs the job and returns how it ended.
   *
   * @throws ApplicationFailure with our code when the hub refused the job; CancelledFailure when the caller is
   * cancelled, after the queue took the job down.
   */
  async run(job: JobRequest): Promise<JobResult> {
    const id = uuid4();
    const { workflowId, runId, taskQueue } = workflowInfo();
    const { light } = proxies(job.settings);
    try {
      let asked = false;
      do {
        try {
          await light.enqueueJob({ taskQueue, request: { id, workflowId, runId, job } });
        } catch (error) {
          // Who stands in line already, and may have a job under way, loses nothing by a question that does not arrive.
          if (!asked || isCancellation(error) || !patched('park')) throw error;
        }
        asked = true;
      } while (!(await condition(() => this.#done.has(id), ASK_AGAIN)));
    } catch (error) {
      await CancellationScope.nonCancellable(async () => {
        await getExternalWorkflowHandle(hubQueueIdOf(job.host))
          .signal(leave, id)
          .catch(() => undefined);
        // Whoever could not be put in line holds nothing that has to be taken down.
        if (isCancellation(error) || !patched('park')) await condition(() => this.#done.has(id), LEAVE_WAIT);
      });
      throw error;
    }
    const done = this.#done.get(id);
    this.#done.delete(id);
    if (done && 'result' in done) return done.result;
    if (done && 'error' in done) throw ApplicationFailure.nonRetryable(done.error.message, done.error.code);
    throw ApplicationFailure.nonRetryable(
      `The ${job.type} job of ${job.host} was dropped from its queue.`,
      'JOB_FAILED',
    );
  }
}
