import { createHash, createHmac, hash } from 'node:crypto';
import type { Policy } from './policy.js';
import type { ChangeKind } from './reconcile.js';
import type { RecordKey } from './record.js';

/** Bytes of one digest. */
export const DIGEST_BYTES = 32;

/**
 * The digest of one change of a plan: SHA-256 over kind, key and desired content (empty for a delete). A desired line
 * names the parent by device id and holds no ETags, times or scopes, so the same change always has the same digest.
 *
 * @returns 32 characters, one for each byte (latin1): a million small buffers would be a burden.
 */
export function changeDigest(kind: ChangeKind, key: RecordKey, desiredLine: string): string {
  // JSON text holds no bare line end, so the parts cannot run into each other.
  // One call: it is done for every record of a plan.
  return hash('sha256', `["${kind}",${JSON.stringify(key)}]\n${desiredLine}`, 'binary');
}

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
  return createHash('sha256')
    .update(`${JSON.stringify([policy.existing, policy.extra])}\n`)
    .update(sorted(digests))
    .digest('hex');
}

/**
 * What stays of a planned record's content after a run: enough to see whether a record is still what the run left, but
 * of no use for finding the keys in it without the salt. HMAC-SHA-256, hex.
 */
export function saltedDigest(salt: string, content: string): string {
  return createHmac('sha256', salt).update(content).digest('hex');
}

/** A sorted copy. First by the leading 16 bits, so that a million digests make small heaps to sort in the usual way. */
function sorted(digests: Buffer): Buffer {
  if (digests.length % DIGEST_BYTES !== 0) {
    throw new RangeError(`${digests.length} bytes are no whole number of digests.`);
  }
  const count = digests.length / DIGEST_BYTES;
  const starts = new Uint32Array(0x1_0000 + 1);
  for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
    const heap = digests.readUInt16BE(at) + 1;
    starts[heap] = (starts[heap] ?? 0) + 1;
  }
  for (let heap = 1; heap < starts.length; heap += 1) {
    starts[heap] = (starts[heap] ?? 0) + (starts[heap - 1] ?? 0);
  }
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
    const heap = digests.readUInt16BE(at);
    const place = next[heap] ?? 0;
    order[place] = at;
    next[heap] = place + 1;
  }
  const copy = Buffer.allocUnsafe(digests.length);
  let to = 0;
  for (let heap = 0; heap < 0x1_0000; heap += 1) {
    const members = order.subarray(starts[heap], starts[heap + 1]);
    if (members.length > 1) {
      members.sort((a, b) => digests.compare(digests, b, b + DIGEST_BYTES, a, a + DIGEST_BYTES));
    }
    for (const at of members) to += digests.copy(copy, to, at, at + DIGEST_BYTES);
  }
  return copy;
}
