/** How many are kept. */
const most = 100;

/** Mistakes of the simulator itself: whatever else a client does, it must never cause one. */
export class InternalErrors {
  readonly #texts: string[] = [];

  /** @param where e.g. the route. */
  add(where: string, error: unknown): void {
    if (this.#texts.length === most) this.#texts.shift();
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#texts.push(`${where}: ${text}`);
  }

  /** The last ones, each with its stack. */
  list(): readonly string[] {
    return [...this.#texts];
  }

  clear(): void {
    this.#texts.length = 0;
  }
}
