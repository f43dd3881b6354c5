import { randomUUID } from 'node:crypto';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ServiceError } from '../errors.js';
import { storageLibrary, storageRefusal } from './storage-library.js';

/** Bytes per staged block. */
const blockBytes = 4 * 1024 * 1024;

/** Few retries: an unreachable container must be reported while the client of POST /jobs/create waits. */
export const containerRetries = {
  retryOptions: { maxTries: 2, tryTimeoutInMs: 15_000, retryDelayInMs: 50 },
};

/**
 * A container named by the URI in a job, with its SAS.
 * @throws {ServiceError} BlobContainerValidationError when the URI is none.
 */
export function openContainer(uri: string): ContainerClient {
  let parsed: URL;
  try {
    parsed = new URL(uri);
  } catch {
    throw new ServiceError('BlobContainerValidationError', 'The container URI is not valid.');
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new ServiceError('BlobContainerValidationError', 'The container URI is not valid.');
  }
  return new (storageLibrary().ContainerClient)(uri, undefined, containerRetries);
}

/** What the service says to a container that it must not write to (§4). */
export const unauthorizedToWrite = 'Unauthorized to write to output blob container.';

/**
 * Writes and deletes a small blob, as the service does before it accepts a job (§4).
 * @throws {ServiceError} BlobContainerValidationError with the service's texts.
 */
export async function probeOutput(container: ContainerClient): Promise<void> {
  const probe = container.getBlockBlobClient(`iothub-probe-${randomUUID()}`);
  try {
    await probe.upload('probe', 5);
  } catch (error) {
    throw refused(error, unauthorizedToWrite);
  }
  try {
    await probe.delete();
  } catch (error) {
    throw refused(error, 'Unauthorized to delete from output blob container');
  }
}

/**
 * @param mayMiss the blob need not be there.
 * @throws {ServiceError} BlobContainerValidationError when the blob cannot be read, or is missing and must not be.
 */
export async function probeInput(
  container: ContainerClient,
  blobName: string,
  mayMiss: boolean,
): Promise<void> {
  try {
    await container.getBlockBlobClient(blobName).getProperties();
  } catch (error) {
    const missing = storageRefusal(error)?.statusCode === 404;
    if (missing && mayMiss) return;
    throw refused(
      error,
      missing ? `Input blob '${blobName}' was not found.` : 'Unauthorized to read from input blob container.',
    );
  }
}

function refused(error: unknown, text: string): ServiceError {
  const status = storageRefusal(error)?.statusCode;
  if (status === 401 || status === 403 || (status === 404 && text.startsWith('Input blob'))) {
    return new ServiceError('BlobContainerValidationError', text);
  }
  const why = status === 404 ? 'The blob container does not exist.' : 'The blob container cannot be reached.';
  return new ServiceError('BlobContainerValidationError', why);
}

/** The text of a blob; empty when there is none, or it may not be read. */
export async function readText(blob: BlockBlobClient): Promise<string> {
  try {
    return (await blob.downloadToBuffer()).toString('utf8');
  } catch (error) {
    const status = storageRefusal(error)?.statusCode;
    if (status === 404 || status === 403) return '';
    throw error;
  }
}

/** Writes text to a block blob in blocks, with one upload in flight while the next block fills. */
export class BlobWriter {
  #parts: Buffer[] = [];
  #bytes = 0;
  #text = '';
  #blocks: string[] = [];
  #upload: Promise<unknown> = Promise.resolve();
  #limit: number;

  /** @param limit bytes after which everything is thrown away: the fault `cutOutput`. */
  constructor(
    readonly blob: BlockBlobClient,
    limit = Number.POSITIVE_INFINITY,
  ) {
    this.#limit = limit;
  }

  /** @returns a promise only when a block went off: a million lines must not cost a million promises. */
  write(text: string): Promise<void> | undefined {
    this.#text += text;
    if (this.#text.length < 64 * 1024) return undefined;
    this.#take();
    return this.#bytes >= blockBytes ? this.#stage() : undefined;
  }

  /** Makes the blob, empty when nothing was written. */
  async commit(): Promise<void> {
    this.#take();
    if (this.#blocks.length === 0) {
      const body = Buffer.concat(this.#parts);
      await this.blob.upload(body, body.length);
      return;
    }
    if (this.#bytes > 0) await this.#stage();
    await this.#upload;
    await this.blob.commitBlockList(this.#blocks);
  }

  #take(): void {
    let bytes = Buffer.from(this.#text, 'utf8');
    this.#text = '';
    if (bytes.length > this.#limit) bytes = bytes.subarray(0, this.#limit);
    this.#limit -= bytes.length;
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  async #stage(): Promise<void> {
    const body = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    const id = Buffer.from(String(this.#blocks.length).padStart(8, '0')).toString('base64');
    this.#blocks.push(id);
    await this.#upload;
    const upload = this.blob.stageBlock(id, body, body.length);
    // A failure is seen at the next await; until then it must not count as unhandled.
    upload.catch(() => undefined);
    this.#upload = upload;
  }
}
