import { ApplicationFailure, CancellationScope, ChildWorkflowFailure, sleep } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type { Rule } from '../registry/rules.js';
import { newRun, startRun } from './child-run.js';
import { fail } from './failure.js';
import {
  type EditsInput,
  type FollowInput,
  type RollbackInput,
  type RunReport,
  writerIdOf,
} from './messages.js';
import type { Run } from './run.js';

/** What a run has done to its source. */
export interface Disabled {
  /** The run of `edit` that did it. */
  readonly run: string;
  /** The source's snapshot from before it. */
  readonly before: string;
  /** Whether all devices of the source that were enabled are disabled. */
  readonly whole: boolean;
}

/** The status reason of the devices that a run disables. */
const reasonOf = (run: string): string => `hubferry cut-over ${run}`;

/** Disables all devices of the source that are enabled, by a run of `edit`, whose snapshot is the way back. */
export async function disable(run: Run, whole: FollowInput): Promise<Disabled> {
  const { source, ...rest } = whole;
  const { run: name, account, settings, server } = rest;
  const edit = newRun(new Date());
  const rule: Rule = {
    name: 'cut-over',
    when: 'kind != "module" && status == "enabled"',
    // oxlint-disable-next-line unicorn/no-thenable -- rules are written so
    then: { status: 'disabled', statusReason: reasonOf(name) },
  };
  const input: EditsInput = {
    run: edit,
    account,
    settings,
    ...(server === undefined ? {} : { server }),
    target: { host: source.host },
    strict: false,
    rules: [rule],
  };
  const report = await CancellationScope.nonCancellable(() =>
    ranOnSource(run, source.host, 'edit', input, 'edits'),
  );
  const { outcome, snapshots, ledger } = report;
  const disabled = { run: edit, before: snapshots.target ?? '', whole: outcome === 'verified' };
  if (outcome !== 'verified' && outcome !== 'differences') {
    if (report.plan !== null) await cutBack(run, whole, disabled, 'the source could not be disabled');
    fail('SOURCE_NOT_DISABLED', `Run ${edit}, which was to disable ${source.host}, ended ${outcome}.`);
  }
  const { follow: told = NOTHING_YET } = run.report;
  run.report.follow = { ...told, disabled: { run: edit, devices: ledger.applied } };
  return disabled;
}

const NOTHING_YET = { passes: [], count: 0 };

/** Enables again what the run has disabled, whatever became of the run. */
export async function cutBack(
  run: Run,
  { source, ...rest }: FollowInput,
  disabled: Disabled,
  why: string,
): Promise<void> {
  const { account, settings, server } = rest;
  await CancellationScope.nonCancellable(async () => {
    run.phase('clean-up');
    const back = newRun(new Date());
    const input: RollbackInput = {
      run: back,
      account,
      settings,
      ...(server === undefined ? {} : { server }),
      target: { host: source.host },
      undone: disabled.run,
      before: disabled.before,
    };
    const { outcome, ledger } = await ranOnSource(run, source.host, 'rollback', input, `run:${disabled.run}`);
    if (outcome !== 'verified') run.warn('SOURCE_STILL_DISABLED', 1, [`see run ${back}`]);
    const { follow: told = NOTHING_YET } = run.report;
    run.report.follow = { ...told, cutBack: { run: back, devices: ledger.applied, why } };
  });
}

/** The report that a failed run closed with. @throws the error where there is none */
function reportOf(error: unknown): RunReport {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : undefined;
  const [report] = cause instanceof ApplicationFailure ? (cause.details ?? []) : [];
  if (report === undefined) throw error;
  return report as RunReport;
}

/**
 * A run on the source, to its end. Another one that writes there is waited for as long as a job may take before the run
 * rests; without end where the source is to be used again.
 */
async function ranOnSource(
  run: Run,
  host: string,
  workflow: 'edit' | 'rollback',
  input: EditsInput | RollbackInput,
  source: string,
): Promise<RunReport> {
  return run.steering.step(async () => {
    for (const since = Date.now(); ; ) {
      const child = await startRun({
        workflow,
        workflowId: writerIdOf(host),
        input,
        summary: `${workflow} for the cut-over of run ${run.report.run}`,
        report: { workflow, source, target: host },
      });
      if (child !== null) {
        const report = await child.result().then(
          (ended) => ended as RunReport,
          (error: unknown) => reportOf(error),
        );
        if (report.error?.code !== 'TARGET_BUSY') return report;
      }
      if (Date.now() - since > input.settings.jobDeadline && run.steering.restsFor('TARGET_BUSY'))
        fail('TARGET_BUSY', `Another run writes to ${host}, and has for too long.`);
      await sleep(input.settings.slotWait, { summary: `until nobody else writes to ${host}` });
    }
  });
}

/** The source as it is, but with the status that its devices had before the run disabled them. */
export async function withStatuses(
  run: Run,
  { run: name, account, settings }: FollowInput,
  { before }: Disabled,
  after: SnapshotInfo,
): Promise<SnapshotInfo> {
  const container = run.containers()(1);
  await run.activities.light.createContainer({ account, container });
  await run.activities.light.createContainer({ account, container: run.work });
  return run.activities.transfer.restoreStatuses({
    account,
    work: run.work,
    before,
    after: after.id,
    reason: reasonOf(name),
    container,
    partitionBytes: settings.partitionBytes,
    maxLineBytes: settings.maxLineBytes,
  });
}
