import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  metricMeter,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { runOfContainer } from '../registry/containers.js';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { timed } from '../registry/metrics.js';
import { fail } from './failure.js';
import { type JobOutcome, type JobRequest, type JobResult, jobState, pollNow } from './messages.js';
import { nextPoll } from './poll.js';
import { proxies } from './proxies.js';

/** A job is unknown to the hub in so many looks, and for `settings.visible`, before it counts as vanished. */
const VANISHED_AFTER = 3;

/** How long a cancelled job may take to end before it is left alone, in looks. */
const CANCEL_LOOKS = 30;

/** What a continued run of this workflow must remember. */
interface Carry {
  readonly job: Submitted | null;
  /** Jobs of other people that looked like ours for a while. */
  readonly strangers: readonly string[];
  readonly calls: HubCalls;
  /** Since when it waits for the slot, epoch ms; left out: it does not. */
  readonly waiting?: number;
}

interface Submitted {
  readonly jobId: string;
  /** False: the id came from our own create reply. True: found in the hub's list after a reply was lost. */
  readonly adopted: boolean;
  /** Epoch ms. */
  readonly since: number;
  readonly grantedUntil: number;
}

/**
 * One import or export job of one hub: submit, look at it by durable timers until it ends, tell how it ended.
 *
 * Creating a job is not idempotent, so a lost reply is resolved by the hub's list of jobs, and an id found that way is
 * confirmed at the end by our blob in the job's private container (design §4). A slot that somebody else's job holds is
 * waited for, as long as a job may take. Fails with a stable code when the hub refuses the job.
 */
export async function hubJob(request: JobRequest, carry?: Carry): Promise<JobResult> {
  const { host, account, container, type, settings, excludeKeys = false } = request;
  const { light, brief } = proxies(settings);
  let calls = carry?.calls ?? NO_CALLS;
  let job = carry?.job ?? null;
  let strangers = carry?.strangers ?? [];
  let status: 'submitting' | 'slot held by another job' | 'enqueued' | 'running' | 'ended' = 'submitting';
  let progress: number | null = null;
  let nudged = false;
  const fields = {
    run: runOfContainer(container),
    hub: host,
    stage: type === 'export' ? 'snapshot' : 'apply',
    type,
  };

  const tell = (now: typeof status): void => {
    status = now;
    const percent = progress === null ? '' : `, ${progress} %`;
    setCurrentDetails(`**${now}**${percent} · ${type} job of ${host}`);
  };

  setHandler(jobState, () => ({
    container,
    type,
    lines: request.lines,
    status,
    progress,
    jobId: job?.jobId ?? null,
    elapsed: job ? Date.now() - job.since : 0,
  }));
  setHandler(pollNow, () => {
    nudged = true;
  });

  const count = <T>(counted: { value: T; calls: HubCalls }): T => {
    calls = addCalls(calls, counted.calls);
    return counted.value;
  };

  const submit = async (since: number): Promise<Submitted> => {
    for (;;) {
      tell('submitting');
      const answer = count(
        await light.submitJob({ host, account, container, type, strangers, settings, excludeKeys }),
      );
      if (answer.kind === 'submitted') {
        const { jobId, adopted } = answer;
        log.info('job begins', { ...fields, jobId, adopted, lines: request.lines });
        return { ...answer, since: Date.now() };
      }
      tell('slot held by another job');
      if (Date.now() - since > settings.jobDeadline && patched('park'))
        fail('HUB_SLOT_TAKEN', `Other import or export jobs have had the slot of ${host} for too long.`);
      await condition(() => nudged, settings.slotWait);
      nudged = false;
      if (workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof hubJob>(request, { job: null, strangers, calls, waiting: since });
      }
    }
  };

  const watch = async (current: Submitted): Promise<{ outcome: JobOutcome; reason: string | null }> => {
    let unknown = 0;
    let lastKnown = current.since;
    let still = 0;
    let { grantedUntil } = current;
    for (;;) {
      const elapsed = Date.now() - current.since;
      await condition(() => nudged, nextPoll({ elapsed, progress, still }, settings.poll));
      nudged = false;
      const seen = count(
        await light.pollJob({ host, account, container, jobId: current.jobId, grantedUntil, settings }),
      );
      grantedUntil = seen.grantedUntil;
      if (seen.job === null) {
        unknown += 1;
        if (unknown >= VANISHED_AFTER && Date.now() - lastKnown >= settings.visible)
          return { outcome: 'vanished', reason: 'the hub does not know the job' };
        continue;
      }
      unknown = 0;
      lastKnown = Date.now();
      still = seen.job.progress === progress ? still + 1 : 0;
      progress = seen.job.progress;
      if (
        seen.job.status === 'completed' ||
        seen.job.status === 'failed' ||
        seen.job.status === 'cancelled'
      ) {
        return { outcome: seen.job.status, reason: seen.job.failureReason };
      }
      tell(seen.job.status === 'running' ? 'running' : 'enqueued');
      if (Date.now() - current.since > settings.jobDeadline) {
        if (!current.adopted) await cancelAtHub(current);
        return { outcome: 'stuck', reason: 'the job passed its deadline' };
      }
      if (workflowInfo().continueAsNewSuggested) {
        await continueAsNew<typeof hubJob>(request, { job: { ...current, grantedUntil }, strangers, calls });
      }
    }
  };

  /** Only for a job whose id came from our own create reply: never cancel a stranger's. */
  const cancelAtHub = async (current: Submitted): Promise<void> => {
    count(await brief.cancelJob({ host, jobId: current.jobId }));
    for (let look = 0; look < CANCEL_LOOKS; look++) {
      const seen = count(
        await brief.pollJob({
          host,
          account,
          container,
          jobId: current.jobId,
          grantedUntil: current.grantedUntil,
          settings,
        }),
      );
      if (seen.job === null || !['enqueued', 'running'].includes(seen.job.status)) return;
      await sleep(settings.poll.first, { summary: 'until the cancelled job has ended' });
    }
  };

  try {
    for (;;) {
      job ??= await submit(carry?.waiting ?? Date.now());
      const ended = await watch(job);
      tell('ended');
      // One that did not complete proves nothing by its output: it counts as ours, and the next snapshot decides.
      const ours = ended.outcome !== 'completed' || !job.adopted;
      if (ours || (await light.confirmJob({ host, account, container, type }))) {
        await light.closeJob({ host, account, container, type });
        const seconds = (Date.now() - job.since) / 1000;
        const { jobId, adopted, since } = job;
        const { outcome } = ended;
        log.info('job ended', { ...fields, jobId, outcome, seconds });
        timed(metricMeter, 'hubferry_job_seconds', seconds, { hub: host, type, outcome });
        const started = new Date(since).toISOString();
        return { ...ended, jobId, adopted, seconds, started, calls };
      }
      // It only looked like ours: our own create never arrived. Leave that job alone and submit again.
      strangers = [...strangers, job.jobId];
      job = null;
      progress = null;
    }
  } catch (error) {
    if (isCancellation(error)) {
      await CancellationScope.nonCancellable(async () => {
        if (job && !job.adopted) await cancelAtHub(job).catch(() => undefined); // then it runs to its end
        await brief.closeJob({ host, account, container, type });
      });
    }
    throw error;
  }
}
