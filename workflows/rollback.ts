import type { SnapshotInfo } from '../activities/backup-export.js';
import type { Sampled } from '../activities/sampler.js';
import type { UndoResult } from '../activities/undo.js';
import type { ConfigurationsUndo } from '../activities/undo-configurations.js';
import { emptyLedger } from '../registry/ledger.js';
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

    const again = (): Promise<PlannedUndo> => plannedUndo(run, input, undone, before);
    const made = await again();
    bookPlan(run, made.plan);
    bookWork(run, input, made.plan, made.before, room);
    refuse(run, input, made, room);
    const now = await cleared(run, input, made, room, again);
    const open = await undoConfigurations(run, input, before, now);
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

/** What undoing a run takes. */
interface PlannedUndo extends Planned, Pick<UndoResult, 'foreign' | 'beside'> {
  readonly configurations: ConfigurationsUndo;
}

/** Configurations first: those that the run made would go on writing to what is restored. @returns what stays undone */
async function undoConfigurations(
  run: Run,
  { account, target: { host } }: WriteInput,
  before: SnapshotInfo,
  { before: now, configurations }: PlannedUndo,
): Promise<Sampled> {
  const { restore, remove, foreign } = configurations;
  if (restore + remove + foreign.count === 0) return NONE;
  const sides = { account, work: run.work, before: before.id, now: now.id };
  const { open } = run.counted(host, await run.activities.light.undoConfigurations({ ...sides, host }));
  run.report.ledger.configurations = {
    ...emptyLedger(),
    source: restore + foreign.count,
    filtered: foreign.count,
    desired: restore,
    update: restore,
    delete: remove,
    applied: restore + remove - open.count,
    uncertain: open.count,
  };
  return open;
}

const NONE: Sampled = { count: 0, samples: [] };

/** @param before the target's snapshot from before the run that is undone. */
async function plannedUndo(
  run: Run,
  input: WriteInput,
  undone: string,
  before: SnapshotInfo,
): Promise<PlannedUndo> {
  run.phase('snapshot');
  const now = await takeSnapshot(run, input, input.target.host);
  keepSnapshots(run, before, now);

  run.phase('transform');
  const { desired, foreign, beside } = await undo(run, input, undone, before, now);
  const sides = { account: input.account, work: run.work, before: before.id, now: now.id };
  const configurations = await run.activities.light.planConfigurationsUndo(sides);

  run.phase('plan');
  const plan = await compare(run, input, desired, now, null);
  return { desired, source: before, before: now, plan, foreign, beside, configurations };
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
  return {
    foreign,
    beside,
    desired: {
      snapshot: before.id,
      partitions,
      systemModules: NONE,
      staleParents: NONE,
      refusedWithoutId: { count: 0, samples: [] },
      undoesConfigurations: true,
      configurations: null,
      selected: true,
    },
  };
}
