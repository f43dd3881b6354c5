import type { SnapshotInfo } from '../activities/backup-export.js';
import type { TransformResult } from '../activities/transform.js';
import { addSampled, SAMPLES } from '../registry/totals.js';
import type { Desired } from './compare.js';
import { bookKeyless, keylessOf } from './keyless.js';
import type { MigrateInput } from './messages.js';
import { bookRules, rulesOf } from './rules.js';
import type { Run } from './run.js';
import { piecesOf } from './snapshot.js';

/**
 * Turns the source's snapshot into what the target should hold, range by range in as many activities; under rules as a
 * whole, since a module goes where its device goes and may stand in another range.
 *
 * @param targetBytes of the target's snapshot, which is cut into as many partitions; as far as that is known yet.
 */
export async function transform(
  run: Run,
  input: MigrateInput,
  source: SnapshotInfo,
  targetBytes: number,
): Promise<Desired> {
  const { account, settings } = input;
  await run.activities.light.createContainer({ account, container: run.work });
  const rules = rulesOf(input);
  const whole = {
    account,
    work: run.work,
    snapshot: source.id,
    sha256: source.sha256,
    bytes: Math.max(source.bytes, targetBytes),
    partitionBytes: settings.partitionBytes,
    maxLineBytes: settings.maxLineBytes,
    ...rules,
    ...keylessOf(input, source),
  };
  const pieces = rules.rules === undefined ? piecesOf(source) : [{}];
  const parts = await Promise.all(
    pieces.map((piece) => run.activities.transfer.transform({ ...whole, ...piece })),
  );
  const desired = parts.reduce(sumOf);
  bookRules(run, desired);
  bookKeyless(run, input, desired);
  run.warn('STALE_PARENT', desired.staleParents.count, desired.staleParents.samples);
  const { ledger } = run.report;
  ledger.source = source.records;
  ledger.system = desired.systemModules.count;
  const { count } = desired.systemModules;
  ledger.systemModules = { ...ledger.systemModules, source: count, system: count };
  return { ...desired, configurations: source.configurations ?? null };
}

/** What was found in two ranges of one snapshot. */
function sumOf(a: TransformResult, b: TransformResult): TransformResult {
  const long = [a.refusedWithoutId, b.refusedWithoutId];
  return {
    ...a,
    systemModules: addSampled(a.systemModules, b.systemModules),
    manifests: a.manifests === true || b.manifests === true,
    staleParents: addSampled(a.staleParents, b.staleParents),
    refusedWithoutId: {
      count: long.reduce((sum, { count }) => sum + count, 0),
      samples: long.flatMap(({ samples }) => samples).slice(0, SAMPLES),
    },
    ...(a.keyless && b.keyless
      ? {
          keyless: {
            lacking: addSampled(a.keyless.lacking, b.keyless.lacking),
            unknown: addSampled(a.keyless.unknown, b.keyless.unknown),
          },
        }
      : {}),
  };
}
