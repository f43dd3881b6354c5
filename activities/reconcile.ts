import type { BlobWriter, Storage } from '../azure/storage.js';
import { changeDigest } from '../registry/digest.js';
import { mayBeThere, mayPass } from '../registry/error-log.js';
import { parseDesiredLine } from '../registry/line.js';
import { comparePartition, decide, type Policy } from '../registry/reconcile.js';
import { type RecordKey, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { emptyTotals, SAMPLES, type Totals } from '../registry/totals.js';
import { waveOf } from '../registry/waves.js';
import type { Deps } from './deps.js';
import { allOwnLines, edgeTableOf, LINES_PER_MARK, ownLines, PARENT_MISSING, workBlob } from './work.js';

/** What a run has sent so far: only its records may be sent again (design §5). */
export interface OwnPlan {
  /** The passes whose changes were sent: the plan's first, then those of repair rounds. */
  readonly passes: readonly number[];
}

export interface ReconcileInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
  readonly sourceEdges: string;
  readonly targetSnapshot: string;
  readonly policy: Policy;
  /** After an import: what this run sent. */
  readonly own: OwnPlan | null;
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
      const own = input.own && (await ownRecords(storage, input, input.own.passes));
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
        // One that arrived, but not as it should be, is no open one, unless it was there before and its line rejected.
        if (own && ours && (found.kind === 'missing' || rejection)) {
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
        const parentIsThere = found.parent === null || actualEdges.scopeOf(found.parent) !== null;
        if (rejection && isExplained(rejection, parentIsThere)) sum.explained += 1;
        const again = rejection === undefined || isWorthATry(rejection, parentIsThere, input.own);
        if (verdict === 'create' && ours && again) {
          sum.create += 1;
          await out.add(waveOf(found.record, sourceEdges.levelOf(found.record.deviceId)), found);
        }
      }
      return { ...sum, lines: await out.close() };
    },
  };
}

/** Whether it is no wonder that a rejected record is missing: then nobody needs to look twice. */
function isExplained({ code }: Rejected, parentIsThere: boolean): boolean {
  return code === PARENT_MISSING ? !parentIsThere : !mayBeThere(code);
}

/**
 * Whether a rejected record is sent again. One that was withheld goes along once without its parent being there yet: the
 * parent may arrive in the same round, in an earlier wave.
 */
function isWorthATry({ code }: Rejected, parentIsThere: boolean, own: OwnPlan | null): boolean {
  return code === PARENT_MISSING ? parentIsThere || own?.passes.length === 1 : mayPass(code);
}

/**
 * The records that this run planned in this partition, and those whose line was rejected when it was last sent: a line
 * that was sent again later, and not rejected then, says nothing of its record any more.
 */
async function ownRecords(
  storage: Storage,
  { work, partition }: ReconcileInput,
  passes: readonly number[],
): Promise<{ planned: Set<RecordKey>; rejected: Map<RecordKey, Rejected> }> {
  const rejected = new Map<RecordKey, Rejected>();
  let planned: Set<RecordKey> | undefined;
  for (const pass of passes) {
    const sent = new Set<RecordKey>();
    for await (const { name } of storage.list(work, workBlob.changes(pass, partition))) {
      for await (const batch of ownLines(storage, work, name)) {
        for (const text of batch) {
          const line = parseDesiredLine(text);
          if (line.kind === 'record') sent.add(recordKey(line.record.deviceId, line.record.moduleId));
        }
      }
    }
    planned ??= sent;
    for (const key of sent) rejected.delete(key);
    for await (const { name } of storage.list(work, workBlob.rejected(pass, partition))) {
      for (const text of await allOwnLines(storage, work, name)) {
        const rejection = JSON.parse(text) as Rejected;
        rejected.set(rejection.record as RecordKey, rejection);
      }
    }
  }
  return { planned: planned ?? new Set(), rejected };
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
