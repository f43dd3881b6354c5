import { expect } from 'vitest';
import { createActivities, type Deps } from '../../activities/index.js';
import type { Services } from '../support/services.js';
import type { Cell, Seen } from './cells.js';
import { type Lane, openLane, type Trace } from './lane.js';
import { SCENARIOS } from './scenarios.js';

/** The code's own list: each one is a row. */
export const ACTIVITIES: readonly string[] = Object.keys(createActivities({} as Deps));

/** Lanes that are free; each has a blob service of its own. */
export class Lanes {
  readonly #services: Services;
  readonly #free: string[];
  readonly #open = new Map<string, Lane>();
  readonly #waiting: ((storage: string) => void)[] = [];
  /** What each scenario does when nobody disturbs it. */
  readonly #traces = new Map<string, Trace>();

  constructor(services: Services, count: number) {
    this.#services = services;
    this.#free = services.storageConnectionStrings.slice(0, count);
  }

  /** Runs scenarios undisturbed. */
  async observe(names: readonly string[]): Promise<Record<string, Seen>> {
    const seen = names.map(async (name) => {
      const { calls, ms, trace } = await this.#run(name, null);
      this.#traces.set(name, trace);
      return [name, { calls, ms }] as const;
    });
    return Object.fromEntries(await Promise.all(seen));
  }

  /** Runs the scenario of a cell, disturbed; it must end as if it had not been. */
  async disturb({ scenario, fault }: Cell): Promise<void> {
    const { trace } = await this.#run(scenario, fault);
    expect(trace).toEqual(this.#traces.get(scenario));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((lane) => lane.close()));
  }

  async #run(name: string, fault: Cell['fault'] | null) {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
    const storage =
      this.#free.shift() ?? (await new Promise<string>((resolve) => this.#waiting.push(resolve)));
    try {
      const lane = this.#open.get(storage) ?? (await openLane(this.#services, storage));
      this.#open.set(storage, lane);
      const began = Date.now();
      const passed = await lane.pass(scenario, fault);
      return { ...passed, ms: Date.now() - began };
    } catch (error) {
      // What a failed run left must not fail the next one.
      const lane = this.#open.get(storage);
      this.#open.delete(storage);
      await lane?.close();
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(storage);
      else next(storage);
    }
  }
}
