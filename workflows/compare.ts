import { patched, uuid4 } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type { OwnPlan } from '../activities/own.js';
import type { PartitionDifference } from '../activities/reconcile.js';
import type { TransformResult } from '../activities/transform.js';
import type { VerifyCounts } from '../registry/ledger.js';
import type { Policy } from '../registry/policy.js';
import { addTotals, emptyTotals, SAMPLES, type Totals } from '../registry/totals.js';
import { compareWaves, DELETES } from '../registry/waves.js';
import type { WaveLines } from './apply.js';
import { type ConfigurationsPlan, planConfigurations } from './configurations.js';
import { compareManifests, type ManifestDifference } from './manifests.js';
import type { WriteInput } from './messages.js';
import type { Run } from './run.js';
import { piecesOf } from './snapshot.js';

/** Desired against actual, over all partitions: the plan before the import, and the verdict after it. */
export interface Difference extends Totals {
  /** The number of this comparison in its run; its changes stand under this number in the work container. */
  readonly pass: number;
  readonly partitions: number;
  readonly policy: Policy;
  /** Of the digests that stay of it where it is carried out. */
  readonly salt: string;
  /** The snapshot of the target that was compared. */
  readonly targetSnapshot: string;
  /** SHA-256 over the changes (design §5). */
  readonly hash: string;
  readonly waves: readonly WaveLines[];
  readonly verify: VerifyCounts;
  /** The system modules of edge devices; null where the source has none. */
  readonly manifests: ManifestDifference | null;
  /** What is due of configurations; null where nobody knows the source's, and in all looks after the plan. */
  readonly configurations: ConfigurationsPlan | null;
}

/** What the target should hold. */
export interface Desired extends TransformResult {
  /** Whether its changes go together in few jobs, as those of edits do. Left out: in waves, deletes at the end. */
  readonly together?: boolean;
  /** Whether changes of configurations were written down already, as a rollback's are. */
  readonly undoesConfigurations?: boolean;
  /** Of a run that follows its source: the salt of what stays of its earlier plans. */
  readonly followed?: string;
  /** Whether nothing of the plan is to be kept after the run. */
  readonly forgets?: boolean;
  /** Whether some of its records get keys that the run makes. */
  readonly newKeys?: boolean;
  /** What the source's manifest says of its configurations; null or absent: nobody knows. */
  readonly configurations?: SnapshotInfo['configurations'];
  /** The container of the table of edge devices, where it is not that of the snapshot. */
  readonly edges?: string;
  /** Whether it is about the records of `workBlob.selected` only. Left out: about all. */
  readonly selected?: boolean;
}

/**
 * Compares desired with a snapshot of the target, partition by partition, in as many activities.
 *
 * @param own what this run has sent: null before the first write. Afterwards only its records may be sent again.
 */
export async function compare(
  run: Run,
  input: WriteInput,
  desired: Desired,
  actual: SnapshotInfo,
  own: OwnPlan | null,
): Promise<Difference> {
  const { transfer } = run.activities;
  const { account, settings } = input;
  const { partitions } = desired;
  const sourceEdges = desired.edges ?? desired.ruled?.edges ?? desired.snapshot;
  const { work } = run;
  const targetSnapshot = actual.id;
  const fresh = uuid4();
  const salt = desired.followed ?? fresh;
  const pass = run.nextPass();
  const isPlan = own === null;
  // Runs that began under 0.1 keep what stays of a plan when it is made.
  const keepsNow = isPlan && !patched('keep-plan');
  const policy = { existing: input.existing, extra: input.extra ?? 'keep' };
  const split = { account, work, snapshot: actual.id, pass, partitions, maxLineBytes: settings.maxLineBytes };
  await Promise.all(piecesOf(actual).map((piece) => transfer.partition({ ...split, ...piece })));
  const parts = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      transfer.reconcile({
        account,
        work,
        pass,
        partition,
        sourceEdges,
        targetSnapshot,
        policy,
        own,
        configurations: own?.before ?? targetSnapshot,
        ...(isPlan ? { samples: true } : {}),
        ...(keepsNow ? { salt } : {}),
        ...(desired.selected === true ? { selected: true } : {}),
        ...(desired.followed === undefined ? {} : { followed: true }),
        ...(desired.keyless === undefined ? {} : { keyless: true }),
        ...(desired.together === true ? { together: true } : {}),
        ...(settings.maxTwinCalls === undefined
          ? {}
          : { maxTwinCalls: Math.ceil(settings.maxTwinCalls / partitions) }),
      }),
    ),
  );
  const sum = parts.reduce(addTotals, emptyTotals());
  const sides = { source: desired.snapshot, info: desired.configurations ?? null, actual };
  const configurations = own === null ? await planConfigurations(run, input, sides) : null;
  const manifests = await compareManifests(run, input, desired, { pass, targetSnapshot }, own);
  const withoutId = desired.refusedWithoutId.count;
  const { hash } = await transfer.sealPlan({
    account,
    work,
    pass,
    partitions,
    policy,
    run: input.run,
    salt,
    keep: keepsNow && desired.forgets !== true,
    ...(desired.followed === undefined ? {} : { followed: true }),
    manifests: manifests !== null,
    configurations: configurations !== null || desired.undoesConfigurations === true,
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
    policy,
    salt,
    targetSnapshot,
    hash,
    waves,
    manifests,
    configurations,
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

/** How many records a plan writes. */
export const plannedOf = (plan: Difference): number => plan.create + plan.update + plan.delete;

/** How many deletes wait until all the rest has arrived: those of edits do not. */
export const waitingOf = (plan: Difference): number =>
  plan.waves
    .filter(({ wave }) => wave === DELETES)
    .flatMap(({ linesPerPartition }) => linesPerPartition)
    .reduce((sum, lines) => sum + lines, 0);
