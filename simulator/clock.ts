/** Longest single timer: setTimeout takes no more than 2^31-1 ms. */
const longestTimer = 2_000_000_000;

/** Beyond this no date can be written down in the service's form. */
const latest = Date.UTC(9999, 11, 31);

/** Somebody who waits, and until when in simulated time. */
interface Sleeper {
  due: number;
  wake: () => void;
}

/**
 * The time of a simulator: that of the machine, until somebody speeds it up, stops it or moves it forward. All hubs of
 * a simulator share it. Jobs, lags, throttles, delays and timestamps follow it; tokens are checked against the
 * machine's own clock, because clients sign with theirs.
 */
export class SimulatedClock {
  #speed = 1;
  /** Simulated and real time at the last change of speed. */
  #simulatedAt = Date.now();
  #realAt = performance.now();
  #advanced = 0;
  readonly #sleepers = new Set<Sleeper>();

  /** Milliseconds since 1970; may have a fraction. It stops at the end of the year 9999. */
  readonly now = (): number =>
    Math.min(latest, this.#simulatedAt + (performance.now() - this.#realAt) * this.#speed);

  /** Simulated milliseconds per real one; 0 = it stands still and only {@link advance} moves it. */
  get speed(): number {
    return this.#speed;
  }

  /** Milliseconds by which {@link advance} has moved the clock so far: time in which nobody could work. */
  get advanced(): number {
    return this.#advanced;
  }

  /** @throws {TypeError} unless `speed` is a number from 0 up. */
  setSpeed(speed: number): void {
    if (!(speed >= 0 && speed < 1e9)) throw new TypeError('the speed of a clock is a number from 0 up');
    this.#settle(0);
    this.#speed = speed;
    this.#wake();
  }

  /** Moves the clock forward at once. @throws {TypeError} unless `ms` is a number from 0 up. */
  advance(ms: number): void {
    if (!(ms >= 0 && ms < 1e15)) throw new TypeError('a clock is advanced by milliseconds from 0 up');
    this.#advanced += ms;
    this.#settle(ms);
    this.#wake();
  }

  /** Back to the machine's time at its speed. Whoever waits is let go. */
  reset(): void {
    this.#simulatedAt = Date.now();
    this.#realAt = performance.now();
    this.#speed = 1;
    for (const sleeper of this.#sleepers) sleeper.due = 0;
    this.#wake();
  }

  /**
   * Waits for simulated milliseconds.
   * @throws the signal's reason when it fires first.
   */
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const sleeper: Sleeper = { due: this.now() + ms, wake: () => undefined };
    this.#sleepers.add(sleeper);
    const stop = (): void => sleeper.wake();
    signal?.addEventListener('abort', stop);
    try {
      // A timer of the machine may fire a little early.
      for (let left = ms; left >= 0.5; left = sleeper.due - this.now()) {
        await this.#nap(sleeper, left);
        signal?.throwIfAborted();
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#sleepers.delete(sleeper);
    }
  }

  /** Until the clock was changed, the sleeper was told to stop, or so many simulated milliseconds have passed. */
  async #nap(sleeper: Sleeper, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const real = this.#speed === 0 ? longestTimer : Math.min(ms / this.#speed, longestTimer);
      const timer = setTimeout(resolve, real);
      sleeper.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #settle(extra: number): void {
    this.#simulatedAt = this.now() + extra;
    this.#realAt = performance.now();
  }

  #wake(): void {
    for (const sleeper of this.#sleepers) sleeper.wake();
  }
}
