import { createHash } from 'node:crypto';
import { HubferryError } from '../registry/errors.js';
import { type Refusal, refusalOf } from '../registry/limits.js';
import { printDesiredLine, printRefused } from '../registry/line.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import { isSystemModule, type RegistryRecord, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { type EdgeTable, parentOf, placementRefusal } from '../registry/scopes.js';
import { SAMPLES } from '../registry/totals.js';
import { snapshotLines } from './backup-export.js';
import type { Deps } from './deps.js';
import { PartitionWriters } from './partitions.js';
import { edgeTableOf, workBlob } from './work.js';

export interface TransformInput {
  readonly account: string;
  readonly work: string;
  readonly snapshot: string;
  /** Of the snapshot, from its manifest. */
  readonly sha256: string;
  /** The larger of the two snapshots, so that a partition of either fits. */
  readonly bytes: number;
  readonly partitionBytes: number;
  readonly maxLineBytes: number;
}

export interface Sampled {
  readonly count: number;
  readonly samples: readonly string[];
}

export interface TransformResult {
  /** The snapshot that was transformed; its side table knows the level of each edge device. */
  readonly snapshot: string;
  readonly partitions: number;
  readonly systemModules: Sampled;
  readonly staleParents: Sampled;
  /** Lines too long to be read: refused, but no partition can hold them. */
  readonly refusedWithoutId: { readonly count: number; readonly samples: readonly Rejected[] };
}

export interface PartitionInput {
  readonly account: string;
  readonly work: string;
  readonly snapshot: string;
  readonly pass: number;
  readonly partitions: number;
  readonly maxLineBytes: number;
}

export function transformActivities({ connections }: Deps) {
  return {
    /**
     * Turns the source snapshot into the desired state of the target, partitioned by device id: system modules are
     * left out, records that the target would not take become refusals, scopes become parents.
     *
     * @throws HubferryError SNAPSHOT_…, also for one that was changed, or cut between two lines, since it was taken
     */
    async transform(input: TransformInput): Promise<TransformResult> {
      const storage = connections.storage(input.account);
      const partitions = partitionCount(input.bytes, input.partitionBytes);
      const edges = await edgeTableOf(storage, input.snapshot);
      const writers = new PartitionWriters(storage, input.work, workBlob.desired);
      const systemModules = new Sampler();
      const staleParents = new Sampler();
      const long: Rejected[] = [];
      let longCount = 0;

      const hash = createHash('sha256');
      const lines = snapshotLines(storage, input.snapshot, input.maxLineBytes, (bytes) => hash.update(bytes));
      for await (const line of lines) {
        const { record } = line;
        if (record === null) {
          longCount += 1;
          const reason = `the line is longer than ${input.maxLineBytes} bytes`;
          if (long.length < SAMPLES)
            long.push({ record: `line at byte ${line.offset}`, code: 'LINE_TOO_LONG', reason });
        } else if (isSystemModule(record)) {
          systemModules.add(recordKey(record.deviceId, record.moduleId));
        } else {
          const refusal = refusalIn(record, edges);
          const parent = parentOf(record, edges);
          if (parent.stale && refusal === null) staleParents.add(record.deviceId);
          const text = refusal ? printRefused(record, refusal) : printDesiredLine(record, parent.parent);
          await writers.write(partitionOf(record.deviceId, partitions), text);
        }
      }
      if (hash.digest('hex') !== input.sha256) {
        throw new HubferryError(
          'SNAPSHOT_DAMAGED',
          `The content of snapshot ${input.snapshot} is not what its manifest says: it was changed, or cut.`,
        );
      }
      await writers.close();
      return {
        snapshot: input.snapshot,
        partitions,
        systemModules: systemModules.result(),
        staleParents: staleParents.result(),
        refusedWithoutId: { count: longCount, samples: long },
      };
    },

    /** Splits a snapshot of the target by the same hash, so that each partition can be compared on its own. */
    async partition(input: PartitionInput): Promise<void> {
      const storage = connections.storage(input.account);
      const writers = new PartitionWriters(storage, input.work, (partition) =>
        workBlob.actual(input.pass, partition),
      );
      for await (const { record, text } of snapshotLines(storage, input.snapshot, input.maxLineBytes)) {
        // A record too long to read cannot be compared; it is left alone like any other extra of the target.
        if (record) await writers.write(partitionOf(record.deviceId, input.partitions), text ?? '');
      }
      await writers.close();
    },
  };
}

function refusalIn(record: RegistryRecord, edges: EdgeTable): Refusal | null {
  return refusalOf(record) ?? placementRefusal(record, edges);
}

/** Counts things and remembers the first few by name. */
export class Sampler {
  #count = 0;
  readonly #samples: string[] = [];

  add(name: string): void {
    this.#count += 1;
    if (this.#samples.length < SAMPLES) this.#samples.push(name);
  }

  result(): Sampled {
    return { count: this.#count, samples: this.#samples };
  }
}
