import type { SnapshotInfo } from '../activities/backup-export.js';
import type { UndoResult } from '../activities/undo.js';
import { compare, type Desired } from './compare.js';
import { fail } from './failure.js';
import { bookPlan, keepSnapshots, refuse } from './gate.js';
import type { Outcome, RollbackInput, RunReport } from './messages.js';
import { reconciled } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { bookWork, type Room } from './work.js';

/**
 * Undoes a run: the same loop, in which what its plan changed is desired as it was before, and only what the target still
 * holds as the run left it is looked at. What others have written since is named and survives.
 */
export async function rollback(input: RollbackInput): Promise<RunReport> {
  const { account, target, undone } = input;
  const run = new Run(input, { workflow: 'rollback', source: `run:${undone}`, target: target.host });
  return run.conduct(async () => {
    run.phase('preflight');
    const { activities } = run;
    const asked = await activities.ask.preflight({ account, source: null, target: target.host });
    for (const { host, calls } of asked) run.calls(host, calls);
    const { tier = 'S1', units = 1 } = asked[0] ?? {};
    const before = await activities.ask.readManifest({ account, id: input.before });

    run.phase('snapshot');
    const now = await takeSnapshot(run, input, target.host);
    keepSnapshots(run, before, now);

    run.phase('transform');
    const { desired, foreign } = await undo(run, input, before, now);

    run.phase('plan');
    const plan = await compare(run, input, desired, now, null);
    bookPlan(run, plan);
    // What is created was there before.
    const room: Room = { maxRecords: Number.POSITIVE_INFINITY, size: { tier, units } };
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
  { account, settings, undone }: RollbackInput,
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
