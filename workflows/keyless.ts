import type { SnapshotInfo } from '../activities/backup-export.js';
import type { Sampled } from '../activities/sampler.js';
import type { TransformInput, TransformResult } from '../activities/transform.js';
import { fail } from './failure.js';
import type { MigrateInput, RunInput } from './messages.js';
import type { Run } from './run.js';

export const NOTHING_OPEN: Sampled = { count: 0, samples: [] };

/** What it takes to come from a snapshot without keys to devices that connect. */
const NEW_KEYS =
  'Devices and modules with symmetric keys get new ones, and have to be given them before they can connect.';

/**
 * Completes an export without keys in its container: types of authentication and thumbprints, which it lost too, are asked
 * of the hub.
 *
 * @returns records of which nobody knows how they prove who they are.
 */
export async function completeKeyless(
  run: Run,
  { account, settings }: RunInput,
  host: string,
  container: string,
): Promise<Sampled> {
  const { light, transfer } = run.activities;
  const { work } = run;
  await light.createContainer({ account, container: work });
  const { partitionBytes } = settings;
  const { partitions, open } = await transfer.splitExport({ account, container, work, partitionBytes });
  const split = { account, host, container, work, partitions };
  if (open > 0) run.counted(host, await transfer.learnAuthentication(split));
  return run.counted(host, await transfer.completeExport(split));
}

/** Says of a fresh snapshot without keys what that means. */
export function warnOfExcludedKeys(run: Run, { keys, lackingKeys = 0 }: SnapshotInfo): void {
  if (!keys) run.warn('KEYS_EXCLUDED', lackingKeys, [`migrate needs --keys regenerate. ${NEW_KEYS}`]);
}

/**
 * Before anything else is done: nothing is written from a snapshot without keys unless keys are made.
 *
 * @throws KEYS_EXCLUDED
 */
export function refuseKeyless({ goal, rules = [] }: MigrateInput, stored: SnapshotInfo | null): void {
  if (stored?.keys !== false || goal === 'verify') return;
  const { lackingKeys = 0 } = stored;
  if (lackingKeys === 0 || rules.some(({ then }) => then.keys === 'regenerate')) return;
  fail(
    'KEYS_EXCLUDED',
    `Snapshot ${stored.id} was taken without the keys of ${lackingKeys} records. ${NEW_KEYS} Nothing was written.`,
  );
}

/** What the transform is told of a snapshot without keys: nothing of others. */
export function keylessOf({ goal }: MigrateInput, { keys }: SnapshotInfo): Pick<TransformInput, 'keyless'> {
  return keys ? {} : { keyless: goal === 'verify' ? 'compared' : 'written' };
}

/**
 * Books what is not known of records that come from a snapshot without keys.
 *
 * @throws KEYS_EXCLUDED where something would be written whose keys nobody knows
 */
export function bookKeyless(
  run: Run,
  { goal }: MigrateInput,
  { snapshot, keyless }: Pick<TransformResult, 'snapshot' | 'keyless'>,
): void {
  if (keyless === undefined) return;
  const { lacking, unknown } = keyless;
  if (goal === 'verify') {
    run.warn('KEYS_NOT_COMPARED', lacking.count, lacking.samples);
    run.warn('AUTHENTICATION_UNKNOWN', unknown.count, unknown.samples);
  } else if (lacking.count > 0) {
    const some = lacking.samples.slice(0, 3).join(', ');
    fail(
      'KEYS_EXCLUDED',
      `Records of snapshot ${snapshot} whose keys were left out, and that no rule gives new ones: ${lacking.count}, such as ${some}. ${NEW_KEYS} Nothing was written.`,
    );
  }
}
