import { createHash, createHmac, hash } from 'node:crypto';
import type { Policy } from './policy.js';
import type { ChangeKind } from './reconcile.js';
import type { RecordKey } from './record.js';
import type { LineBytes } from './scan-line.js';

/** Bytes of one digest. */
export const DIGEST_BYTES = 32;

/**
 * The digest of one change of a plan: SHA-256 over kind, key and desired content (empty for a delete). A desired line
 * names the parent by device id and holds no ETags, times or scopes, so the same change always has the same digest.
 *
 * @returns 32 characters, one for each byte (latin1): a million small buffers would be a burden.
 */
export function changeDigest(kind: ChangeKind, key: RecordKey, desiredLine: string | LineBytes): string {
  // JSON text holds no bare line end, so the parts cannot run into each other.
  const head = `["${kind}",${JSON.stringify(key)}]\n`;
  // One call: it is done for every record of a plan.
  if (typeof desiredLine === 'string') return hash('sha256', `${head}${desiredLine}`, 'binary');
  const { bytes, from, to } = desiredLine;
  // A key may have three bytes for each of its units.
  const most = 3 * head.length + to - from;
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(2 * most);
  const length = scratch.write(head);
  bytes.copy(scratch, length, from, to);
  return hash('sha256', scratch.subarray(0, length + to - from), 'binary');
}

/** What is digested is put together here. */
let scratch = Buffer.alloc(0);

/** The digest of one change of a configuration: as {@link changeDigest}, and never the same as one of a record. */
export function configurationDigest(kind: ChangeKind, id: string, desired: string): Buffer {
  return createHash('sha256')
    .update(`${JSON.stringify(['configuration', kind, id])}\n${desired}`)
    .digest();
}

/**
 * The hash of a plan: SHA-256 over the policy and the sorted digests of its changes, as hex.
 *
 * @param digests the digests of all changes one after the other, in any order; left as it is.
 * @throws RangeError where its length is not a multiple of 32.
 */
export function planHash(digests: Buffer, policy: Policy): string {
  const sum = createHash('sha256').update(`${JSON.stringify([policy.existing, policy.extra])}\n`);
  for (const some of sorted(digests)) sum.update(some);
  return sum.digest('hex');
}

/**
 * What stays of a planned record's content after a run: enough to see whether a record is still what the run left, but
 * of no use for finding the keys in it without the salt. HMAC-SHA-256, hex.
 */
export function saltedDigest(salt: string, content: string): string {
  return createHmac('sha256', salt).update(content).digest('hex');
}

/** Bits of a digest by which it is put into a heap: a million digests make small heaps. */
const HEAP_BITS = 16;

/** The digests in order, some at a time: a copy of all would be a burden. */
function* sorted(digests: Buffer): Generator<Buffer> {
  if (digests.length % DIGEST_BYTES !== 0) {
    throw new RangeError(`${digests.length} bytes are no whole number of digests.`);
  }
  const count = digests.length / DIGEST_BYTES;
  const view = new DataView(digests.buffer, digests.byteOffset, digests.length);
  /** The first 32 bits of each, big-endian: they decide, but for one in some thousands. */
  const first = new Uint32Array(count);
  const starts = new Uint32Array((1 << HEAP_BITS) + 1);
  for (let at = 0; at < count; at += 1) {
    const word = view.getUint32(at * DIGEST_BYTES);
    first[at] = word;
    const heap = (word >>> (32 - HEAP_BITS)) + 1;
    starts[heap] = (starts[heap] ?? 0) + 1;
  }
  for (let heap = 1; heap < starts.length; heap += 1) {
    starts[heap] = (starts[heap] ?? 0) + (starts[heap - 1] ?? 0);
  }
  const isBefore = (a: number, b: number): boolean => {
    const difference = (first[a] ?? 0) - (first[b] ?? 0);
    if (difference !== 0) return difference < 0;
    const [from, other] = [a * DIGEST_BYTES, b * DIGEST_BYTES];
    return digests.compare(digests, other, other + DIGEST_BYTES, from, from + DIGEST_BYTES) < 0;
  };
  // Each digest goes in among those that are in its heap already.
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let at = 0; at < count; at += 1) {
    const heap = (first[at] ?? 0) >>> (32 - HEAP_BITS);
    const start = starts[heap] ?? 0;
    let place = next[heap] ?? 0;
    next[heap] = place + 1;
    for (; place > start && isBefore(at, order[place - 1] ?? 0); place -= 1)
      order[place] = order[place - 1] ?? 0;
    order[place] = at;
  }
  for (let place = 0; place < count; place += AT_ONCE) {
    const some = order.subarray(place, place + AT_ONCE);
    const copy = Buffer.allocUnsafe(some.length * DIGEST_BYTES);
    const to = new DataView(copy.buffer, copy.byteOffset, copy.length);
    for (const [at, one] of some.entries())
      for (let byte = 0; byte < DIGEST_BYTES; byte += 4)
        to.setUint32(at * DIGEST_BYTES + byte, view.getUint32(one * DIGEST_BYTES + byte));
    yield copy;
  }
}

/** Digests that are hashed at once. */
const AT_ONCE = 2_048;
