/** Spaces calls that several pieces of work make at one place. */
export class Pace {
  /** When the next call is due, ms. */
  #due = 0;

  /** Takes the turn of one call. @returns how long it has to wait for it, ms */
  wait(rate: number | undefined): number {
    if (rate === undefined) return 0;
    const now = Date.now();
    const at = Math.max(now, this.#due);
    this.#due = at + 1000 / rate;
    return at - now;
  }
}
