import { isAscii, isUtf8 } from 'node:buffer';
import { Context } from '@temporalio/activity';

/** One line of a blob, without its line end. */
export interface Line {
  readonly text: string;
  /** Bytes from the start of the stream. */
  readonly offset: number;
}

/** A line that cannot be read: only where it stands is kept, so memory stays bounded. */
export interface BadLine {
  readonly text: null;
  readonly offset: number;
  readonly problem: 'too long' | 'not UTF-8';
}

export interface LineOptions {
  readonly maxLineBytes: number;
  /** Sees every byte; what it returns is awaited. */
  readonly onBytes?: (bytes: Buffer) => Promise<void> | void;
  /** Takes bytes that are not UTF-8 as replacement characters. */
  readonly lenient?: boolean;
  /** Bytes that are split at once, at least; by default 256 KiB. */
  readonly batchBytes?: number;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Bytes that are split at once. A text of so many is never moved by the garbage collector, and its lines are parts of it:
 * a partition that is held line by line would be moved about twice.
 */
const BATCH_BYTES = 256 * 1024;

/**
 * Splits a stream of bytes at line ends (LF or CRLF) and yields the non-empty lines in batches. A character never falls
 * apart between two, since lines are cut as bytes; where all of a batch is ASCII, as text.
 *
 * @throws the activity's cancellation.
 */
export async function* lineBatches(
  stream: AsyncIterable<Buffer>,
  options: LineOptions,
): AsyncGenerator<(Line | BadLine)[]> {
  const { cancellationSignal } = Context.current();
  let held: Buffer[] = []; // the beginning of a line whose end has not come yet
  let heldBytes = 0;
  let tooLong = false;
  let lineStart = 0;

  const take = (end: Buffer): Line | BadLine | null => {
    const offset = lineStart;
    const long = tooLong || heldBytes + end.length > maxLine;
    const bytes = long || held.length === 0 ? end : Buffer.concat([...held, end]);
    lineStart += heldBytes + end.length + 1;
    held = [];
    heldBytes = 0;
    tooLong = false;
    const body = bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes;
    if (long || body.length > options.maxLineBytes) return { text: null, offset, problem: 'too long' };
    if (body.length === 0) return null;
    if (options.lenient !== true && !isUtf8(body)) return { text: null, offset, problem: 'not UTF-8' };
    return { text: body.toString('utf8'), offset };
  };

  const maxLine = options.maxLineBytes + 1; // its CR does not count
  for await (const chunk of gathered(stream, options.batchBytes ?? BATCH_BYTES)) {
    cancellationSignal.throwIfAborted();
    const seen = options.onBytes?.(chunk);
    if (seen !== undefined) await seen;
    let lines: (Line | BadLine)[] = [];
    let from = 0;
    const whole = tooLong ? null : wholeLines(held, chunk);
    if (whole !== null && isAscii(whole)) {
      lines = asciiLines(whole, lineStart, options.maxLineBytes);
      lineStart += whole.length;
      from = whole.length - heldBytes;
      held = [];
      heldBytes = 0;
    }
    for (let at = chunk.indexOf(NEWLINE, from); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const line = take(chunk.subarray(from, at));
      if (line) lines.push(line);
      from = at + 1;
    }
    const rest = chunk.subarray(from);
    heldBytes += rest.length;
    if (heldBytes > maxLine) {
      tooLong = true;
      held = [];
    } else if (rest.length > 0) held.push(rest);
    if (lines.length > 0) yield lines;
  }
  if (heldBytes > 0) {
    const line = take(Buffer.alloc(0));
    if (line) yield [line];
  }
}

/** What was held and a chunk, as far as it is whole lines; null where no line ends in it. */
function wholeLines(held: readonly Buffer[], chunk: Buffer): Buffer | null {
  const last = chunk.lastIndexOf(NEWLINE);
  if (last < 0) return null;
  const end = chunk.subarray(0, last + 1);
  return held.length === 0 ? end : Buffer.concat([...held, end]);
}

/** Lines of ASCII, of which the last one has its end, too. */
function asciiLines(bytes: Buffer, start: number, maxLineBytes: number): (Line | BadLine)[] {
  const text = bytes.toString('latin1');
  const lines: (Line | BadLine)[] = [];
  let from = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
    const to = text.charCodeAt(at - 1) === RETURN && at > from ? at - 1 : at;
    const offset = start + from;
    if (to - from > maxLineBytes) lines.push({ text: null, offset, problem: 'too long' });
    else if (to > from) lines.push({ text: text.slice(from, to), offset });
    from = at + 1;
  }
  return lines;
}

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
