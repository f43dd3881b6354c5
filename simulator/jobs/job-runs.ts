import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ContainerClient } from '@azure/storage-blob';
import { ServiceError } from '../errors.js';
import { splitLines } from '../lines.js';
import { type RegistryStore, recordKey } from '../records/store.js';
import { BlobWriter } from './blobs.js';
import { excludedKeysWarning, exportLine } from './export-line.js';
import { applyImportLine } from './import-apply.js';
import { errorLogLine, type LineTarget, parseImportLine } from './import-line.js';
import type { Job } from './job.js';
import type { JobFault } from './job-faults.js';

/** What a running job works with. */
export interface JobRun {
  readonly job: Job;
  readonly store: RegistryStore;
  readonly fault: JobFault | undefined;
}

/** Ends a job as `failed` with the message as its reason. */
export class JobFailure extends Error {}

/** Ends a job so that no trace of it is left. */
export class JobVanished extends Error {}

/** Writes the whole registry, as it is at the start, to a blob in lines that end in CRLF (§2.1). */
export async function runExport(run: JobRun, output: ContainerClient, blobName: string): Promise<void> {
  const { job, store } = run;
  const stepper = new Stepper(run);
  // One array of records that never change: writers that go on meanwhile do not show in the file.
  const records = store.snapshot('export');
  job.total = records.length;
  const blob = output.getBlockBlobClient(blobName);
  await blob.deleteIfExists();
  const writer = new BlobWriter(blob, run.fault?.kind === 'cutOutput' ? run.fault.bytes : undefined);
  if (store.settings.exportBom) await writer.write('\uFEFF');
  if (job.excludeKeys) await writer.write(`${excludedKeysWarning}\r\n`);
  for (const record of records) {
    const wait = stepper.step();
    if (wait !== undefined) await wait;
    await writer.write(`${exportLine(record, job.excludeKeys, store.settings)}\r\n`);
    job.done++;
  }
  await stepper.step();
  job.signal.throwIfAborted();
  await writer.commit();
}

export const errorLogName = 'importErrors.log';

/** Applies a blob line by line and writes the error log, which is there even when empty (§3.1, §9). */
export async function runImport(
  run: JobRun,
  input: ContainerClient,
  blobName: string,
  output: ContainerClient,
): Promise<void> {
  const { job, store } = run;
  const stepper = new Stepper(run);
  const download = await input.getBlockBlobClient(blobName).download();
  if (download.readableStreamBody === undefined) throw new JobFailure('The input blob cannot be read.');
  job.total = download.contentLength ?? 0;
  const log = new BlobWriter(
    output.getBlockBlobClient(errorLogName),
    run.fault?.kind === 'cutOutput' ? run.fault.bytes : undefined,
  );
  const applier = new LineApplier(run);
  for await (const text of splitLines(download.readableStreamBody as AsyncIterable<Buffer>)) {
    const wait = stepper.step();
    if (wait !== undefined) await wait;
    const entry = applier.apply(text);
    if (entry !== undefined) await log.write(`${entry}\r\n`.repeat(store.settings.errorLogRepeat));
    job.done += Buffer.byteLength(text) + 2;
  }
  await stepper.step();
  job.signal.throwIfAborted();
  await log.commit();
}

/** Applies lines and remembers which ids the file had already. */
class LineApplier {
  readonly #seen = new Set<string>();
  #count = 0;

  constructor(readonly run: JobRun) {}

  /** @returns the entry for the error log when the line was refused. */
  apply(text: string): string | undefined {
    const { fault, store, job } = this.run;
    const parsed = parseImportLine(text);
    if (!parsed.ok) return errorLogLine(parsed.target, parsed.error);
    const { deviceId, moduleId } = parsed.line.wanted;
    const target: LineTarget = { deviceId, moduleId: store.settings.errorLogModuleId ? moduleId : undefined };
    const key = recordKey(deviceId, moduleId);
    try {
      if (this.#seen.has(key)) {
        throw new ServiceError(
          'DeviceDefinedMultipleTimes',
          `The ID '${key}' is defined more than once in the file.`,
        );
      }
      this.#seen.add(key);
      if (fault?.kind === 'rejectLines' && this.#count++ < fault.lines) {
        throw new ServiceError(fault.code ?? 'DeviceNotFound', deviceId);
      }
      applyImportLine(store, parsed.line, job.group);
      if (fault?.kind === 'doubtLines' && this.#count++ < fault.lines) {
        throw new ServiceError(fault.code ?? 'DeviceAlreadyExists', deviceId);
      }
      return undefined;
    } catch (error) {
      if (error instanceof ServiceError) return errorLogLine(target, error);
      throw error;
    }
  }
}

/** Lines without a rate before the loop lets requests in. */
const linesPerTurn = 500;

/**
 * Called before each line and once at the end: keeps the configured rate, lets other work in, stops when the job was
 * cancelled, and makes the job's fault happen at its line.
 */
class Stepper {
  #lines = 0;
  #due: number;
  readonly #faultAt: number;

  constructor(readonly run: JobRun) {
    this.#due = run.store.clock.now();
    const { fault } = run;
    const stops = fault?.kind === 'failAfter' || fault?.kind === 'hang' || fault?.kind === 'vanish';
    this.#faultAt = stops ? (fault.lines ?? 0) : -1;
  }

  /** Undefined when the next line may go at once, so that a million lines do not cost a million promises. */
  step(): Promise<void> | undefined {
    const line = this.#lines++;
    if (line === this.#faultAt) return this.#fail();
    const { rate } = this.run.store.settings;
    if (rate === 0) return line % linesPerTurn === 0 ? this.#turn() : undefined;
    const { clock } = this.run.store;
    const now = clock.now();
    // Time lost elsewhere is not caught up, so that progress stays even.
    this.#due = Math.max(this.#due + 1000 / rate, now - 50 * clock.speed);
    const ahead = this.#due - now;
    return ahead < 5 * clock.speed ? undefined : this.#wait(ahead);
  }

  async #turn(): Promise<void> {
    await nextTurn();
    this.run.job.signal.throwIfAborted();
  }

  async #wait(ms: number): Promise<void> {
    await this.run.store.clock.sleep(ms, this.run.job.signal);
  }

  async #fail(): Promise<void> {
    const { fault, job } = this.run;
    if (fault?.kind === 'failAfter')
      throw new JobFailure(fault.reason ?? 'The job failed because of an internal error.');
    if (fault?.kind === 'vanish') throw new JobVanished();
    await new Promise<never>((_resolve, reject) => {
      const stop = (): void => reject(new Error('aborted'));
      if (job.signal.aborted) stop();
      else job.signal.addEventListener('abort', stop, { once: true });
    });
  }
}
