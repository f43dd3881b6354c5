import { setTimeout as pause } from 'node:timers/promises';
import {
  isGrpcServiceError,
  ServiceError,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ApplyState, InLine, JobState, RunReport } from '../workflows/messages.js';
import { applyIdOf, hubJobIdOf, hubQueueIdOf } from '../workflows/messages.js';
import { lost, readReport, type StartedRun } from './runs.js';
import { type Session } from './session.js';

/** How often a followed run is looked at, ms. */
const LOOK_EVERY = 500;

/** How long one question may take, ms. Without a worker the server itself would take 29 s to say so. */
const LOOK_TIME = 2_000;

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
  const hosts = [report.source, report.target].filter((host): host is string => isHost(host));
  const [apply, ...hubs] = await Promise.all([
    report.phase === 'apply'
      ? ask<ApplyState>(workflow(applyIdOf(report.run, roundOf(report))), 'applyState')
      : null,
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

const isHost = (name: string | null): boolean => name !== null && !name.startsWith('snapshot:');

const roundOf = (report: RunReport): number =>
  report.warnings.find((warning) => warning.code === 'REPAIR_ROUND')?.count ?? 0;

/**
 * Follows a run to its end and returns its report. A server that is away for a while is waited for; the run itself does
 * not need this process.
 */
export async function follow(
  session: Session,
  started: StartedRun,
  show: (seen: Look) => void,
): Promise<RunReport> {
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const seen = await look(session, started.handle);
      if (ended.signal.aborted) return;
      show(seen);
      await pause(LOOK_EVERY, undefined, { signal: ended.signal }).catch(() => undefined);
    }
  };
  void watch(); // not waited for at the end: a last look must not hold the result back
  try {
    return await result(session, started);
  } finally {
    ended.abort();
  }
}

async function result(session: Session, { handle, begun }: StartedRun): Promise<RunReport> {
  const stored = async (): Promise<RunReport> =>
    await readReport(session.config, begun.run).catch(() => begun);
  for (;;) {
    try {
      return (await handle.result()) as RunReport;
    } catch (error) {
      if (isOutage(error)) {
        await pause(LOOK_EVERY);
        continue;
      }
      if (error instanceof WorkflowNotFoundError) return lost(await stored());
      if (!(error instanceof WorkflowFailedError)) throw error;
      const { cause } = error;
      if (cause instanceof CancelledFailure) return { ...(await stored()), outcome: 'cancelled' };
      if (!(cause instanceof ApplicationFailure)) return lost(await stored()); // terminated, or past a time limit
      if (cause.details?.[0]) return cause.details[0] as RunReport;
      throw error;
    }
  }
}

/** gRPC UNAVAILABLE and DEADLINE_EXCEEDED. */
const OUTAGE_CODES = new Set<number>([14, 4]);

/** The server is away; the run is not. */
export function isOutage(error: unknown): boolean {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && OUTAGE_CODES.has(cause.code);
}
