import { setTimeout as pause } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { isHost } from '../registry/run-name.js';
import { temporal } from '../worker/temporal.js';
import type { ApplyState, InLine, JobState, RunReport } from '../workflows/messages.js';
import { applyIdOf, hubJobIdOf, hubQueueIdOf } from '../workflows/messages.js';
import { lost, readReport, type StartedRun } from './runs.js';
import { type Session } from './session.js';

/** How often a followed run is looked at, ms. */
const LOOK_EVERY = 500;

/** How long one question may take, ms. Without a worker the server itself would take 29 s to say so. */
const LOOK_TIME = 2_000;

/**
 * How long nobody answers before what runs them is looked after, ms: a supervisor brings server or worker back sooner.
 */
const REVIVE_AFTER = 10_000;

/** A run as it stands, put together from its own state and that of the jobs it waits for. */
export interface LiveRun {
  readonly report: RunReport;
  readonly apply: ApplyState | null;
  readonly jobs: readonly (JobState & { readonly host: string })[];
  /** Hubs that run jobs of other runs first, and how many of them. */
  readonly inLine: readonly { readonly host: string; readonly ahead: number }[];
}

/** What a look at a run finds: the run, or who does not answer. */
export type Look = LiveRun | 'no worker' | 'no server';

/** Asks a running workflow for its state; takes a few seconds at most. */
export async function look({ client }: Session, handle: WorkflowHandle): Promise<Look> {
  const inTime = async <T>(call: () => Promise<T>): Promise<T> =>
    await client.connection.withDeadline(Date.now() + LOOK_TIME, call);
  const ask = async <T>(asked: WorkflowHandle, query: string): Promise<T | null> => {
    try {
      return await inTime(() => asked.query<T>(query));
    } catch {
      return null; // not there yet, already gone, or nobody answers for the moment
    }
  };
  const report = await ask<RunReport>(handle, 'runReport');
  if (report === null) {
    const served = await inTime(() => handle.describe()).then(
      () => true,
      (error: unknown) => !isOutage(error),
    );
    return served ? 'no worker' : 'no server';
  }
  const workflow = (id: string): WorkflowHandle => client.workflow.getHandle(id);
  const isOurs = ({ container }: { container: string }): boolean => container.startsWith(`hf-${report.run}-`);
  const hosts = [report.source, report.target].filter(isHost);
  const [apply, ...hubs] = await Promise.all([
    report.sending === undefined
      ? null
      : ask<ApplyState>(workflow(applyIdOf(report.run, report.sending)), 'applyState'),
    ...hosts.map(async (host) => {
      const job = await ask<JobState>(workflow(hubJobIdOf(host)), 'jobState');
      if (job === null || job.status === 'ended') return { job: null, place: null };
      if (isOurs(job)) return { job: { ...job, host }, place: null };
      const inLine = await ask<readonly InLine[]>(workflow(hubQueueIdOf(host)), 'line');
      const ahead = inLine?.findIndex(isOurs) ?? -1;
      return { job: null, place: ahead > 0 ? { host, ahead } : null };
    }),
  ]);
  return {
    report: timed(report),
    apply,
    jobs: hubs.flatMap(({ job }) => job ?? []),
    inLine: hubs.flatMap(({ place }) => place ?? []),
  };
}

/** A run that goes on, with its time until now: a workflow's own clock stands still while it waits. */
export function timed(report: RunReport): RunReport {
  if (report.ended) return report;
  const total = Math.max(report.seconds.total, (Date.now() - Date.parse(report.started)) / 1000);
  return { ...report, seconds: { ...report.seconds, total } };
}

/**
 * Follows a run to its end, or to where it waits for somebody, and returns its report. A server that is away for a while is waited for, and in embedded mode
 * started again where it was killed; the run itself does not need this process.
 *
 * @throws HubferryError what keeps the embedded server from being started
 */
export async function follow(
  session: Session,
  started: StartedRun,
  show: (seen: Look) => void,
  reviveAfter = REVIVE_AFTER,
): Promise<RunReport> {
  const ended = new AbortController();
  let park: (report: RunReport) => void = () => undefined;
  const parked = new Promise<RunReport>((resolve) => (park = resolve));
  const watch = async (): Promise<void> => {
    let answered = Date.now();
    while (!ended.signal.aborted) {
      const seen = await look(session, handleOf(session, started));
      if (ended.signal.aborted) return;
      if (typeof seen !== 'string' && seen.report.outcome === 'parked') {
        park(seen.report);
        return;
      }
      show(seen);
      if (typeof seen !== 'string') answered = Date.now();
      else if (Date.now() - answered >= reviveAfter) {
        await session.revive();
        answered = Date.now();
      }
      await pause(LOOK_EVERY, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  };
  // Only its failure is waited for: a last look must not hold the result back.
  const broken = new Promise<never>((_, reject) => void watch().catch(reject));
  try {
    return await Promise.race([result(session, started, ended.signal), broken, parked]);
  } finally {
    ended.abort();
  }
}

const handleOf = ({ client }: Session, { workflowId, runId }: StartedRun): WorkflowHandle =>
  client.workflow.getHandle(workflowId, runId);

async function result(session: Session, started: StartedRun, givenUp: AbortSignal): Promise<RunReport> {
  const { begun } = started;
  const stored = async (): Promise<RunReport> =>
    await readReport(session.config, begun.run).catch(() => begun);
  try {
    // A question that nobody waits for any more would keep the process for as long as the server lets it wait, 20 s.
    const ask = (): Promise<unknown> =>
      session.client.connection.withAbortSignal(givenUp, () => handleOf(session, started).result());
    return (await outlasting(ask, givenUp)) as RunReport;
  } catch (error) {
    const { ApplicationFailure, CancelledFailure, WorkflowFailedError, WorkflowNotFoundError } = temporal();
    if (error instanceof WorkflowNotFoundError) return lost(await stored());
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof CancelledFailure) return { ...(await stored()), outcome: 'cancelled' };
    if (!(cause instanceof ApplicationFailure)) return lost(await stored()); // terminated, or past a time limit
    if (cause.details?.[0]) return cause.details[0] as RunReport;
    throw error;
  }
}

/** Asks until the server is there to answer, or nobody wants to know any more. */
export async function outlasting<T>(ask: () => Promise<T>, givenUp?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isOutage(error) || givenUp?.aborted) throw error;
      await pause(LOOK_EVERY);
    }
  }
}

/** gRPC UNAVAILABLE and DEADLINE_EXCEEDED. */
const OUTAGE_CODES = new Set<number>([14, 4]);

/** The server is away; the run is not. */
export function isOutage(error: unknown): boolean {
  const { isGrpcServiceError, ServiceError } = temporal();
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && OUTAGE_CODES.has(cause.code);
}
