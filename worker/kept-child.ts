import { setTimeout as pause } from 'node:timers/promises';
import { HubferryError } from '../registry/errors.js';
import type { Logger } from './log.js';
import { messageOf } from './unknown.js';

/** A child process that is ready for its work. */
export interface RunningChild {
  readonly pid: number;
  /** Resolves with how it ended, whoever ended it. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface KeptChildOptions {
  readonly name: string;
  /** Starts the child and returns when it is ready. Is to give up soon after the signal. */
  readonly start: (signal: AbortSignal) => Promise<RunningChild>;
  readonly log: Logger;
  readonly onUp?: (child: RunningChild) => void | Promise<void>;
  /** Called when it could not be brought up again. */
  readonly onGivenUp?: () => void;
}

/** Tries to bring a child up for the first time; more would only keep the user waiting. */
const FIRST_TRIES = 3;

/** Tries to bring a child up again, over about a minute, before the whole is given up. */
const LATER_TRIES = 12;

/** A child that was up for this long is started again at once when it dies, ms. */
const HEALTHY = 30_000;

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

/**
 * A child process that is started again whenever it dies, with pauses that grow with every start that fails and every
 * life that is short, up to 10 s.
 *
 * `starting` → `up` → (it dies) → `pausing` → `starting` …; from anywhere to `stopped`, by `stop()` or when too many
 * starts in a row failed. Lives, however short, are not given up: each does some work. Only `up` has a child that is
 * ready.
 */
export class KeptChild {
  readonly #options: KeptChildOptions;
  readonly #stop = new AbortController();
  #child: RunningChild | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: KeptChildOptions) {
    this.#options = options;
  }

  /**
   * Starts the child; returns when it is up for the first time.
   *
   * @throws what the last start threw, if it never came up
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#loop = this.#keep(resolve, reject);
    });
  }

  /** Ends the child for good. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#child?.stop();
    await this.#loop;
  }

  async #keep(up: () => void, failed: (error: unknown) => void): Promise<void> {
    const { name, log } = this.#options;
    let wasUp = false;
    let failures = 0;
    let shortLives = 0;
    while (!this.#stopped) {
      try {
        let upSince = 0;
        const how = await this.#live(() => {
          upSince = Date.now();
          wasUp = true;
          failures = 0;
          up();
        });
        if (this.#stopped) break;
        shortLives = Date.now() - upSince > HEALTHY ? 0 : shortLives + 1;
        log.warn({ child: name, how, shortLives }, 'child died; it is started again');
      } catch (error) {
        if (this.#stopped) break;
        failures++;
        log.error({ child: name, reason: messageOf(error), failures }, 'child does not start');
        if (!wasUp && (failures >= FIRST_TRIES || isFinal(error))) {
          failed(error);
          return;
        }
        if (failures >= LATER_TRIES) {
          this.#options.onGivenUp?.();
          return;
        }
      }
      await this.#pause(failures + shortLives);
    }
    failed(new HubferryError('EMBEDDED_FAILED', `The ${name} was stopped before it was up.`));
  }

  /** One life of the child, from its start to its end. */
  async #live(up: () => void): Promise<string> {
    const child = await this.#options.start(this.#stop.signal);
    this.#child = child;
    // Asked to stop while it started: stop() saw no child yet.
    if (this.#stopped) await child.stop();
    else {
      await this.#options.onUp?.(child);
      up();
    }
    const how = await child.ended;
    this.#child = null;
    return how;
  }

  async #pause(faults: number): Promise<void> {
    if (faults === 0) return;
    const time = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (faults - 1));
    await pause(time, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }
}

/** A fault of the configuration is the same at every try. */
function isFinal(error: unknown): boolean {
  return error instanceof HubferryError && error.code !== 'EMBEDDED_FAILED';
}
