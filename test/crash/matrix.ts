import { expect } from 'vitest';
import { createActivities, type Deps } from '../../activities/index.js';
import type { Services } from '../support/services.js';
import type { Cell, Seen } from './cells.js';
import { type Lane, openLane, type Passed, type Trace } from './lane.js';
import { SCENARIOS } from './scenarios.js';

/** The code's own list: each one is a row. */
export const ACTIVITIES: readonly string[] = Object.keys(createActivities({} as Deps));

/** Some lanes, each of which is given to one run after the other. */
export class Lanes {
  readonly #services: Services;
  /** Those that nobody has; null: one that is not open yet. */
  readonly #free: (Lane | null)[];
  readonly #waiting: ((lane: Lane | null) => void)[] = [];
  /** What each scenario does when nobody disturbs it. */
  readonly #traces = new Map<string, Trace>();

  constructor(services: Services, count: number) {
    this.#services = services;
    this.#free = Array.from({ length: count }, () => null);
  }

  /** Runs scenarios undisturbed. */
  async observe(names: readonly string[]): Promise<Seen> {
    await this.#openAll();
    const seen = names.map(async (name) => {
      const { calls, trace } = await this.#run(name, null);
      this.#traces.set(name, trace);
      return [name, calls] as const;
    });
    return Object.fromEntries(await Promise.all(seen));
  }

  /** Runs the scenario of a cell, disturbed; it must end as if it had not been. */
  async disturb({ scenario, fault, mayRepeat }: Cell): Promise<void> {
    const { trace } = await this.#run(scenario, fault);
    const undisturbed = this.#traces.get(scenario);
    if (mayRepeat !== true) expect(trace).toEqual(undisturbed);
    else {
      const { jobs, ...rest } = trace;
      const { jobs: expected = {}, ...others } = undisturbed ?? {};
      expect(rest).toEqual(others);
      for (const [hub, all] of Object.entries(expected)) {
        expect(new Set(jobs[hub])).toEqual(new Set(all));
        expect(jobs[hub]?.length).toBeLessThanOrEqual(all.length + 1);
      }
    }
  }

  async #openAll(): Promise<void> {
    for (const [n, lane] of this.#free.entries()) this.#free[n] = lane ?? (await openLane(this.#services));
  }

  /** When none is in use. */
  async close(): Promise<void> {
    await Promise.all(this.#free.map(async (lane) => lane?.close()));
  }

  async #run(name: string, fault: Cell['fault'] | null): Promise<Passed> {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    const free = this.#free.shift();
    const given =
      free === undefined ? new Promise<Lane | null>((resolve) => this.#waiting.push(resolve)) : free;
    let lane = await given;
    try {
      lane ??= await openLane(this.#services);
      return await lane.pass(scenario, fault);
    } catch (error) {
      // What a failed run left must not fail the next one.
      await lane?.close();
      lane = null;
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(lane);
      else next(lane);
    }
  }
}
