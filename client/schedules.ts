import { setTimeout as pause } from 'node:timers/promises';
import type { Client, ScheduleDescription, ScheduleHandle } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import type { Retention } from '../registry/retention.js';
import { temporal } from '../worker/temporal.js';
import {
  RUN_PLACE,
  type RunInput,
  SCHEDULES,
  type ScheduledInput,
  scheduleIdOf,
  TASK_QUEUE,
} from '../workflows/messages.js';
import type { Start } from './run.js';
import { digestOf } from './runs.js';
import type { Session } from './session.js';

/** Times that are missed by more than this are left out, ms. */
export const CATCH_UP = 3_600_000;

/** So many times Temporal lists, and holds in line, at most. */
const MOST_TIMES = 1_000;

/** What somebody asked a schedule to be. */
export interface SchedulePlan {
  readonly name: string;
  /** When, in UTC: every so many ms counted from 1970, or by a cron expression. */
  readonly when: { readonly every: number } | { readonly cron: string };
  /** Up to how much later, ms. */
  readonly jitter?: number;
  readonly overlap: 'skip' | 'buffer-one';
  readonly pauseOnFailure: boolean;
  readonly keep?: Retention;
  /** The command, as it may be shown. */
  readonly command: string;
  readonly start: Start<RunInput>;
}

/** What a schedule remembers of its plan, to show it. */
export type ScheduleNote = Pick<SchedulePlan, 'command' | 'when' | 'jitter' | 'keep'>;

const OVERLAPS = { skip: 'SKIP', 'buffer-one': 'BUFFER_ONE', 'buffer-all': 'BUFFER_ALL' } as const;

/** What becomes of a time that is due while the run before goes on. */
export type Overlap = keyof typeof OVERLAPS;

/**
 * Makes a schedule. Its runs have the settings and rules that the command has now.
 *
 * @throws HubferryError SCHEDULE_EXISTS; USAGE for times that the server does not take
 */
export async function createSchedule(
  { client, account, settings, server }: Pick<Session, 'client' | 'account' | 'settings' | 'server'>,
  plan: SchedulePlan,
  taskQueue = TASK_QUEUE,
): Promise<ScheduleHandle> {
  const { name, when, jitter, keep, command, start } = plan;
  const input = start.input({ run: RUN_PLACE, account, settings, server });
  const scheduled: ScheduledInput = {
    schedule: name,
    workflow: start.workflow,
    workflowId: start.workflowId(RUN_PLACE),
    input,
    digest: digestOf(input),
    summary: start.summary,
    report: start.report,
    ...(keep === undefined ? {} : { keep }),
    failing: plan.pauseOnFailure,
  };
  const note: ScheduleNote = {
    command,
    when,
    ...(jitter === undefined ? {} : { jitter }),
    ...(keep === undefined ? {} : { keep }),
  };
  try {
    return await client.schedule.create({
      scheduleId: scheduleIdOf(name),
      spec: {
        ...('every' in when ? { intervals: [{ every: when.every }] } : { cronExpressions: [when.cron] }),
        ...(jitter === undefined ? {} : { jitter }),
      },
      action: {
        type: 'startWorkflow',
        workflowType: 'scheduled',
        workflowId: scheduleIdOf(name),
        taskQueue,
        args: [scheduled],
        staticSummary: `schedule ${name}: ${start.summary}`,
      },
      policies: {
        overlap: OVERLAPS[plan.overlap],
        catchupWindow: CATCH_UP,
        pauseOnFailure: plan.pauseOnFailure,
      },
      memo: { ...note },
    });
  } catch (error) {
    if (error instanceof temporal().ScheduleAlreadyRunning)
      throw new HubferryError('SCHEDULE_EXISTS', `There is a schedule ${name} already.`);
    const refusal = refusalOf(error);
    if (refusal !== null)
      throw new HubferryError('USAGE', `The Temporal server does not take these times: ${refusal}`);
    throw error;
  }
}

/** What the server says to a request that it does not take; null for other faults. */
function refusalOf(error: unknown): string | null {
  const { isGrpcServiceError, ServiceError } = temporal();
  const cause = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(cause)) return null;
  const code: number = cause.code;
  return code === INVALID_ARGUMENT ? cause.details : null;
}

/** gRPC status code. */
const INVALID_ARGUMENT = 3;

/** A schedule as it stands. */
export interface Scheduled {
  readonly name: string;
  readonly note: Partial<ScheduleNote>;
  readonly paused: boolean;
  /** Why it was paused, or resumed. */
  readonly reason: string | null;
  readonly next: readonly Date[];
}

/** One schedule with all that the server knows of it. */
export interface ScheduleDetails extends Scheduled {
  readonly overlap: string;
  readonly catchUp: number;
  readonly pauseOnFailure: boolean;
  readonly counts: {
    readonly started: number;
    /** Times that were due while the run before went on. */
    readonly skippedByOverlap: number;
    /** Times that were missed by more than the catch-up window. */
    readonly missed: number;
  };
  /** The last times, oldest first. */
  readonly recent: readonly { readonly due: Date; readonly started: Date; readonly workflowId: string }[];
  /** Whether a time of it goes on. */
  readonly running: boolean;
}

