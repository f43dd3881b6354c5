/** Of FNV-1a. */
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/** A step per partition is under way at once: Temporal allows 2,000, and each open blob takes memory. */
const MAX_PARTITIONS = 500;

/**
 * Into how many partitions a snapshot is cut, so that one of them fits in memory.
 *
 * @param bytes size of the snapshot, or of the larger one of two that are joined.
 * @param partitionBytes size that a partition should have.
 */
export function partitionCount(bytes: number, partitionBytes: number): number {
  return Math.min(MAX_PARTITIONS, Math.max(1, Math.ceil(bytes / partitionBytes)));
}

/**
 * The partition of a device and its modules, from 0.
 *
 * Must never change: files of a run that began under another version are found by it. FNV-1a (32 bits, over the UTF-16
 * units' low and high bytes), then the finaliser of MurmurHash3, since FNV alone spreads ids that only differ in their
 * last digits badly over powers of two.
 */
export function partitionOf(deviceId: string, partitions: number): number {
  let hash = BASIS;
  for (let at = 0; at < deviceId.length; at += 1) {
    const unit = deviceId.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), PRIME);
    hash = Math.imul(hash ^ (unit >>> 8), PRIME);
  }
  return finalised(hash) % partitions;
}

/** The same of an id that is at hand as bytes of ASCII. */
export function partitionOfBytes(bytes: Uint8Array, from: number, to: number, partitions: number): number {
  let hash = BASIS;
  for (let at = from; at < to; at += 1) hash = Math.imul(Math.imul(hash ^ (bytes[at] ?? 0), PRIME), PRIME);
  return finalised(hash) % partitions;
}

function finalised(fnv: number): number {
  let hash = Math.imul(fnv ^ (fnv >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
