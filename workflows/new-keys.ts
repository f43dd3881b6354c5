import type { Difference } from './compare.js';
import type { Planned } from './gate.js';
import { NEW_KEYS_BLOB, newKeysContainer, type WriteInput } from './messages.js';
import type { Run } from './run.js';

/** Before the first write: keys that the plan makes are written down, in a container that outlives the run. */
export async function keepNewKeys(
  run: Run,
  { account, run: name }: WriteInput,
  { desired, plan }: Planned,
): Promise<void> {
  const { ruled, newKeys } = desired;
  const { pass, partitions } = plan;
  if (ruled?.newKeys !== true && newKeys !== true) return;
  const container = newKeysContainer(name);
  const { work } = run;
  const where = { account, work, container, blob: NEW_KEYS_BLOB };
  const { count } = await run.activities.transfer.sealNewKeys({ ...where, pass, partitions });
  if (count === 0) return;
  run.keepToo(container);
  run.report.newKeys = count;
}

/** Says of which records the keys are made anew: until their devices are given them, they cannot connect. */
export function warnOfNewKeys(run: Run, { newKeys, samples }: Difference): void {
  run.warn('NEW_KEYS', newKeys ?? 0, samples.newKeys ?? []);
}
