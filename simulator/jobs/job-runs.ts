import type { ContainerClient } from '@azure/storage-blob';
import { splitLines } from '../lines.js';
import { BlobWriter, readText } from './blobs.js';
import { excludedKeysWarning, exportLine } from './export-line.js';
import { inOrder } from './import-order.js';
import { JobFailure } from './job-end.js';
import type { JobRun } from './job-run.js';
import { LineApplier } from './line-applier.js';
import { Stepper } from './pace.js';

const lineEnds = { crlf: '\r\n', lf: '\n' } as const;

/** Writes the whole registry, as it is at the start, to a blob in lines that end in CRLF by default (§2.1). */
export async function runExport(run: JobRun, output: ContainerClient, blobName: string): Promise<void> {
  const { job, store } = run;
  const { settings } = store;
  const stepper = new Stepper(run);
  // One array of records that never change: writers that go on meanwhile do not show in the file.
  const records = store.snapshot('export');
  job.total = records.length;
  const blob = output.getBlockBlobClient(blobName);
  await blob.deleteIfExists();
  const writer = openWriter(run, output, blobName);
  const end = lineEnds[settings.exportLineEnd];
  let between = settings.exportBom ? '\uFEFF' : '';
  if (job.excludeKeys && settings.exportWarning) {
    await writer.write(between + excludedKeysWarning);
    between = end;
  }
  for (const record of records) {
    const wait = stepper.step();
    if (wait !== undefined) await wait;
    const stored = writer.write(between + exportLine(record, job.excludeKeys, settings));
    if (stored !== undefined) await stored;
    between = end;
    job.done++;
  }
  await stepper.step();
  job.signal.throwIfAborted();
  if (between !== end || settings.exportFinalLineEnd) await writer.write(between);
  await writer.commit();
}

export const errorLogName = 'importErrors.log';

/**
 * Applies a blob line by line and writes the error log, which by default is there even when empty (§3.1, §9).
 * @returns the writing of the log, when it is to come after the job's end.
 */
export async function runImport(
  run: JobRun,
  input: ContainerClient,
  blobName: string,
  output: ContainerClient,
): Promise<(() => Promise<void>) | undefined> {
  const { job, store } = run;
  const { settings } = store;
  const stepper = new Stepper(run);
  const download = await input.getBlockBlobClient(blobName).download();
  if (download.readableStreamBody === undefined) throw new JobFailure('The input blob cannot be read.');
  job.total = download.contentLength ?? 0;
  const log = openWriter(run, output, errorLogName);
  if (settings.errorLogExisting === 'append') {
    await log.write(await readText(output.getBlockBlobClient(errorLogName)));
  }
  const applier = new LineApplier(run);
  const lines = splitLines(download.readableStreamBody as AsyncIterable<Buffer>);
  for await (const text of inOrder(lines, settings.importOrder, store.random)) {
    const wait = stepper.step();
    if (wait !== undefined) await wait;
    const entry = applier.apply(text);
    if (entry !== undefined) {
      const stored = log.write(`${entry}\r\n`.repeat(settings.errorLogRepeat));
      if (stored !== undefined) await stored;
    }
    job.done += Buffer.byteLength(text) + 2;
  }
  await stepper.step();
  job.signal.throwIfAborted();
  if (run.fault?.kind === 'noErrorLog' || (applier.refused === 0 && settings.errorLogClean === 'none')) {
    return undefined;
  }
  if (run.fault?.kind === 'lateErrorLog') return () => log.commit();
  await log.commit();
  return undefined;
}

/** A writer to a blob, cut short when the job's fault says so. */
function openWriter({ fault }: JobRun, output: ContainerClient, blobName: string): BlobWriter {
  return new BlobWriter(
    output.getBlockBlobClient(blobName),
    fault?.kind === 'cutOutput' ? fault.bytes : undefined,
  );
}
