/** Counts requests per route as they arrive, whatever becomes of them. */
export class Counters {
  readonly #counts = new Map<string, number>();

  count(route: string): void {
    this.#counts.set(route, (this.#counts.get(route) ?? 0) + 1);
  }

  /** E.g. `{ 'POST /jobs/create': 3, 'GET /jobs/{id}': 12 }`; routes that nobody called are left out. */
  read(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  reset(): void {
    this.#counts.clear();
  }
}
