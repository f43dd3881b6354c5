import type { BlobWriter, Storage } from '../azure/storage.js';
import { type Change, printChange } from '../registry/change.js';
import { changeDigest } from '../registry/digest.js';
import { type PlanSample, planSample, SAMPLES_EACH } from '../registry/plan-sample.js';
import type { ChangeKind } from '../registry/reconcile.js';
import { kindOf, type RecordKey } from '../registry/record.js';
import type { LineBytes } from '../registry/scan-line.js';
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

/** The changes of one wave in one partition, with a mark every thousand lines. */
class WaveStream {
  readonly marks: number[] = [];
  lines = 0;
  readonly #writer: BlobWriter;
  /** Lines that stand together, to be written at once. */
  #run: { readonly bytes: Buffer; readonly from: number; to: number } | null = null;

  constructor(writer: BlobWriter) {
    this.#writer = writer;
  }

  /** Adds a line, given without its end. @returns nothing while it is only buffered */
  add(line: string | LineBytes): Promise<void> | void {
    const run = this.#run;
    if (this.lines % LINES_PER_MARK === 0)
      this.marks.push(this.#writer.bytes + (run === null ? 0 : run.to + 1 - run.from));
    this.lines += 1;
    if (typeof line === 'string') return this.#afterRun(`${line}\n`);
    if (run !== null && run.bytes === line.bytes && run.to + 1 === line.from) {
      run.to = line.to;
      return undefined;
    }
    const sent = this.#afterRun();
    this.#run = { ...line };
    return sent;
  }

  async close(): Promise<void> {
    await this.#afterRun();
    await this.#writer.close();
  }

  #afterRun(text?: string): Promise<void> | void {
    const run = this.#run;
    this.#run = null;
    // Each of the lines has its end after it.
    const sent = run === null ? undefined : this.#writer.write(run.bytes.subarray(run.from, run.to + 1));
    if (text === undefined) return sent;
    return sent === undefined ? this.#writer.write(text) : sent.then(() => this.#writer.write(text));
  }
}

/** The changes of one partition: a stream per wave, and the digests for the hash. */
export class Changes {
  readonly #streams = new Map<string, WaveStream>();
  readonly #storage: Storage;
  readonly #input: PartitionOfPass;
  #digests = '';

  constructor(storage: Storage, input: PartitionOfPass) {
    this.#storage = storage;
    this.#input = input;
  }

  /** A change counts once for the hash, in however many lines it is sent. */
  digest(kind: ChangeKind, key: RecordKey, content: string | LineBytes): void {
    this.#digests += changeDigest(kind, key, content);
  }

  /** @returns nothing while it is only buffered */
  add(wave: string, change: Change): Promise<void> | void {
    return this.#stream(wave).add(printChange(change));
  }

  /** Adds a create: its desired line as it stands, with its end after it. @returns as `add` */
  create(wave: string, line: LineBytes): Promise<void> | void {
    return this.#stream(wave).add(line);
  }

  #stream(wave: string): WaveStream {
    const { work, pass, partition } = this.#input;
    let stream = this.#streams.get(wave);
    if (stream === undefined) {
      stream = new WaveStream(this.#storage.writer(work, workBlob.changes(pass, partition, wave)));
      this.#streams.set(wave, stream);
    }
    return stream;
  }

  /** @returns the lines of each wave */
  async close(): Promise<Record<string, number>> {
    const { work, pass, partition } = this.#input;
    const digests = this.#storage.writer(work, workBlob.digests(pass, partition));
    await digests.write(Buffer.from(this.#digests, 'latin1'));
    const waves = [...this.#streams].map(async ([wave, stream]) => {
      await stream.close();
      const marks = JSON.stringify(stream.marks);
      await this.#storage.writeText(work, workBlob.marks(pass, partition, wave), marks);
    });
    await Promise.all([...waves, digests.close()]);
    return Object.fromEntries([...this.#streams].map(([wave, { lines }]) => [wave, lines]));
  }
}