/** All schedules of hubferry on the server, by name. */
export async function listSchedules(client: Client): Promise<Scheduled[]> {
  const found: Scheduled[] = [];
  for await (const { scheduleId, memo, state, info } of client.schedule.list()) {
    if (!scheduleId.startsWith(SCHEDULES)) continue;
    found.push({
      name: scheduleId.slice(SCHEDULES.length),
      note: noteOf(memo),
      paused: state.paused,
      reason: state.note ?? null,
      next: state.paused ? [] : info.nextActionTimes,
    });
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws HubferryError SCHEDULE_NOT_FOUND */
export async function describeSchedule(client: Client, name: string): Promise<ScheduleDetails> {
  const { memo, state, info, policies } = await described(client, name);
  return {
    name,
    note: noteOf(memo),
    paused: state.paused,
    reason: state.note ?? null,
    next: state.paused ? [] : info.nextActionTimes,
    overlap: wordOf(policies.overlap),
    catchUp: policies.catchupWindow,
    pauseOnFailure: policies.pauseOnFailure,
    counts: {
      started: info.numActionsTaken,
      skippedByOverlap: info.numActionsSkippedOverlap,
      missed: info.numActionsMissedCatchupWindow,
    },
    recent: info.recentActions.map(({ scheduledAt, takenAt, action }) => ({
      due: scheduledAt,
      started: takenAt,
      workflowId: action.workflow.workflowId,
    })),
    running: info.runningActions.length > 0,
  };
}

const wordOf = (policy: string | undefined): string =>
  Object.entries(OVERLAPS).find(([, theirs]) => theirs === policy)?.[0] ?? 'skip';

/** What we wrote there; a schedule that somebody else made may have anything. */
function noteOf(memo: Readonly<Record<string, unknown>> | undefined): Partial<ScheduleNote> {
  return isJsonObject(memo) && typeof memo['command'] === 'string' ? memo : {};
}

const described = (client: Client, name: string): Promise<ScheduleDescription> =>
  known(name, () => client.schedule.getHandle(scheduleIdOf(name)).describe());

/** @throws HubferryError SCHEDULE_NOT_FOUND */
async function known<T>(name: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof temporal().ScheduleNotFoundError)
      throw new HubferryError('SCHEDULE_NOT_FOUND', `There is no schedule ${name}.`);
    throw error;
  }
}

/** @throws HubferryError SCHEDULE_NOT_FOUND */
export async function pauseSchedule(client: Client, name: string, reason: string): Promise<void> {
  await known(name, () => client.schedule.getHandle(scheduleIdOf(name)).pause(reason));
}

/** @throws HubferryError SCHEDULE_NOT_FOUND */
export async function resumeSchedule(client: Client, name: string): Promise<void> {
  await known(name, () => client.schedule.getHandle(scheduleIdOf(name)).unpause('resumed'));
}

/** A run that goes on does so. @throws HubferryError SCHEDULE_NOT_FOUND */
export async function deleteSchedule(client: Client, name: string): Promise<void> {
  await known(name, () => client.schedule.getHandle(scheduleIdOf(name)).delete());
}

/** How long a trigger may take to be counted, ms. */
const TRIGGER_TIME = 10_000;

/**
 * Starts a run of the schedule now, unless one goes on (Temporal's own default would start a second one beside it).
 *
 * @throws HubferryError SCHEDULE_NOT_FOUND
 */
export async function triggerSchedule(
  client: Client,
  name: string,
): Promise<'started' | 'skipped' | 'asked'> {
  const before = (await described(client, name)).info;
  await client.schedule.getHandle(scheduleIdOf(name)).trigger('SKIP');
  for (const deadline = Date.now() + TRIGGER_TIME; Date.now() < deadline; await pause(50)) {
    const { info } = await described(client, name);
    if (info.numActionsTaken > before.numActionsTaken) return 'started';
    if (info.numActionsSkippedOverlap > before.numActionsSkippedOverlap) return 'skipped';
  }
  return 'asked';
}

/**
 * Makes up for the times of a schedule in a stretch of the past, both ends included.
 *
 * @returns how many they are
 * @throws HubferryError SCHEDULE_NOT_FOUND; USAGE for too many times
 */
export async function backfillSchedule(
  client: Client,
  name: string,
  { from, to }: { readonly from: Date; readonly to: Date },
  overlap: Overlap,
): Promise<number> {
  await described(client, name);
  const { startTime } = await client.workflowService.listScheduleMatchingTimes({
    namespace: client.options.namespace,
    scheduleId: scheduleIdOf(name),
    // A list of times leaves out its start, a backfill does not.
    startTime: msToTs(from.getTime() - 1),
    endTime: msToTs(to.getTime()),
  });
  const times = startTime.length;
  if (times >= MOST_TIMES)
    throw new HubferryError('USAGE', `${MOST_TIMES} times or more are too many to be made up at once.`);
  if (times > 0)
    await client.schedule
      .getHandle(scheduleIdOf(name))
      .backfill({ start: from, end: to, overlap: OVERLAPS[overlap] });
  return times;
}
