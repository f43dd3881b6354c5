import type { SnapshotInfo } from '../activities/backup-export.js';
import type { UndoResult } from '../activities/undo.js';
import { compare, type Desired } from './compare.js';
import { fail } from './failure.js';
import { bookPlan, keepSnapshots, preflight, refuse } from './gate.js';
import type { Outcome, RollbackInput, RunReport, WriteInput } from './messages.js';
import { reconciled } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { bookWork, type Room } from './work.js';

/** Whatever is ours is made as it was. */
const POLICY = { existing: 'overwrite', extra: 'delete', maxDelete: 'own', strict: false } as const;

/**
 * Undoes a run: the same loop, in which what its plan changed is desired as it was before, and only what the target still
 * holds as the run left it is looked at. What others have written since is named and survives.
 */
export async function rollback({ undone, before: beforeId, ...rest }: RollbackInput): Promise<RunReport> {
  const input: WriteInput = { ...rest, ...POLICY };
  const { account, target } = input;
  const run = new Run(input, { workflow: 'rollback', source: `run:${undone}`, target: target.host });
  return run.conduct(async () => {
    run.phase('preflight');
    // What is created was there before.
    const room: Room = { ...(await preflight(run, input, null)), maxRecords: Number.POSITIVE_INFINITY };
    const before = await run.activities.ask.readManifest({ account, id: beforeId });

    run.phase('snapshot');
    const now = await takeSnapshot(run, input, target.host);
    keepSnapshots(run, before, now);

    run.phase('transform');
    const { desired, foreign } = await undo(run, input, undone, before, now);

    run.phase('plan');
    const plan = await compare(run, input, desired, now, null);
    bookPlan(run, plan);
    bookWork(run, input, plan, now, room);
    refuse(run, input, plan, before, now, room);
    // What is ours to undo was decided by this snapshot, so it has to be made anew as a whole.
    if (Date.now() - Date.parse(now.taken) > input.settings.planMaxAge)
      fail('PLAN_STALE', `The snapshot of ${target.host} is too old to be written by; nothing was written.`);
    const outcome: Outcome = await reconciled(run, input, desired, plan);
    return foreign > 0 && outcome === 'verified' ? 'differences' : outcome;
  });
}

/** What the target should hold of the records of the plan that is undone. */
async function undo(
  run: Run,
  { account, settings }: WriteInput,
  undone: string,
  before: SnapshotInfo,
  now: SnapshotInfo,
): Promise<{ desired: Desired; foreign: number }> {
  await run.activities.light.createContainer({ account, container: run.work });
  const result: UndoResult = await run.activities.transfer.undo({
    account,
    work: run.work,
    undone,
    before: { id: before.id, sha256: before.sha256 },
    now: { id: now.id, sha256: now.sha256 },
    bytes: Math.max(before.bytes, now.bytes),
    partitionBytes: settings.partitionBytes,
    maxLineBytes: settings.maxLineBytes,
  });
  const { partitions, restored, foreign, foreignBefore, beside } = result;
  run.report.ledger.source = restored + foreignBefore;
  run.report.ledger.filtered = foreignBefore;
  run.warn('CHANGED_SINCE_RUN', foreign.count, foreign.samples);
  run.warn('NOT_UNDONE', beside.count, beside.samples);
  const none = { count: 0, samples: [] };
  return {
    foreign: foreign.count + beside.count,
    desired: {
      snapshot: before.id,
      partitions,
      systemModules: none,
      staleParents: none,
      refusedWithoutId: none,
      configurations: null,
      selected: true,
    },
  };
}
