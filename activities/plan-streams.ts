import type { BlobWriter, Storage } from '../azure/storage.js';
import { type Change, printChange } from '../registry/change.js';
import { changeDigest } from '../registry/digest.js';
import { type PlanSample, planSample, SAMPLES_EACH } from '../registry/plan-sample.js';
import type { ChangeKind } from '../registry/reconcile.js';
import { kindOf, type RecordKey } from '../registry/record.js';
import { type EdgeTable, parentOf } from '../registry/scopes.js';
import type { Due } from './judge.js';
import { LINES_PER_MARK, workBlob } from './work.js';

/** Where what a comparison of one partition writes down belongs. */
export interface PartitionOfPass {
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
}

/** Some changes of each kind in one partition of a plan, field by field and without keys. */
export class PlanSamples {
  readonly #samples: PlanSample[] = [];
  readonly #counts = new Map<string, number>();

  add({ kind, found }: Due, actualEdges: EdgeTable): void {
    const name = `${kind} ${kindOf(found.record)}`;
    const count = this.#counts.get(name) ?? 0;
    if (count >= SAMPLES_EACH) return;
    this.#counts.set(name, count + 1);
    const actual = kind === 'delete' ? found.record : kind === 'update' ? found.actual : null;
    const before = actual && { record: actual, parent: parentOf(actual, actualEdges).parent };
    const after = kind === 'delete' ? null : { record: found.record, parent: found.parent };
    const sample = planSample(found.key, kind, before, after, kind === 'update' ? found.fields : []);
    if (sample !== null) this.#samples.push(sample);
  }

  async write(storage: Storage, container: string, blob: string): Promise<void> {
    await storage.writeText(container, blob, JSON.stringify(this.#samples));
  }
}

/** The changes of one partition: a stream per wave with a mark every thousand lines, and the digests for the hash. */
export class Changes {
  readonly #streams = new Map<string, { writer: BlobWriter; lines: number; marks: number[] }>();
  readonly #storage: Storage;
  readonly #input: PartitionOfPass;
  #digests = '';

  constructor(storage: Storage, input: PartitionOfPass) {
    this.#storage = storage;
    this.#input = input;
  }

  /** A change counts once for the hash, in however many lines it is sent. */
  digest(kind: ChangeKind, key: RecordKey, content: string): void {
    this.#digests += changeDigest(kind, key, content);
  }

  /** @returns nothing while it is only buffered */
  add(wave: string, change: Change): Promise<void> | void {
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
    return stream.writer.write(`${printChange(change)}\n`);
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
    await digests.write(Buffer.from(this.#digests, 'latin1'));
    await digests.close();
    return lines;
  }
}
