import type { SnapshotInfo } from '../activities/backup-export.js';
import type { PartitionDifference } from '../activities/reconcile.js';
import type { TransformResult } from '../activities/transform.js';
import type { VerifyCounts } from '../registry/ledger.js';
import { compareWaves } from '../registry/waves.js';
import type { WaveLines } from './apply.js';
import type { MigrateInput } from './messages.js';
import { type Run, SAMPLES } from './run.js';

/** Desired against actual, over all partitions: the plan before the import, and the verdict after it. */
export interface Difference extends Omit<PartitionDifference, 'partition' | 'lines'> {
  /** The number of this comparison in its run; its changes stand under this number in the work container. */
  readonly pass: number;
  readonly partitions: number;
  /** The snapshot of the target that was compared. */
  readonly targetSnapshot: string;
  /** SHA-256 over the changes (design §5). */
  readonly hash: string;
  readonly waves: readonly WaveLines[];
  readonly verify: VerifyCounts;
}

/**
 * Compares desired with a snapshot of the target, partition by partition, in as many activities.
 *
 * @param own the plan whose records are this run's own: null before the first write. Afterwards only its records may be
 * sent again (design §5), and `forgiving` allows those that the hub rejected for a reason that may have passed.
 */
export async function compare(
  run: Run,
  input: MigrateInput,
  desired: TransformResult,
  actual: SnapshotInfo,
  own: { readonly pass: number; readonly forgiving: boolean } | null,
): Promise<Difference> {
  const { transfer } = run.activities;
  const { account, settings } = input;
  const { partitions, snapshot: sourceEdges } = desired;
  const { work } = run;
  const targetSnapshot = actual.id;
  const pass = run.nextPass();
  const policy = { existing: input.existing, extra: 'keep' } as const;
  await transfer.partition({
    account,
    work,
    snapshot: actual.id,
    pass,
    partitions,
    maxLineBytes: settings.maxLineBytes,
  });
  const parts = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      transfer.reconcile({ account, work, pass, partition, sourceEdges, targetSnapshot, policy, own }),
    ),
  );
  const sum = parts.reduce(add, NOTHING);
  const withoutId = desired.refusedWithoutId.count;
  const { hash } = await transfer.sealPlan({
    account,
    work,
    pass,
    partitions,
    policy,
    run: input.run,
    keep: own === null,
  });
  const waves = wavesOf(parts);
  return {
    ...sum,
    refused: sum.refused + withoutId,
    samples: {
      ...sum.samples,
      refused: [...desired.refusedWithoutId.samples, ...sum.samples.refused].slice(0, SAMPLES),
    },
    pass,
    partitions,
    targetSnapshot,
    hash,
    waves,
    verify: {
      compared: sum.desired,
      match: sum.equal,
      kept: sum.kept,
      different: sum.different,
      missing: sum.missing,
      extra: sum.extra,
    },
  };
}

function wavesOf(parts: readonly PartitionDifference[]): WaveLines[] {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part.lines)))].toSorted(compareWaves);
  return names.map((wave) => ({ wave, linesPerPartition: parts.map((part) => part.lines[wave] ?? 0) }));
}

type Sums = Omit<PartitionDifference, 'partition' | 'lines'>;

const NOTHING: Sums = {
  desired: 0,
  equal: 0,
  missing: 0,
  different: 0,
  kept: 0,
  conflict: 0,
  create: 0,
  extra: 0,
  refused: 0,
  plannedOpen: 0,
  rejected: 0,
  fields: {},
  samples: { different: [], missing: [], refused: [], rejected: [] },
};

function add(a: Sums, b: Sums): Sums {
  const fields = { ...a.fields };
  for (const [field, count] of Object.entries(b.fields)) fields[field] = (fields[field] ?? 0) + count;
  const some = <T>(x: readonly T[], y: readonly T[]): T[] => [...x, ...y].slice(0, SAMPLES);
  return {
    desired: a.desired + b.desired,
    equal: a.equal + b.equal,
    missing: a.missing + b.missing,
    different: a.different + b.different,
    kept: a.kept + b.kept,
    conflict: a.conflict + b.conflict,
    create: a.create + b.create,
    extra: a.extra + b.extra,
    refused: a.refused + b.refused,
    plannedOpen: a.plannedOpen + b.plannedOpen,
    rejected: a.rejected + b.rejected,
    fields,
    samples: {
      different: some(a.samples.different, b.samples.different),
      missing: some(a.samples.missing, b.samples.missing),
      refused: some(a.samples.refused, b.samples.refused),
      rejected: some(a.samples.rejected, b.samples.rejected),
    },
  };
}
