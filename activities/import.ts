import { metricMeter } from '@temporalio/activity';
import type { Storage } from '../azure/storage.js';
import { parseChange, printImportOf } from '../registry/change.js';
import { FULL, parseErrorLine } from '../registry/error-log.js';
import { identityOfLine } from '../registry/line.js';
import { counted } from '../registry/metrics.js';
import { partitionOf } from '../registry/partition.js';
import { type RecordKey, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import type { Chunk } from '../registry/waves.js';
import type { Deps } from './deps.js';
import { lineBatches } from './lines.js';
import { NewKeys } from './new-keys.js';
import {
  DEVICES_BLOB,
  ERROR_LOG_BLOB,
  LINES_PER_MARK,
  ownLines,
  PARENT_MISSING,
  targetEdges,
  workBlob,
} from './work.js';

/** Which lines of a pass. */
export interface ChunkInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly chunk: Chunk;
  readonly partitions: number;
}

export interface JobChunkInput extends ChunkInput {
  /** The job's private container. */
  readonly container: string;
}

export interface StageInput extends JobChunkInput {
  readonly targetSnapshot: string;
}

/** One entry of the hub's error log may echo a whole line, several times over. */
const ERROR_LINE_LIMIT = 64 * 1024 * 1024;

export function importActivities({ connections }: Deps) {
  return {
    /**
     * Writes the lines of one chunk into the container of its job, as import lines: parents become the scopes that the
     * target gave them. A child whose parent is not on the target is withheld, and counts as rejected.
     */
    async stageChunk(input: StageInput): Promise<{ lines: number; withheld: number }> {
      const storage = connections.storage(input.account);
      await storage.createContainer(input.container);
      const onTarget = await targetEdges(storage, input);
      const writer = storage.writer(input.container, DEVICES_BLOB, { forHub: true });
      const withheld = new Rejections(storage, input, 'withheld');
      let lines = 0;
      const keys = new NewKeys(storage, input.work);
      for await (const line of chunkLines(storage, input)) {
        let missing: string | null = null;
        const text = printImportOf(await keys.filled(parseChange(line)), (parent) => {
          const scope = onTarget.scopeOf(parent);
          if (scope === null) missing = parent;
          return scope ?? '';
        });
        if (missing === null) {
          lines += 1;
          await writer.write(`${text}\n`);
        } else {
          withheld.add(line, PARENT_MISSING, `its parent ${String(missing)} is not on the target`);
        }
      }
      await writer.close();
      counted(metricMeter, 'hubferry_records', lines, { stage: 'send' });
      return { lines, withheld: await withheld.close() };
    },

    /**
     * Reads the error log of a finished import: the only word on its lines. The log may echo lines with their keys, so
     * nothing of its text leaves here; users get our own words for the code.
     *
     * @returns `known: false` where the hub left no log: then only the next snapshot can tell.
     */
    async readErrorLog(input: JobChunkInput): Promise<{ known: boolean; rejected: number }> {
      const storage = connections.storage(input.account);
      if ((await storage.size(input.container, ERROR_LOG_BLOB)) === null) {
        return { known: false, rejected: 0 };
      }
      const rejections = new Rejections(storage, input, 'log');
      const stream = await storage.read(input.container, ERROR_LOG_BLOB);
      let records: Map<string, RecordKey[]> | undefined;
      for await (const batch of lineBatches(stream, { maxLineBytes: ERROR_LINE_LIMIT, lenient: true })) {
        for (const { text } of batch) {
          const error = text === null ? null : parseErrorLine(text);
          if (text !== null && error === null) continue; // blank
          if (!error?.key) {
            rejections.nameless();
            continue;
          }
          // Whether an entry about a module names it is not known (facts §3.1). One that does not stands for all
          // records of its device in this chunk: those that arrived all the same are not counted as rejected.
          // One about anything else is of an earlier job whose log came late into the container they share.
          records ??= await recordsOf(storage, input);
          for (const key of records.get(error.key) ?? [])
            rejections.book(key, String(error.code), error.reason);
        }
      }
      return { known: true, rejected: await rejections.close() };
    },
  };
}

/** The change lines of a chunk, in order, read by range from the partitions that hold them. */
export async function* chunkLines(
  storage: Storage,
  { work, pass, chunk }: ChunkInput,
): AsyncGenerator<string> {
  for (const part of chunk.parts) {
    const marks = JSON.parse(
      (await storage.readText(work, workBlob.marks(pass, part.partition, chunk.wave))) ?? '[0]',
    ) as number[];
    const mark = Math.floor(part.fromLine / LINES_PER_MARK);
    let skip = part.fromLine - mark * LINES_PER_MARK;
    let left = part.lines;
    const blob = workBlob.changes(pass, part.partition, chunk.wave);
    for await (const batch of ownLines(storage, work, blob, marks[mark] ?? 0)) {
      const wanted = batch.slice(skip, skip + left);
      skip = Math.max(0, skip - batch.length);
      left -= wanted.length;
      yield* wanted;
      if (left === 0) break;
    }
  }
}

/** The records of a chunk: each by its own key, and all of a device by its id. */
async function recordsOf(storage: Storage, input: ChunkInput): Promise<Map<string, RecordKey[]>> {
  const records = new Map<string, RecordKey[]>();
  for await (const text of chunkLines(storage, input)) {
    const { deviceId, moduleId } = identityOfLine(parseChange(text).line);
    const key = recordKey(deviceId, moduleId);
    records.set(deviceId, [...(records.get(deviceId) ?? []), key]);
    if (moduleId !== null) records.set(key, [key]);
  }
  return records;
}

/** Records that will not arrive with this chunk, each once, kept by partition for the verdict. */
export class Rejections {
  readonly #storage: Storage;
  readonly #input: ChunkInput;
  readonly #kind: string;
  readonly #byPartition = new Map<number, Map<string, Rejected>>();
  #nameless = 0;
  #full = false;

  constructor(storage: Storage, input: ChunkInput, kind: string) {
    this.#storage = storage;
    this.#input = input;
    this.#kind = kind;
  }

  add(change: string, code: string, reason: string): void {
    const { deviceId, moduleId } = identityOfLine(parseChange(change).line);
    this.book(recordKey(deviceId, moduleId), code, reason);
  }

  /** The same record may be named many times in one log (service facts §3.1). */
  book(record: string, code: string, reason: string): void {
    const partition = partitionOf(record.split('/', 1)[0] ?? record, this.#input.partitions);
    const list = this.#byPartition.get(partition) ?? new Map<string, Rejected>();
    list.set(record, { record, code, reason });
    this.#full ||= code === FULL;
    this.#byPartition.set(partition, list);
  }

  nameless(): void {
    this.#nameless += 1;
  }

  /** Writes them down. @returns how many lines of the chunk they are */
  async close(): Promise<number> {
    const { work, pass, chunk } = this.#input;
    if (this.#full) await this.#storage.writeText(work, workBlob.full(pass), '');
    let count = 0;
    for (const [partition, list] of this.#byPartition) {
      const name = workBlob.rejected(pass, partition, `${this.#kind}-${chunk.wave}-${chunk.number}`);
      const writer = this.#storage.writer(work, name);
      for (const rejection of list.values()) {
        count += 1;
        await writer.write(`${JSON.stringify(rejection)}\n`);
      }
      await writer.close();
    }
    return Math.min(count + this.#nameless, chunk.lines);
  }
}
