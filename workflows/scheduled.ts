import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  type ChildWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  type Workflow,
  workflowInfo,
} from '@temporalio/workflow';
import { ERRORS, type ErrorCode } from '../registry/errors.js';
import { newRun, startRun } from './child-run.js';
import { failureOf } from './failure.js';
import {
  emptyReport,
  type Outcome,
  RUN_PLACE,
  type RunInput,
  type RunReport,
  type ScheduledEnd,
  type ScheduledInput,
} from './messages.js';
import { type Proxies, proxies } from './proxies.js';

/** For what Temporal started this workflow; its own name. */
const SCHEDULED_TIME = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/** Ends of a run after which older snapshots may go. */
const GOOD: readonly Outcome[] = ['done', 'verified'];

/** Ends of a run that pause a schedule with --pause-on-failure. */
const BAD: readonly Outcome[] = ['failed', 'differences'];

/**
 * One time of a schedule: starts the run as a child under the id that its verb gives it, waits for it, and ends as it
 * does. Where the id is taken it ends `skipped`, with a report that says by whom.
 *
 * Cancelling it cancels the run; a run whose `scheduled` was terminated is cancelled too, so that it ends with a report.
 *
 * @throws ApplicationFailure with the run's code, if `failing` and the run ended failed or with differences.
 */
export async function scheduled(given: ScheduledInput): Promise<ScheduledEnd> {
  const run = newRun(due());
  const input: RunInput = { ...given.input, run, schedule: given.schedule };
  const workflowId = given.workflowId.replaceAll(RUN_PLACE, run);
  const activities = proxies(input.settings);
  setCurrentDetails(`run ${run}`);
  const { workflow, digest, summary, report } = given;
  const child = await startRun({ workflow, workflowId, input, digest, summary, report });
  if (child === null) {
    await skip(activities, given, input, workflowId);
    return { run, outcome: 'skipped' };
  }
  const { outcome, code } = await endOf(child);
  // A run of another Temporal server writes to its target.
  if (code === 'TARGET_BUSY') return { run, outcome: 'skipped' };
  if (given.failing && BAD.includes(outcome)) {
    // A schedule that pauses keeps these words, in clear.
    const message = `Run ${run} ended ${outcome}${code === null ? '' : ` (${code})`}.`;
    throw ApplicationFailure.nonRetryable(message, code ?? outcome);
  }
  if (given.keep === undefined || !GOOD.includes(outcome)) return { run, outcome };
  return { run, outcome, retention: await retain(activities, input, given.keep) };
}

/** What this is due at. */
function due(): Date {
  const { typedSearchAttributes, startTime } = workflowInfo();
  return typedSearchAttributes.get(SCHEDULED_TIME) ?? startTime;
}

async function endOf(
  child: ChildWorkflowHandle<Workflow>,
): Promise<{ readonly outcome: Outcome; readonly code: ErrorCode | null }> {
  try {
    const { outcome } = (await child.result()) as RunReport;
    return { outcome, code: null };
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    if (isCancellation(error)) return { outcome: 'cancelled', code: null };
    return { outcome: 'failed', code: failureOf(error).code };
  }
}

/** Writes the report of a run that was not started. */
async function skip(
  { light }: Proxies,
  { schedule, report: what }: ScheduledInput,
  { account, run, server }: RunInput,
  workflowId: string,
): Promise<void> {
  const other = await light.runUnder({ workflowId });
  const begun = emptyReport({ run, ...what, schedule, ...(server === undefined ? {} : { server }) });
  const code = 'TARGET_BUSY';
  const who = other === null ? 'Another run' : `Run ${other}`;
  const message = `${who} wrote to ${what.target ?? what.source} when schedule ${schedule} was due.`;
  const report: RunReport = {
    ...begun,
    outcome: 'skipped',
    phase: 'ended',
    ended: new Date().toISOString(),
    report: `hubferry/runs/${run}.json`,
    error: { code, message, hint: ERRORS[code].hint },
  };
  await light.writeReport({ account, report });
}

/** What cannot be removed now is removed after a later run. */
async function retain(
  { brief }: Proxies,
  { account, run }: RunInput,
  keep: NonNullable<ScheduledInput['keep']>,
): Promise<RunReport['retention'] | null> {
  try {
    return await brief.removeSnapshots({ account, run, keep });
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.warn('old snapshots stay for now', { run, code: failureOf(error).code });
    return null;
  }
}
