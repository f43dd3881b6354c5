import type { Throttle } from '../registry/throttles.js';

/** The part of a throttle that is used at least, however often the hub refuses. */
const LEAST = 1 / 16;

/** By how much that part grows with each call that the hub took. */
const GROWTH = 1 / 32;

/** The first back-off lasts as long as this many calls at full rate, at most; each further one twice as long. */
const BACK_OFF_CALLS = 4;

/** The longest back-off, ms: a hub asks for ten seconds (facts §5). */
const LONGEST_BACK_OFF = 20_000;

/**
 * What is left of one throttle of a hub, as far as this process knows: a token bucket that holds what the service lets
 * through in a period, so that calls wait here instead of being refused there. Other processes and other people call the
 * hub, too: when it refuses a call, the rate is halved, and grows again as calls are taken.
 */
export class Budget {
  readonly #calls: number;
  readonly #perMs: number;
  /** Calls that may be made at once; below zero: that are waited for. */
  #level: number;
  #levelAt: number;
  #share = 1;
  #cutAt = Number.NEGATIVE_INFINITY;

  constructor({ calls, seconds }: Throttle) {
    this.#calls = calls;
    this.#perMs = calls / (seconds * 1000);
    this.#level = calls;
    this.#levelAt = performance.now();
  }

  /** Takes the turn of one call. @returns how long it has to wait for it, ms */
  take(): number {
    this.#settle();
    this.#level -= 1;
    return Math.max(0, -this.#level) / (this.#perMs * this.#share);
  }

  /** The turn that was taken is not used. */
  giveBack(): void {
    this.#level += 1;
  }

  /** The hub took a call. */
  served(): void {
    this.#settle();
    this.#share = Math.min(1, this.#share + GROWTH);
  }

  /**
   * The hub refused a call for there being too many.
   *
   * @param sentAt when it was sent, by `performance.now()`: of calls that were under way together, one slows the rate
   */
  refused(sentAt: number): void {
    if (sentAt < this.#cutAt) return;
    this.#settle();
    this.#cutAt = this.#levelAt;
    this.#level = Math.min(this.#level, 0);
    this.#share = Math.max(LEAST, this.#share / 2);
  }

  /** How long a refused call waits before it takes another turn, ms: anything up to the full wait. @param tries from 0 */
  backOff(tries: number): number {
    return Math.random() * Math.min(LONGEST_BACK_OFF, (BACK_OFF_CALLS * 2 ** tries) / this.#perMs);
  }

  #settle(): void {
    const now = performance.now();
    this.#level = Math.min(this.#calls, this.#level + (now - this.#levelAt) * this.#perMs * this.#share);
    this.#levelAt = now;
  }
}
