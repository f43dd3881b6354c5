import { isUtf8 } from 'node:buffer';
import { Context } from '@temporalio/activity';
import type { LineBytes } from '../registry/scan-line.js';

/** One line of a blob, without its line end. */
export class Line implements LineBytes {
  readonly problem = null;

  /** @param offset bytes from the start of the blob, or of the stream */
  constructor(
    readonly bytes: Buffer,
    readonly from: number,
    readonly to: number,
    readonly offset: number,
  ) {}

  get text(): string {
    return this.bytes.toString('utf8', this.from, this.to);
  }
}

/** A line that cannot be read: only where it stands is kept, so memory stays bounded. */
export interface BadLine {
  readonly text: null;
  readonly offset: number;
  readonly problem: 'too long' | 'not UTF-8';
}

export interface LineOptions {
  readonly maxLineBytes: number;
  /** The offset of the stream's first byte; by default 0. */
  readonly start?: number;
  /** Sees every byte; what it returns is awaited. */
  readonly onBytes?: (bytes: Buffer) => Promise<void> | void;
  /** Takes bytes that are not UTF-8 as replacement characters. */
  readonly lenient?: boolean;
  /** Bytes that are split at once, at least; by default 256 KiB. */
  readonly batchBytes?: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Bytes that are split at once. Their lines share them, so that a partition that is held is no burden to memory. */
const BATCH_BYTES = 256 * 1024;

/**
 * Splits a stream of bytes at line ends (LF or CRLF) and yields the non-empty lines in batches. A character never falls
 * apart between two, since lines are cut as bytes.
 *
 * @throws the activity's cancellation.
 */
export async function* lineBatches(
  stream: AsyncIterable<Buffer>,
  { maxLineBytes, start = 0, onBytes, lenient = false, batchBytes = BATCH_BYTES }: LineOptions,
): AsyncGenerator<(Line | BadLine)[]> {
  const { cancellationSignal } = Context.current();
  let held: Buffer[] = []; // the beginning of a line whose end has not come yet
  let heldBytes = 0;
  let lineStart = start;

  const hold = (bytes: Buffer): void => {
    heldBytes += bytes.length;
    // Of a line that is too long only the length counts, without its end.
    if (heldBytes > maxLineBytes + 2) held = [];
    else if (bytes.length > 0) held.push(bytes);
  };
  /** The line from one byte to its line end; null for an empty one. */
  const lineOf = (bytes: Buffer, from: number, end: number, isText: boolean): Line | BadLine | null => {
    const offset = lineStart;
    lineStart += end - from + 1;
    const to = end > from && bytes[end - 1] === RETURN ? end - 1 : end;
    if (to === from) return null;
    if (to - from > maxLineBytes) return { text: null, offset, problem: 'too long' };
    if (!isText && !isUtf8(bytes.subarray(from, to))) return { text: null, offset, problem: 'not UTF-8' };
    return new Line(bytes, from, to, offset);
  };
  /** The line that is held, up to and with its line end. */
  const heldLine = (end: Buffer): Line | BadLine | null => {
    hold(end);
    const [bytes, whole] = [held, heldBytes];
    held = [];
    heldBytes = 0;
    if (bytes.length > 0) return lineOf(Buffer.concat(bytes), 0, whole - 1, lenient);
    const offset = lineStart;
    lineStart += whole;
    return { text: null, offset, problem: 'too long' };
  };

  for await (const chunk of gathered(stream, batchBytes)) {
    cancellationSignal.throwIfAborted();
    const seen = onBytes?.(chunk);
    if (seen !== undefined) await seen;
    const last = chunk.lastIndexOf(NEWLINE);
    if (last < 0) {
      hold(chunk);
      continue;
    }
    const lines: (Line | BadLine)[] = [];
    let from = 0;
    if (heldBytes > 0) {
      from = chunk.indexOf(NEWLINE) + 1;
      const line = heldLine(chunk.subarray(0, from));
      if (line) lines.push(line);
    }
    const isText = lenient || isUtf8(chunk.subarray(from, last + 1));
    while (from <= last) {
      const end = chunk.indexOf(NEWLINE, from);
      const line = lineOf(chunk, from, end, isText);
      if (line) lines.push(line);
      from = end + 1;
    }
    hold(chunk.subarray(from));
    if (lines.length > 0) yield lines;
  }
  if (heldBytes > 0) {
    const line = heldLine(LAST_END);
    if (line) yield [line];
  }
}

const LAST_END = Buffer.from([NEWLINE]);

/** The same bytes in chunks that are worth to be looked at. */
async function* gathered(stream: AsyncIterable<Buffer>, least: number): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes < least) continue;
    yield chunks.length === 1 ? chunk : Buffer.concat(chunks);
    chunks = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(chunks);
}
