import { CancellationScope } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type { Desired } from './compare.js';
import type { MigrateInput } from './messages.js';
import type { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { transform } from './transform.js';

/** Both sides of a migration. */
export interface Sides {
  /** The source's snapshot. */
  readonly from: SnapshotInfo;
  /** The target's. */
  readonly before: SnapshotInfo;
  /** What is desired, where it was made while the target's snapshot was taken; else it is still to be made. */
  readonly desired: Desired | null;
}

/**
 * Takes both snapshots at the same time. What is desired is made as soon as the source's is there, whatever the target
 * does, where it is known how many devices the target has: both sides are cut into as many partitions.
 *
 * @param source takes the source's snapshot.
 * @param devices of the target; undefined where nobody counted them.
 */
export async function bothSides(
  run: Run,
  input: MigrateInput,
  source: () => Promise<SnapshotInfo>,
  devices: (from: SnapshotInfo) => number | undefined,
): Promise<Sides> {
  let isTaken = false;
  let isMaking = false;
  const note = (): void => {
    if (isTaken && isMaking) run.phase('transform');
  };
  const [made, before] = await both(
    async () => {
      const from = await source();
      const counted = devices(from);
      if (counted === undefined) return { from, desired: null };
      isMaking = true;
      note();
      return { from, desired: await transform(run, input, from, bytesOf(counted, from)) };
    },
    async () => {
      const taken = await takeSnapshot(run, input, input.target.host);
      isTaken = true;
      note();
      return taken;
    },
  );
  return { ...made, before };
}

/** Bytes of a device where there is none to go by. */
const DEVICE_BYTES = 1024;

/**
 * Bytes of a snapshot with so many devices, if each takes as much as those of another one, modules included. Where they
 * take more, partitions of the target become larger than they should be, and nothing else.
 */
function bytesOf(devices: number, like: SnapshotInfo): number {
  return Math.ceil(devices * (like.devices > 0 ? like.bytes / like.devices : DEVICE_BYTES));
}

/** Two steps at a time. Where one fails, the other is taken down before the run ends, so that nothing is left of it. */
async function both<A, B>(a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> {
  const scope = new CancellationScope();
  const steps = [scope.run(a), scope.run(b)] as const;
  try {
    return await Promise.all(steps);
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(steps);
    throw error;
  }
}
