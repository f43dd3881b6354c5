/**
 * A small seeded generator (sfc32, Chris Doty-Humphrey's PractRand family). Not for secrets: it makes test data that
 * is the same at every run.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  /** @param seed any integer; `stream` gives independent sequences of one seed. */
  constructor(seed: number, stream = '') {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    for (let i = 0; i < stream.length; i++) {
      this.#c = Math.imul(this.#c ^ stream.charCodeAt(i), 0x01000193);
    }
    for (let i = 0; i < 15; i++) this.uint32();
  }

  /** An integer in 0 … 2^32-1. */
  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }

  /** A number in [0, 1). */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** An integer in 0 … below-1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the items. */
  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  /** `count` bytes. */
  bytes(count: number): Buffer {
    const out = Buffer.alloc(Math.ceil(count / 4) * 4);
    for (let i = 0; i < out.length; i += 4) out.writeUInt32LE(this.uint32(), i);
    return out.subarray(0, count);
  }
}
