import { SAMPLES, type Sampled } from '../registry/totals.js';

export type { Sampled } from '../registry/totals.js';

/** Counts things and remembers the first few by name. */
export class Sampler {
  #count = 0;
  readonly #samples: string[] = [];

  add(name: string): void {
    this.#count += 1;
    if (this.#samples.length < SAMPLES) this.#samples.push(name);
  }

  result(): Sampled {
    return { count: this.#count, samples: this.#samples };
  }
}
