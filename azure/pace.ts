import { setTimeout as pause } from 'node:timers/promises';

/** Spaces calls that several pieces of work make at one place. */
export class Pace {
  /** When the next call is due, ms. */
  #due = 0;

  /** Waits for the turn of one call. @param rate calls a second; left out: no wait, and no turn taken */
  async turn(rate: number | undefined): Promise<void> {
    const wait = this.wait(rate);
    if (wait > 0) await pause(wait);
  }

  /** Takes the turn of one call. @returns how long it has to wait for it, ms */
  wait(rate: number | undefined): number {
    if (rate === undefined) return 0;
    const now = Date.now();
    const at = Math.max(now, this.#due);
    this.#due = at + 1000 / rate;
    return at - now;
  }
}
