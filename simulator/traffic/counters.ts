/** What came of a request: a status, or no reply because of a fault, or a client that broke off. */
export type Outcome = number | 'dropped' | 'aborted';

/** Counts requests per route as they arrive, whatever becomes of them, and what they were answered. */
export class Counters {
  readonly #counts = new Map<string, number>();
  readonly #outcomes = new Map<string, Map<Outcome, number>>();

  count(route: string): void {
    this.#counts.set(route, (this.#counts.get(route) ?? 0) + 1);
  }

  /** To be called before the client can see the reply, so that it finds it counted. */
  countOutcome(route: string, outcome: Outcome): void {
    const counts = this.#outcomes.get(route) ?? new Map<Outcome, number>();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    this.#outcomes.set(route, counts);
  }

  /** E.g. `{ 'POST /jobs/create': 3, 'GET /jobs/{id}': 12 }`; routes that nobody called are left out. */
  read(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** E.g. `{ 'GET /jobs/{id}': { 200: 10, 429: 1, dropped: 1 } }`. */
  readOutcomes(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      [...this.#outcomes].map(([route, counts]) => [route, Object.fromEntries(counts)]),
    );
  }

  reset(): void {
    this.#counts.clear();
    this.#outcomes.clear();
  }
}
