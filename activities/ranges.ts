import { createHash, type Hash } from 'node:crypto';

/** A part of a snapshot that begins where a line begins and ends where one ends, so that it can be read on its own. */
export interface SnapshotRange {
  readonly offset: number;
  readonly bytes: number;
  readonly sha256: string;
}

const NEWLINE = 0x0a;

/** Cuts a snapshot into ranges while it is read from end to end. */
export class RangeCutter {
  readonly #least: number;
  readonly #ranges: SnapshotRange[] = [];
  #offset = 0;
  #bytes = 0;
  #hash: Hash = createHash('sha256');

  /** @param least bytes of a range, but for the last one. */
  constructor(least: number) {
    this.#least = least;
  }

  add(chunk: Buffer): void {
    let rest = chunk;
    while (this.#bytes + rest.length >= this.#least) {
      const end = rest.indexOf(NEWLINE, Math.max(0, this.#least - this.#bytes - 1));
      if (end < 0) break;
      this.#take(rest.subarray(0, end + 1));
      this.#cut();
      rest = rest.subarray(end + 1);
    }
    this.#take(rest);
  }

  #take(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
  }

  #cut(): void {
    this.#ranges.push({ offset: this.#offset, bytes: this.#bytes, sha256: this.#hash.digest('hex') });
    this.#offset += this.#bytes;
    this.#bytes = 0;
    this.#hash = createHash('sha256');
  }

  /** All ranges: one where the snapshot is small, or empty. */
  close(): SnapshotRange[] {
    if (this.#bytes > 0 || this.#ranges.length === 0) this.#cut();
    return this.#ranges;
  }
}
