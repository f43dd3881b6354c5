import type { SimulatedClock } from '../clock.js';
import { type ErrorName, ServiceError } from '../errors.js';
import type { HubSettings } from '../settings.js';
import { type OperationClass, rateOf } from './rates.js';

/** A request on its way through the throttle. */
export interface Toll {
  readonly operation: OperationClass;
  /** How many operations it counts as. */
  readonly weight: number;
  /** Of the HTTP request; the text of a refusal tells reads from writes. */
  readonly method: string;
}

interface Waiter {
  readonly toll: Toll;
  /** Simulated time at which it gives up. */
  readonly deadline: number;
  pass(): void;
  refuse(error: unknown): void;
}

/**
 * The throttles of one hub (§5): requests over a budget are delayed first, in the order in which they came, and refused
 * with 429 once they would wait too long or too many wait. A client that hangs up does not take its request back.
 */
export class Throttle {
  readonly #buckets = new Map<OperationClass, Bucket>();

  /** @param closing lets everybody go who waits, with the signal's reason. */
  constructor(
    readonly settings: HubSettings,
    readonly clock: SimulatedClock,
    readonly closing: AbortSignal,
  ) {}

  /**
   * Returns once the request may be processed, at once when nothing throttles.
   * @throws {ServiceError} ThrottleBacklogLimitExceeded, ThrottlingBacklogTimeout.
   */
  async pass(toll: Toll): Promise<void> {
    if (!this.settings.throttling) return;
    let bucket = this.#buckets.get(toll.operation);
    if (bucket === undefined) {
      bucket = new Bucket(this, toll.operation);
      this.#buckets.set(toll.operation, bucket);
    }
    await bucket.pass(toll);
  }

  /** How many requests of a class wait now. */
  waiting(operation: OperationClass): number {
    return this.#buckets.get(operation)?.waiting ?? 0;
  }

  /** To be called after a change of settings: who waits may wait shorter or longer now. */
  settingsChanged(): void {
    for (const bucket of this.#buckets.values()) bucket.lookAgain();
  }

  /** All budgets are as if nobody had asked yet; who waits goes on waiting. */
  refill(): void {
    for (const bucket of this.#buckets.values()) bucket.refill();
  }
}

/**
 * The token bucket of one class. It holds the budget of the period that the documentation names, a minute or a second:
 * "two 50-device requests per minute" are documented to pass for S1 with one unit (§5), whenever in the minute they
 * come, so that a smaller bucket would refuse what the service promises. Who weighs more than the bucket holds passes
 * when it is full and leaves a debt.
 */
class Bucket {
  #level: number;
  #levelAt: number;
  readonly #waiters: Waiter[] = [];
  #pumping = false;
  #wake = new AbortController();

  constructor(
    readonly throttle: Throttle,
    readonly operation: OperationClass,
  ) {
    this.#level = this.#rate().amount;
    this.#levelAt = throttle.clock.now();
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  pass(toll: Toll): Promise<void> {
    const { settings, clock } = this.throttle;
    this.#settle();
    if (this.#waiters.length === 0 && this.#covers(toll)) {
      this.#level -= toll.weight;
      return Promise.resolve();
    }
    if (this.#waiters.length >= settings.throttleBacklog) {
      return Promise.reject(refusal('ThrottleBacklogLimitExceeded', toll));
    }
    if (this.#waitOf(toll) > settings.throttleQueue) {
      return Promise.reject(refusal('ThrottlingBacklogTimeout', toll));
    }
    return new Promise((pass, refuse) => {
      this.#waiters.push({ toll, deadline: clock.now() + settings.throttleQueue, pass, refuse });
      if (!this.#pumping) void this.#pump();
    });
  }

  lookAgain(): void {
    this.#settle();
    this.#wake.abort();
  }

  refill(): void {
    this.#level = this.#rate().amount;
    this.lookAgain();
  }

  /** Lets the first of the waiters through as soon as the budget covers it, until none waits. */
  async #pump(): Promise<void> {
    const { settings, clock, closing } = this.throttle;
    this.#pumping = true;
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      this.#settle();
      if (closing.aborted) {
        this.#waiters.shift()?.refuse(closing.reason);
      } else if (!settings.throttling || this.#covers(first.toll)) {
        this.#level -= first.toll.weight;
        this.#waiters.shift()?.pass();
      } else if (clock.now() >= first.deadline) {
        this.#waiters.shift()?.refuse(refusal('ThrottlingBacklogTimeout', first.toll));
      } else {
        const missing = this.#timeFor(this.#need(first.toll) - this.#level);
        this.#wake = new AbortController();
        const signal = AbortSignal.any([this.#wake.signal, closing]);
        // Never less than a millisecond: a clock that stands still would be asked for ever.
        const ms = Math.max(1, Math.min(missing, first.deadline - clock.now()));
        await clock.sleep(ms, signal).catch(() => undefined);
      }
    }
    this.#pumping = false;
  }

  #rate(): { amount: number; seconds: number } {
    const { tier, units } = this.throttle.settings;
    return rateOf(this.operation, tier, units);
  }

  #perMs(): number {
    const { amount, seconds } = this.#rate();
    return amount / (seconds * 1000);
  }

  #need(toll: Toll): number {
    return Math.min(toll.weight, this.#rate().amount);
  }

  /** What a millisecond brings is forgiven: clocks and sums of fractions are no better. */
  #covers(toll: Toll): boolean {
    return this.#rate().amount > 0 && this.#level + this.#perMs() >= this.#need(toll);
  }

  /** Simulated ms that a request which comes now would wait. */
  #waitOf(toll: Toll): number {
    const ahead = this.#waiters.reduce((sum, waiter) => sum + waiter.toll.weight, 0);
    return this.#timeFor(ahead + this.#need(toll) - this.#level);
  }

  /** Simulated ms until so many tokens have come in; never when the hub has no units. */
  #timeFor(tokens: number): number {
    return this.#rate().amount === 0 ? Number.POSITIVE_INFINITY : Math.max(0, tokens) / this.#perMs();
  }

  #settle(): void {
    const now = this.throttle.clock.now();
    // A clock that was set back brings nothing.
    const passed = Math.max(0, now - this.#levelAt);
    this.#level = Math.min(this.#rate().amount, this.#level + passed * this.#perMs());
    this.#levelAt = now;
  }
}

/** Of these names only ConfigurationWrite was seen (§5); the others follow its pattern. */
const operationNames: Readonly<Record<OperationClass, readonly [read: string, write: string]>> = {
  registry: ['IdentityRead', 'IdentityWrite'],
  twinReads: ['TwinRead', 'TwinRead'],
  twinUpdates: ['TwinWrite', 'TwinWrite'],
  queries: ['Query', 'Query'],
  jobs: ['JobRead', 'JobWrite'],
  configurations: ['ConfigurationRead', 'ConfigurationWrite'],
};

function refusal(name: ErrorName, { operation, method }: Toll): ServiceError {
  const type = operationNames[operation][method === 'GET' ? 0 : 1];
  const text = 'The request has been throttled. Wait 10 seconds and try again.';
  return new ServiceError(name, `${text} Operation type: ${type}`);
}
