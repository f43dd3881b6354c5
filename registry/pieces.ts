import { DESIRED, ID, type LineBytes, MODULE, REASON, type Spans, startOf, toOf } from './scan-line.js';

/**
 * The desired line of a plain device is made of pieces of its exported line: they are copied, or compared, and neither line
 * is read for it.
 */

const BRACE = 0x7d;

/** Pieces of a line that its desired line is made of, at most: where each begins and ends. */
const PIECES = 8;
export type Pieces = Int32Array;
export const newPieces = (): Pieces => new Int32Array(2 * PIECES);

/**
 * The pieces of an exported line that make its desired line, with two braces after the last: identity, then what the user
 * wrote, in a fixed order and as it stands.
 *
 * @returns how many; 0 where a member is absent that a desired line has, or one would have to be put into words
 */
export function piecesOf(spans: Spans, pieces: Pieces): number {
  let count = 0;
  for (let member = ID; member <= DESIRED; member += 1) {
    const to = toOf(spans, member);
    if (to === 0) {
      if (member === MODULE || member === REASON) continue;
      return 0;
    }
    const from = startOf(spans, member);
    if (count > 0 && pieces[2 * count - 1] === from) pieces[2 * count - 1] = to;
    else {
      pieces[2 * count] = from;
      pieces[2 * count + 1] = to;
      count += 1;
    }
  }
  return count;
}

/** Bytes that are copied one by one: to ask the system for it costs more. */
const FEW = 48;

/** Writes the desired line of pieces, without a line end. @returns the byte after it */
export function copyPieces(
  { bytes }: LineBytes,
  pieces: Pieces,
  count: number,
  to: Buffer,
  start: number,
): number {
  let at = start;
  for (let piece = 0; piece < count; piece += 1) {
    const from = pieces[2 * piece] ?? 0;
    const end = pieces[2 * piece + 1] ?? 0;
    if (end - from > FEW) at += bytes.copy(to, at, from, end);
    else for (let byte = from; byte < end; byte += 1, at += 1) to[at] = bytes[byte] ?? 0;
  }
  to[at] = BRACE;
  to[at + 1] = BRACE;
  return at + 2;
}

/** Whether a desired line is the one of these pieces. */
export function isOfPieces({ bytes }: LineBytes, pieces: Pieces, count: number, desired: LineBytes): boolean {
  let at = desired.from;
  for (let piece = 0; piece < count; piece += 1) {
    const from = pieces[2 * piece] ?? 0;
    const end = pieces[2 * piece + 1] ?? 0;
    if (at + end - from > desired.to) return false;
    if (bytes.compare(desired.bytes, at, at + end - from, from, end) !== 0) return false;
    at += end - from;
  }
  return at + 2 === desired.to;
}
