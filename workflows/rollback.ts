import { bookPlan, cleared, keepSnapshots, preflight, refuse } from './gate.js';
import type { Outcome, RollbackInput, RunReport, WriteInput } from './messages.js';
import { reconciled, writeDifferences } from './reconcile.js';
import { Run } from './run.js';
import { type PlannedUndo, plannedUndo, undoConfigurations } from './undo.js';
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

    const undoing = { run: undone, before, changedToo: false };
    const again = async (): Promise<PlannedUndo> => {
      const planned = await plannedUndo(run, input, undoing);
      keepSnapshots(run, before, planned.before);
      return planned;
    };
    const made = await again();
    bookPlan(run, made.plan);
    bookWork(run, input, made.plan, made.before, room);
    refuse(run, input, made, room);
    const now = await cleared(run, input, made, room, again);
    const open = await undoConfigurations(run, input, undoing, now);
    const outcome: Outcome = await reconciled(run, input, now.desired, now.plan);
    const { foreign, beside, configurations } = now;
    run.warn('CHANGED_SINCE_RUN', foreign.count, foreign.samples);
    run.warn('CHANGED_SINCE_RUN', configurations.foreign.count, configurations.foreign.samples);
    run.warn('NOT_UNDONE', beside.count + open.count, [...beside.samples, ...open.samples]);
    if (foreign.count + configurations.foreign.count + beside.count + open.count === 0) return outcome;
    await writeDifferences(run, input, { pass: run.lastPass, partitions: now.plan.partitions });
    return outcome === 'verified' ? 'differences' : outcome;
  });
}
