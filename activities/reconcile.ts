import type { BlobWriter, Storage } from '../azure/storage.js';
import { changeDigest } from '../registry/digest.js';
import { parseDesiredLine } from '../registry/line.js';
import { comparePartition, decide, type Policy } from '../registry/reconcile.js';
import { type RecordKey, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { emptyTotals, SAMPLES, type Totals } from '../registry/totals.js';
import { waveOf } from '../registry/waves.js';
import type { Deps } from './deps.js';
import { allOwnLines, edgeTableOf, ownLines, workBlob } from './work.js';

/** One byte offset is kept per this many lines, so that a chunk can start in the middle of a partition. */
export const LINES_PER_MARK = 1000;

/** `importErrors.log` codes that may have passed by the next try: the device was not visible yet (facts §3.1). */
const PASSING_CODES = new Set(['404001', 'DeviceNotFound']);

export interface ReconcileInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
  readonly sourceEdges: string;
  readonly targetSnapshot: string;
  readonly policy: Policy;
  /** After an import: the pass whose planned records are this run's own. */
  readonly own: { readonly pass: number; readonly forgiving: boolean } | null;
}

/** What one partition holds. */
export interface PartitionDifference extends Totals {
  /** Lines to send, by wave. */
  readonly lines: Readonly<Record<string, number>>;
}

export function reconcileActivities({ connections }: Deps) {
  return {
    /**
     * Joins one partition of desired and actual: counts every kind of difference and writes the changes, one stream
     * per wave. Serves the plan before an import and the verdict after it alike.
     */
    async reconcile(input: ReconcileInput): Promise<PartitionDifference> {
      const { work, pass, partition } = input;
      const storage = connections.storage(input.account);
      const [sourceEdges, actualEdges] = await Promise.all([
        edgeTableOf(storage, input.sourceEdges),
        edgeTableOf(storage, input.targetSnapshot),
      ]);
      const desired = await allOwnLines(storage, work, workBlob.desired(partition));
      const actual = await allOwnLines(storage, work, workBlob.actual(pass, partition));
      const own = input.own && (await ownRecords(storage, input, input.own.pass));
      const out = new Changes(storage, input);
      const sum = emptyTotals();
      const { fields, samples } = sum;
      const some = <T>(list: T[], item: T): void => {
        if (list.length < SAMPLES) list.push(item);
      };

      for (const found of comparePartition({ desired, actual, actualEdges })) {
        const verdict = decide(found, input.policy);
        if (found.kind === 'refused') {
          sum.refused += 1;
          some(samples.refused, { record: found.key, ...found.refusal });
          continue;
        }
        if (!('line' in found)) {
          if (found.kind === 'extra') sum.extra += 1;
          continue;
        }

        sum.desired += 1;
        if (found.kind === 'equal') {
          sum.equal += 1;
          continue;
        }
        const ours = own === null || own.planned.has(found.key);
        const rejection = own?.rejected.get(found.key);
        if (own && ours) {
          sum.plannedOpen += 1;
          if (rejection) {
            sum.rejected += 1;
            some(samples.rejected, rejection);
          }
        }
        if (found.kind === 'different') {
          if (verdict === 'kept' && (own === null || !ours)) sum.kept += 1;
          else {
            sum.different += 1;
            if (verdict === 'conflict' && own === null) sum.conflict += 1;
            some(samples.different, found.key);
            for (const field of found.fields) fields[field] = (fields[field] ?? 0) + 1;
          }
          continue;
        }
        sum.missing += 1;
        some(samples.missing, found.key);
        const again =
          rejection === undefined || (input.own?.forgiving === true && PASSING_CODES.has(rejection.code));
        if (verdict === 'create' && ours && again) {
          sum.create += 1;
          await out.add(waveOf(found.record, sourceEdges.levelOf(found.record.deviceId)), found);
        }
      }
      return { ...sum, lines: await out.close() };
    },
  };
}

/** The records that this run planned in this partition, and those of them that the hub rejected. */
async function ownRecords(
  storage: Storage,
  { work, partition }: ReconcileInput,
  pass: number,
): Promise<{ planned: Set<RecordKey>; rejected: Map<RecordKey, Rejected> }> {
  const planned = new Set<RecordKey>();
  for await (const { name } of storage.list(work, workBlob.changes(pass, partition))) {
    for await (const batch of ownLines(storage, work, name)) {
      for (const text of batch) {
        const line = parseDesiredLine(text);
        if (line.kind === 'record') planned.add(recordKey(line.record.deviceId, line.record.moduleId));
      }
    }
  }
  const rejected = new Map<RecordKey, Rejected>();
  for await (const { name } of storage.list(work, workBlob.rejected(partition))) {
    for (const text of await allOwnLines(storage, work, name)) {
      const rejection = JSON.parse(text) as Rejected;
      rejected.set(rejection.record as RecordKey, rejection);
    }
  }
  return { planned, rejected };
}

/** The changes of one partition: a stream per wave with a mark every thousand lines, and the digests for the hash. */
class Changes {
  readonly #streams = new Map<string, { writer: BlobWriter; lines: number; marks: number[] }>();
  readonly #storage: Storage;
  readonly #input: ReconcileInput;
  readonly #digests: Buffer[] = [];

  constructor(storage: Storage, input: ReconcileInput) {
    this.#storage = storage;
    this.#input = input;
  }

  async add(wave: string, change: { readonly key: RecordKey; readonly line: string }): Promise<void> {
    const { work, pass, partition } = this.#input;
    let stream = this.#streams.get(wave);
    if (stream === undefined) {
      stream = {
        writer: this.#storage.writer(work, workBlob.changes(pass, partition, wave)),
        lines: 0,
        marks: [],
      };
      this.#streams.set(wave, stream);
    }
    if (stream.lines % LINES_PER_MARK === 0) stream.marks.push(stream.writer.bytes);
    stream.lines += 1;
    this.#digests.push(changeDigest('create', change.key, change.line));
    await stream.writer.write(`${change.line}\n`);
  }

  async close(): Promise<Record<string, number>> {
    const { work, pass, partition } = this.#input;
    const lines: Record<string, number> = {};
    for (const [wave, stream] of this.#streams) {
      await stream.writer.close();
      await this.#storage.writeText(
        work,
        workBlob.marks(pass, partition, wave),
        JSON.stringify(stream.marks),
      );
      lines[wave] = stream.lines;
    }
    const digests = this.#storage.writer(work, workBlob.digests(pass, partition));
    await digests.write(Buffer.concat(this.#digests));
    await digests.close();
    return lines;
  }
}
