import type { BlobWriter, Storage } from '../azure/storage.js';
import { partitionOf } from '../registry/partition.js';
import type { RegistryRecord } from '../registry/record.js';
import type { SnapshotLine } from './backup-export.js';

/** Small blocks, since a step holds one buffer per open partition. */
const BLOCK_BYTES = 512 * 1024;

/** Writers for one blob per partition, opened when first needed and all closed at the end. */
export class PartitionWriters {
  readonly #writers = new Map<number, BlobWriter>();
  readonly #storage: Storage;
  readonly #container: string;
  readonly #blob: (partition: number) => string;

  constructor(storage: Storage, container: string, blob: (partition: number) => string) {
    this.#storage = storage;
    this.#container = container;
    this.#blob = blob;
  }

  /** Adds one line, given without its end, to a partition. @returns nothing while it is only buffered */
  write(partition: number, line: string): Promise<void> | void {
    let writer = this.#writers.get(partition);
    if (writer === undefined) {
      writer = this.#storage.writer(this.#container, this.#blob(partition), { blockBytes: BLOCK_BYTES });
      this.#writers.set(partition, writer);
    }
    return writer.write(`${line}\n`);
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await writer.close();
  }

  /** Closes so that every partition has its blob: none of an earlier time stays. */
  async closeAll(partitions: number): Promise<void> {
    await this.close();
    for (let partition = 0; partition < partitions; partition++) {
      if (!this.#writers.has(partition))
        await this.#storage.writeText(this.#container, this.#blob(partition), '');
    }
  }
}

/**
 * Splits a snapshot by device, so that each partition can be read on its own. A line too long to be read is left out: its
 * record cannot be compared.
 *
 * @param print what is written for a record; left out, its line as it is.
 * @returns how many lines were left out.
 */
export async function splitSnapshot(
  batches: AsyncIterable<SnapshotLine[]>,
  writers: PartitionWriters,
  partitions: number,
  print: (record: RegistryRecord, text: string) => string = (_, text) => text,
): Promise<number> {
  let long = 0;
  for await (const batch of batches) {
    for (const { record, text } of batch) {
      if (record === null || text === null) {
        long += 1;
        continue;
      }
      const written = writers.write(partitionOf(record.deviceId, partitions), print(record, text));
      if (written !== undefined) await written;
    }
  }
  await writers.closeAll(partitions);
  return long;
}
