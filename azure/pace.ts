import { setTimeout as pause } from 'node:timers/promises';

/** Spaces calls that several pieces of work make at one place. */
export class Pace {
  /** When the next call is due, ms. */
  #due = 0;

  /** Waits for the turn of one call. @param rate calls a second; left out: no wait, and no turn taken */
  async turn(rate: number | undefined): Promise<void> {
    if (rate === undefined) return;
    const now = Date.now();
    const at = Math.max(now, this.#due);
    this.#due = at + 1000 / rate;
    if (at > now) await pause(at - now);
  }
}
