import { setTimeout as pause } from 'node:timers/promises';
import type { SimulatedHub } from '../../simulator/index.js';
import type { Treatment } from '../crash/storage-gate.js';
import type { Crew } from './crew.js';
import { type HubName, kindOf, type Mix, type ProcessStrike, type StorageStrike } from './mix.js';

/** How often the target is looked at for strikes that wait for records, in ms. */
const LOOK_EVERY = 10;

interface Cloud {
  readonly strike: StorageStrike;
  readonly pattern: RegExp;
  skip: number;
  left: number;
}

/** Lets a mix strike: each fault at its point of the run, and counts what struck. */
export class Weather {
  readonly #mix: Mix;
  readonly #hubs: Readonly<Record<HubName, SimulatedHub>>;
  readonly #crew: Crew;
  readonly #clouds: readonly Cloud[];
  #waiting: readonly ProcessStrike[];
  readonly #struck = new Map<string, number>();
  /** Requests of hubferry's to storage. */
  #requests = 0;
  /** Records of the target when it began. */
  #records = 0;
  #looks: NodeJS.Timeout | undefined;

  constructor(mix: Mix, hubs: Readonly<Record<HubName, SimulatedHub>>, crew: Crew) {
    this.#mix = mix;
    this.#hubs = hubs;
    this.#crew = crew;
    this.#clouds = mix.strikes.flatMap((strike) =>
      strike.on === 'storage'
        ? { strike, pattern: new RegExp(strike.requests), skip: strike.skip, left: strike.times }
        : [],
    );
    this.#waiting = mix.strikes.filter((strike) => strike.on === 'process');
  }

  begin(): void {
    for (const name of ['old', 'new'] as const) this.#hubs[name].set(this.#mix.hubs[name]);
    for (const strike of this.#mix.strikes) {
      if (strike.on === 'hub') this.#hubs[strike.hub].addFault(strike.rule);
      if (strike.on === 'job') this.#hubs[strike.hub].addJobFault(strike.fault);
    }
    this.#records = this.#hubs.new.store.deviceCount;
    this.#looks = setInterval(() => this.#look(), LOOK_EVERY);
  }

  /** The sun shines again. @returns how often each kind of fault struck. */
  end(): ReadonlyMap<string, number> {
    clearInterval(this.#looks);
    this.#waiting = [];
    for (const name of ['old', 'new'] as const) {
      const { faults, jobs } = this.#hubs[name];
      for (const strike of this.#mix.strikes) {
        if ((strike.on !== 'hub' && strike.on !== 'job') || strike.hub !== name) continue;
        const { times = 1 } = strike.on === 'hub' ? strike.rule : strike.fault;
        this.#count(kindOf(strike), times);
      }
      for (const { id: _id, ...rule } of faults.list())
        this.#count(kindOf({ on: 'hub', hub: name, rule }), -(rule.times ?? 1));
      for (const fault of jobs.faults.list())
        this.#count(kindOf({ on: 'job', hub: name, fault }), -(fault.times ?? 1));
      this.#hubs[name].clearFaults();
      this.#hubs[name].releaseSlot();
      if (this.#mix.hubs[name].throttling === true)
        this.#count('hub throttles', statusCount(this.#hubs[name], 429));
    }
    return this.#struck;
  }

  /** What becomes of a request to the blob service. */
  async treat(request: string): Promise<Treatment> {
    const ofHub = /[?&]sig=/.test(request);
    if (!ofHub) {
      this.#requests++;
      this.#strike(({ at }) => 'requests' in at && at.requests <= this.#requests);
    }
    const cloud = this.#clouds.find(
      (one) => one.left > 0 && (one.strike.of === 'hub') === ofHub && one.pattern.test(request),
    );
    if (cloud === undefined) return 'pass';
    if (cloud.skip > 0) {
      cloud.skip--;
      return 'pass';
    }
    cloud.left--;
    this.#count(kindOf(cloud.strike), 1);
    const { fault } = cloud.strike;
    if (fault.kind === 'status') return { status: fault.status };
    if (fault.kind !== 'delay') return fault.kind;
    await pause(fault.ms);
    return 'pass';
  }

  #look(): void {
    const written = this.#hubs.new.store.deviceCount - this.#records;
    this.#strike(({ at }) => 'records' in at && written > 0 && at.records <= written);
  }

  #strike(isDue: (strike: ProcessStrike) => boolean): void {
    const due = this.#waiting.filter(isDue);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((strike) => !due.includes(strike));
    for (const strike of due) if (this.#crew.strike(strike)) this.#count(kindOf(strike), 1);
  }

  #count(kind: string, times: number): void {
    const count = (this.#struck.get(kind) ?? 0) + times;
    if (count === 0) this.#struck.delete(kind);
    else this.#struck.set(kind, count);
  }
}

/** How many requests a hub answered with a status. */
function statusCount(hub: SimulatedHub, status: number): number {
  return Object.values(hub.outcomes()).reduce((sum, outcomes) => sum + (outcomes[status] ?? 0), 0);
}
