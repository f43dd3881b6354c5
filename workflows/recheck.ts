import { isCancellation } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { changesIn } from '../registry/source-changes.js';
import { failureOf } from './failure.js';
import type { MigrateInput, Outcome } from './messages.js';
import type { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';

/**
 * Where that is asked for, exports the source once more and counts what changed there since the run's first snapshot of
 * it. That was not compared with anything, so it changes no verdict, and neither does a source that cannot be exported.
 *
 * @returns the outcome it is given.
 */
export async function rechecked(
  run: Run,
  { recheckSource, source, ...input }: MigrateInput,
  before: SnapshotInfo,
  outcome: Outcome,
): Promise<Outcome> {
  if (recheckSource !== true || source.kind !== 'hub') return outcome;
  run.phase('recheck');
  const { account, settings } = input;
  try {
    const after = await takeSnapshot(run, input, source.host);
    const { changes, samples } = await run.activities.transfer.compareSnapshots({
      account,
      work: run.work,
      before,
      after,
      partitionBytes: settings.partitionBytes,
      maxLineBytes: settings.maxLineBytes,
    });
    run.report.sourceChanges = changes;
    run.warn('SOURCE_CHANGED', changesIn(changes), samples);
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.warn('SOURCE_NOT_RECHECKED', 1, [failureOf(error).message]);
  }
  return outcome;
}
