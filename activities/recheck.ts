import type { Storage } from '../azure/storage.js';
import { printDesiredLine } from '../registry/line.js';
import { partitionCount } from '../registry/partition.js';
import { comparePartition } from '../registry/reconcile.js';
import type { RegistryRecord } from '../registry/record.js';
import { parentOf } from '../registry/scopes.js';
import { type SourceChanges, SourceDifference } from '../registry/source-changes.js';
import { type SnapshotInfo, wholeSnapshot } from './backup-export.js';
import { configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { PartitionWriters, splitSnapshot } from './partitions.js';
import { allPartitionBytes, edgeTableOf, workBlob } from './work.js';

export interface CompareSnapshotsInput {
  readonly account: string;
  readonly work: string;
  /** Two snapshots of one hub. */
  readonly before: SnapshotInfo;
  readonly after: SnapshotInfo;
  readonly partitionBytes: number;
  readonly maxLineBytes: number;
}

export function recheckActivities({ connections }: Deps) {
  return {
    /**
     * Counts what changed on a hub between two snapshots of it: as they are, without rules, and with all that is compared
     * elsewhere. Lines too long to be read are left out.
     *
     * @throws HubferryError SNAPSHOT_…
     */
    async compareSnapshots(input: CompareSnapshotsInput): Promise<{
      readonly changes: SourceChanges;
      readonly samples: readonly string[];
    }> {
      const { work, before, after } = input;
      const storage = connections.storage(input.account);
      const partitions = partitionCount(Math.max(before.bytes, after.bytes), input.partitionBytes);
      const actualEdges = await edgeTableOf(storage, after.id);
      await split(storage, input, before, 'before', partitions);
      await split(storage, input, after, 'after', partitions);
      const difference = new SourceDifference();
      for (let partition = 0; partition < partitions; partition++) {
        const [desired, actual] = await Promise.all([
          allPartitionBytes(storage, work, workBlob.recheck('before', partition)),
          allPartitionBytes(storage, work, workBlob.recheck('after', partition)),
        ]);
        for (const found of comparePartition({ desired, actual, actualEdges })) difference.add(found);
      }
      if (before.configurations && after.configurations) {
        const [earlier, later] = await Promise.all([
          configurationsOf(storage, before.id),
          configurationsOf(storage, after.id),
        ]);
        difference.configurations(earlier, later);
      }
      return difference.result();
    },
  };
}

/** The earlier snapshot as what is desired, with parents by id; the later one as it is. */
async function split(
  storage: Storage,
  { work, maxLineBytes }: CompareSnapshotsInput,
  { id: snapshot, sha256 }: SnapshotInfo,
  side: 'before' | 'after',
  partitions: number,
): Promise<void> {
  const edges = await edgeTableOf(storage, snapshot);
  const writers = new PartitionWriters(storage, work, (partition) => workBlob.recheck(side, partition));
  const lines = wholeSnapshot(storage, { snapshot, sha256, maxLineBytes });
  const desired = (record: RegistryRecord): string =>
    printDesiredLine(record, parentOf(record, edges).parent);
  await splitSnapshot(lines, writers, partitions, side === 'before' ? desired : undefined);
}
