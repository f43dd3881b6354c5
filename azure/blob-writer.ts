import type { BlockBlobClient } from '@azure/storage-blob';
import { type StorageCall, storageError } from './storage-errors.js';
import type { BlobWriter } from './storage-port.js';

/** Bytes of a block: large enough for few calls, small enough for dozens of writers at once. A blob has 50,000 at most. */
export const BLOCK_BYTES = 4 * 1024 * 1024;

/** Blocks of one writer that are on their way at the same time. */
const IN_FLIGHT = 2;

/** UTF-16 units of text that are put into bytes at once: many short lines cost as much as one long text. */
const TEXT_UNITS = 32 * 1024;

/** What a blob is written with. */
export interface BlockTarget {
  readonly call: StorageCall;
  readonly blob: BlockBlobClient;
  readonly contentType: string;
  readonly blockBytes: number;
  /** Tells the blocks of this writer from those of others, 6 bytes; left out: equal data makes equal blocks. */
  readonly series?: Buffer | undefined;
  /** Makes the signal that ends one request which takes too long. */
  readonly deadline: () => AbortSignal;
}

/**
 * Cuts what it is given into blocks of exactly `blockBytes` and numbers them, so that equal data makes equal blocks, unless
 * they belong to a series.
 * A blob of one block is sent in one call. Buffers are not copied: they must stay as they are.
 */
export class BlockWriter implements BlobWriter {
  readonly #target: BlockTarget;
  /** Text that is not among the pending bytes yet. */
  #text = '';
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #bytes = 0;
  #blocks: string[] = [];
  #sending = new Set<Promise<void>>();
  #failure: unknown;
  #open = true;

  constructor(target: BlockTarget) {
    this.#target = target;
  }

  get bytes(): number {
    this.#takeText();
    return this.#bytes;
  }

  write(data: string | Buffer): Promise<void> | void {
    this.#mustBeOpen();
    if (typeof data === 'string') {
      this.#text += data;
      const most = Math.min(TEXT_UNITS, this.#target.blockBytes);
      if (this.#text.length < most) return undefined;
      this.#takeText();
    } else {
      this.#takeText();
      this.#add(data);
    }
    return this.#pendingBytes > this.#target.blockBytes ? this.#sendWhole() : undefined;
  }

  #takeText(): void {
    if (this.#text === '') return;
    this.#add(Buffer.from(this.#text, 'utf8'));
    this.#text = '';
  }

  #add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pending.push(piece);
    this.#pendingBytes += piece.length;
    this.#bytes += piece.length;
  }

  async close(): Promise<void> {
    this.#mustBeOpen();
    this.#takeText();
    await this.#sendWhole();
    this.#open = false;
    const { call, blob, contentType, deadline } = this.#target;
    const blobHTTPHeaders = { blobContentType: contentType };
    const rest = this.#take(this.#pendingBytes);
    try {
      if (this.#blocks.length === 0) {
        await blob.upload(rest, rest.length, { blobHTTPHeaders, abortSignal: deadline() });
        return;
      }
      if (rest.length > 0) this.#send(rest);
      while (this.#sending.size > 0) await this.#wait();
      this.#mustBeWell();
      await blob.commitBlockList(this.#blocks, { blobHTTPHeaders, abortSignal: deadline() });
    } catch (error) {
      throw storageError(call, error);
    }
  }

  /** Sends all whole blocks but the last byte: what is left over is known to be the end only at `close`. */
  async #sendWhole(): Promise<void> {
    const { blockBytes } = this.#target;
    while (this.#pendingBytes > blockBytes) {
      this.#mustBeWell();
      if (this.#sending.size >= IN_FLIGHT) {
        await this.#wait();
      } else {
        this.#send(this.#take(blockBytes));
      }
    }
    this.#mustBeWell();
  }

  #send(block: Buffer): void {
    const { blob, deadline, series } = this.#target;
    const id = blockId(this.#blocks.length, series);
    this.#blocks.push(id);
    const sent: Promise<void> = blob
      .stageBlock(id, block, block.length, { abortSignal: deadline() })
      .then(
        () => undefined,
        (error: unknown) => {
          this.#failure ??= error;
        },
      )
      .finally(() => this.#sending.delete(sent));
    this.#sending.add(sent);
  }

  #wait(): Promise<void> {
    return Promise.race(this.#sending);
  }

  /** The next `bytes` of what is buffered, in one piece. */
  #take(bytes: number): Buffer {
    const all =
      this.#pending.length === 1 ? (this.#pending[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#pending);
    const rest = all.subarray(bytes);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    return all.subarray(0, bytes);
  }

  #mustBeWell(): void {
    if (this.#failure !== undefined) throw storageError(this.#target.call, this.#failure);
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new Error('the blob is already closed');
    this.#mustBeWell();
  }
}

/** All ids of one blob have to be of one length, also those of two releases, or of plain and of sealed blocks. */
function blockId(index: number, series: Buffer | undefined): string {
  if (series === undefined) return Buffer.from(`hf-${String(index).padStart(6, '0')}`).toString('base64');
  const number = Buffer.alloc(3);
  number.writeUIntBE(index, 0, 3);
  return Buffer.concat([series, number]).toString('base64');
}
