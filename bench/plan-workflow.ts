import type { SnapshotInfo } from '../activities/backup-export.js';
import { compare } from '../workflows/compare.js';
import type { MigrateInput } from '../workflows/messages.js';
import { Run } from '../workflows/run.js';
import { transform } from '../workflows/transform.js';

export interface PlanInput {
  readonly input: MigrateInput;
  readonly source: SnapshotInfo;
  readonly target: SnapshotInfo;
}

/** Transform and plan of two snapshots that are there, and nothing else of a migration. */
export async function planned({ input, source, target }: PlanInput): Promise<number> {
  const run = new Run(input, { workflow: 'plan', source: source.host, target: target.host });
  const desired = await transform(run, input, source, target.bytes);
  return (await compare(run, input, desired, target, null)).create;
}
