import type { SnapshotInfo } from '../activities/backup-export.js';
import type { UndoResult } from '../activities/undo.js';
import { compare, type Desired } from './compare.js';
import { bookPlan, cleared, keepSnapshots, type Planned, preflight, refuse } from './gate.js';
import type { Outcome, RollbackInput, RunReport, WriteInput } from './messages.js';
import { reconciled, writeDifferences } from './reconcile.js';
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

    const made = await plannedUndo(run, input, undone, before);
    bookPlan(run, made.plan);
    bookWork(run, input, made.plan, made.before, room);
    refuse(run, input, made, room);
    const now = await cleared(run, input, made, room, () => plannedUndo(run, input, undone, before));
    const { foreign, beside } = made;
    run.warn('CHANGED_SINCE_RUN', foreign.count, foreign.samples);
    run.warn('NOT_UNDONE', beside.count, beside.samples);
    const outcome: Outcome = await reconciled(run, input, now.desired, now.plan);
    if (foreign.count + beside.count === 0) return outcome;
    await writeDifferences(run, input, { pass: run.lastPass, partitions: now.plan.partitions });
    return outcome === 'verified' ? 'differences' : outcome;
  });
}

/** @param before the target's snapshot from before the run that is undone. */
async function plannedUndo(
  run: Run,
  input: WriteInput,
  undone: string,
  before: SnapshotInfo,
): Promise<Planned & Pick<UndoResult, 'foreign' | 'beside'>> {
  run.phase('snapshot');
  const now = await takeSnapshot(run, input, input.target.host);
  keepSnapshots(run, before, now);

  run.phase('transform');
  const { desired, foreign, beside } = await undo(run, input, undone, before, now);

  run.phase('plan');
  const plan = await compare(run, input, desired, now, null);
  return { desired, source: before, before: now, plan, foreign, beside };
}

/** What the target should hold of the records of the plan that is undone. */
async function undo(
  run: Run,
  { account, settings }: WriteInput,
  undone: string,
  before: SnapshotInfo,
  now: SnapshotInfo,
): Promise<{ desired: Desired } & Pick<UndoResult, 'foreign' | 'beside'>> {
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
  const none = { count: 0, samples: [] };
  return {
    foreign,
    beside,
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
