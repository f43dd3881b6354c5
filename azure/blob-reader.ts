import type { BlobClient } from '@azure/storage-blob';
import { StorageAnswerError, type StorageCall, storageError } from './storage-errors.js';
import type { BlobBody, BlobFacts } from './storage-port.js';

/** How often a read is taken up again with no byte received in between. */
const MAX_FRUITLESS = 3;

/** Milliseconds that a connection may be silent while somebody waits for it. */
const SILENCE = 60_000;

/** The bytes of a blob from some offset on, as one connection brings them. */
interface OpenBlob {
  readonly chunks: NodeJS.ReadableStream;
  readonly next: () => Promise<IteratorResult<string | Buffer>>;
  /** Offset in the blob at which the range that was asked for ends, exclusive. */
  readonly end: number;
  /** Of the whole blob. */
  readonly facts: BlobFacts;
}

/** A range of a blob, of one version of it where that is named. */
export interface BlobRange {
  readonly offset: number;
  readonly count?: number | undefined;
  readonly etag?: string | undefined;
}

/**
 * Reads a blob, or a range of it, over as many connections as it takes. The first is open when the promise resolves.
 *
 * The library can take up a download that was cut (`maxRetryRequests`), but a cut connection first reports "aborted",
 * which the library takes for its caller's wish (12.32.0, seen). So it is done here; every next connection asks for the
 * same version of the blob.
 *
 * @throws StorageAnswerError if there is no such blob; while reading, if it has changed meanwhile (status 412)
 */
export async function readBlob(call: StorageCall, blob: BlobClient, range: BlobRange): Promise<BlobBody> {
  try {
    if (range.count === 0) return NOTHING;
    const first = await open(blob, range);
    const chunks = chunksOf(call, blob, range.offset, first);
    return { facts: first.facts, [Symbol.asyncIterator]: () => chunks };
  } catch (error) {
    const mapped = storageError(call, error);
    // The range begins where the blob ends, or later.
    if (mapped instanceof StorageAnswerError && mapped.status === 416) return NOTHING;
    throw mapped;
  }
}

const NOTHING: BlobBody = { facts: null, async *[Symbol.asyncIterator]() {} };

async function* chunksOf(
  call: StorageCall,
  blob: BlobClient,
  start: number,
  first: OpenBlob,
): AsyncGenerator<Buffer> {
  const {
    end,
    facts: { etag },
  } = first;
  let connection: OpenBlob | null = first;
  let offset = start;
  let fruitless = 0;
  try {
    while (offset < end) {
      let chunk: Buffer;
      try {
        connection ??= await open(blob, { offset, count: end - offset, etag });
        chunk = await nextChunk(connection);
      } catch (error) {
        const mapped = storageError(call, error);
        fruitless += 1;
        // Another version, no blob, no rights: asking again would not help.
        if (mapped.code !== 'STORAGE_UNREACHABLE' || fruitless > MAX_FRUITLESS) throw mapped;
        close(connection);
        connection = null;
        continue;
      }
      offset += chunk.length;
      fruitless = 0;
      yield chunk;
    }
  } finally {
    close(connection);
  }
}

async function open(blob: BlobClient, { offset, count, etag }: BlobRange): Promise<OpenBlob> {
  // The signal ends the download too, so it may only be given a timer until the answer begins.
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const answer = await blob.download(offset, count, {
      abortSignal: silence.signal,
      maxRetryRequests: 0,
      ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
    });
    const chunks = answer.readableStreamBody;
    if (chunks === undefined) throw new Error('an answer without a body');
    // The iterator listens only from its first step on; an error before it must not be an uncaught one.
    chunks.on('error', () => undefined);
    const iterator = chunks[Symbol.asyncIterator]();
    return {
      chunks,
      next: () => iterator.next(),
      end: offset + (answer.contentLength ?? 0),
      facts: {
        bytes: wholeOf(answer.contentRange) ?? answer.contentLength ?? 0,
        contentType: answer.contentType ?? '',
        etag: answer.etag ?? '*',
      },
    };
  } finally {
    clearTimeout(timer);
  }
}

/** How long the whole is of which an answer is a range: `bytes 0-9/100`. */
function wholeOf(contentRange: string | undefined): number | null {
  const whole = /\/(\d+)$/.exec(contentRange ?? '')?.[1];
  return whole === undefined ? null : Number(whole);
}

async function nextChunk({ next }: OpenBlob): Promise<Buffer> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing was heard for ${SILENCE / 1000} s`)), SILENCE);
  });
  try {
    const { done, value } = await Promise.race([next(), silence]);
    if (done === true) throw new Error('the answer ended early');
    return typeof value === 'string' ? Buffer.from(value) : value;
  } finally {
    clearTimeout(timer);
  }
}

function close(connection: OpenBlob | null): void {
  if (
    connection !== null &&
    'destroy' in connection.chunks &&
    typeof connection.chunks.destroy === 'function'
  ) {
    connection.chunks.destroy();
  }
}
