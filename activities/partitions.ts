import type { BlobWriter, Storage } from '../azure/storage.js';
import { isPlainAndTaken } from '../registry/limits.js';
import { partitionOf, partitionOfBytes } from '../registry/partition.js';
import { copyPieces, newPieces, piecesOf } from '../registry/pieces.js';
import type { RegistryRecord } from '../registry/record.js';
import {
  fromOf,
  ID,
  type LineBytes,
  newSpans,
  scanExported,
  scanIdentity,
  toOf,
} from '../registry/scan-line.js';
import type { SnapshotLine } from './backup-export.js';
import { manyAtOnce } from './many.js';

const NEWLINE = 0x0a;

/** Small blocks, since a step holds one buffer per open partition. */
const BLOCK_BYTES = 512 * 1024;

/** Bytes that are put together for one partition before its writer gets them. */
const ROOM_BYTES = 32 * 1024;

/** Rooms are parts of larger pieces of memory, which cost less than many small ones. */
const SLAB_BYTES = 1024 * 1024;

/** Where the next line of a partition goes. */
export interface Room {
  bytes: Buffer;
  used: number;
}

/** Writers for one blob per partition, opened when first needed and all closed at the end. */
export class PartitionWriters {
  readonly #writers = new Map<number, BlobWriter>();
  readonly #rooms: Room[] = [];
  #slab: Buffer = Buffer.alloc(0);
  /** Full rooms that wait for their writers. */
  #full: { partition: number; bytes: Buffer }[] = [];
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
    const room = this.room(partition, Buffer.byteLength(line) + 1);
    room.used += room.bytes.write(`${line}\n`, room.used);
    return this.#full.length === 0 ? undefined : this.flush();
  }

  /** Room for so many bytes of a line and its end: whoever takes it writes there, and says how much is used now. */
  room(partition: number, bytes: number): Room {
    const room = this.#rooms[partition];
    if (room !== undefined && room.used + bytes <= room.bytes.length) return room;
    if (room !== undefined && room.used > 0)
      this.#full.push({ partition, bytes: room.bytes.subarray(0, room.used) });
    const fresh = { bytes: this.#memory(Math.max(ROOM_BYTES, bytes)), used: 0 };
    this.#rooms[partition] = fresh;
    return fresh;
  }

  #memory(bytes: number): Buffer {
    if (this.#slab.length < bytes) this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    const taken = this.#slab.subarray(0, bytes);
    this.#slab = this.#slab.subarray(bytes);
    return taken;
  }

  /** Hands what is full to the writers: to be awaited once in a while by those who take rooms. */
  async flush(): Promise<void> {
    const full = this.#full;
    this.#full = [];
    for (const { partition, bytes } of full) {
      let writer = this.#writers.get(partition);
      if (writer === undefined) {
        writer = this.#storage.writer(this.#container, this.#blob(partition), { blockBytes: BLOCK_BYTES });
        this.#writers.set(partition, writer);
      }
      const sent = writer.write(bytes);
      if (sent !== undefined) await sent;
    }
  }

  async close(): Promise<void> {
    this.#rooms.forEach(({ bytes, used }, partition) => {
      this.#full.push({ partition, bytes: bytes.subarray(0, used) });
    });
    await this.flush();
    // Each of them waits for storage, and there may be hundreds.
    await manyAtOnce(this.#writers.values(), (writer) => writer.close());
  }

  /** Closes so that every partition has its blob: none of an earlier time stays. */
  async closeAll(partitions: number): Promise<void> {
    await this.close();
    const others = Array.from({ length: partitions }, (_, at) => at).filter((at) => !this.#writers.has(at));
    await manyAtOnce(others, (at) => this.#storage.writeText(this.#container, this.#blob(at), ''));
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
  print?: (record: RegistryRecord) => string,
): Promise<number> {
  const spans = newSpans();
  let long = 0;
  for await (const batch of batches) {
    for (const line of batch) {
      const { bytes } = line;
      if (print === undefined && bytes !== null && scanIdentity(bytes, spans)) {
        const partition = partitionOfBytes(
          bytes.bytes,
          fromOf(spans, ID) + 1,
          toOf(spans, ID) - 1,
          partitions,
        );
        copyLine(bytes, writers.room(partition, bytes.to - bytes.from + 1));
        continue;
      }
      const { record, text } = line;
      if (record === null || text === null) {
        long += 1;
        continue;
      }
      const partition = partitionOf(record.deviceId, partitions);
      const written = writers.write(partition, print === undefined ? text : print(record));
      if (written !== undefined) await written;
    }
    await writers.flush();
  }
  await writers.closeAll(partitions);
  return long;
}

function copyLine({ bytes, from, to }: LineBytes, room: Room): void {
  room.used += bytes.copy(room.bytes, room.used, from, to);
  room.bytes[room.used] = NEWLINE;
  room.used += 1;
}

/** Puts exported lines of plain devices that the service takes into their partitions as desired lines. */
export class PlainLines {
  readonly #spans = newSpans();
  readonly #pieces = newPieces();
  readonly #writers: PartitionWriters;
  readonly #partitions: number;

  constructor(writers: PartitionWriters, partitions: number) {
    this.#writers = writers;
    this.#partitions = partitions;
  }

  /** @returns whether it was one */
  add(line: LineBytes): boolean {
    const spans = this.#spans;
    if (!scanExported(line, spans) || !isPlainAndTaken(spans)) return false;
    const count = piecesOf(spans, this.#pieces);
    if (count === 0) return false;
    const { bytes, from, to } = line;
    const at = partitionOfBytes(bytes, fromOf(spans, ID) + 1, toOf(spans, ID) - 1, this.#partitions);
    const room = this.#writers.room(at, to - from + 3);
    room.used = copyPieces(line, this.#pieces, count, room.bytes, room.used);
    room.bytes[room.used] = NEWLINE;
    room.used += 1;
    return true;
  }
}
