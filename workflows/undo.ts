import type { SnapshotInfo } from '../activities/backup-export.js';
import type { Sampled } from '../activities/sampler.js';
import type { UndoResult } from '../activities/undo.js';
import type { ConfigurationsUndo } from '../activities/undo-configurations.js';
import { emptyLedger } from '../registry/ledger.js';
import { compare, type Desired } from './compare.js';
import type { Planned } from './gate.js';
import type { WriteInput } from './messages.js';
import type { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';

/** A run that is to be undone. */
export interface Undone {
  readonly run: string;
  /** The target's snapshot from before it. */
  readonly before: SnapshotInfo;
  /** Whether what it made is removed even where it was changed since. That can be done again: no plan of it is kept. */
  readonly changedToo: boolean;
}

/** What undoing a run takes. */
export interface PlannedUndo extends Planned, Pick<UndoResult, 'foreign' | 'beside'> {
  readonly configurations: ConfigurationsUndo;
}

/** Configurations first: those that the run made would go on writing to what is restored. @returns what stays undone */
export async function undoConfigurations(
  run: Run,
  { account, target: { host } }: WriteInput,
  { before, changedToo }: Undone,
  { before: now, configurations }: PlannedUndo,
): Promise<Sampled> {
  const { restore, remove, foreign } = configurations;
  if (restore + remove + foreign.count === 0) return NONE;
  const sides = { account, work: run.work, before: before.id, now: now.id, changedToo };
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

export async function plannedUndo(run: Run, input: WriteInput, undone: Undone): Promise<PlannedUndo> {
  const { before, changedToo } = undone;
  run.phase('snapshot');
  const now = await takeSnapshot(run, input, input.target.host);

  run.phase('transform');
  const { desired, foreign, beside } = await undo(run, input, undone, now);
  const sides = { account: input.account, work: run.work, before: before.id, now: now.id, changedToo };
  const configurations = await run.activities.light.planConfigurationsUndo(sides);

  run.phase('plan');
  const plan = await compare(run, input, desired, now, null);
  return { desired, source: before, before: now, plan, foreign, beside, configurations };
}

/** What the target should hold of the records of the plan that is undone. */
async function undo(
  run: Run,
  { account, settings }: WriteInput,
  { run: undone, before, changedToo }: Undone,
  now: SnapshotInfo,
): Promise<{ desired: Desired } & Pick<UndoResult, 'foreign' | 'beside'>> {
  await run.activities.light.createContainer({ account, container: run.work });
  const result: UndoResult = await run.activities.transfer.undo({
    account,
    work: run.work,
    undone,
    changedToo,
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
      ...(changedToo ? { forgets: true } : {}),
      configurations: null,
      selected: true,
    },
  };
}
