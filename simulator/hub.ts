import { type PolicyName, policyKeys } from './access/sas.js';
import type { SimulatedClock } from './clock.js';
import { Configurations } from './configurations/configurations.js';
import type { HubState } from './hub-state.js';
import type { JobFault, JobType } from './jobs/job-faults.js';
import { Jobs } from './jobs/jobs.js';
import type { JsonObject } from './json.js';
import { Prng } from './prng.js';
import { Queries } from './query/query-run.js';
import { type FleetRecord, type FullRecord, loadRecords, toFullRecord } from './records/full-record.js';
import { RegistryStore } from './records/store.js';
import { checkSettings, defaultSettings, type HubOptions, type HubSettings } from './settings.js';
import { Counters } from './traffic/counters.js';
import { type FaultRule, Faults } from './traffic/faults.js';

/** One hub of the simulator, as tests and the demo hold it in their hands. */
export class SimulatedHub implements HubState {
  readonly name: string;
  readonly settings: HubSettings;
  readonly keys: Readonly<Record<PolicyName, string>>;
  readonly store: RegistryStore;
  readonly configurations: Configurations;
  readonly queries: Queries;
  readonly jobs: Jobs;
  readonly faults = new Faults();
  readonly counters = new Counters();
  #hostName = '';
  #ownHostName: string | undefined;

  /** @throws {TypeError} for a bad name or setting. */
  constructor(
    options: HubOptions,
    seed: number | undefined,
    readonly clock: SimulatedClock,
  ) {
    const { name, ownPort: _ownPort, ...settings } = options;
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)) {
      throw new TypeError(`hub name '${name}': letters, digits and hyphens, 63 at most`);
    }
    this.name = name.toLowerCase();
    this.settings = { ...defaultSettings, ...checkSettings(settings) };
    this.keys = policyKeys(this.name, seed);
    const random = new Prng(seed ?? Math.floor(performance.timeOrigin + performance.now() * 1000), this.name);
    this.store = new RegistryStore(this.settings, random, clock);
    this.configurations = new Configurations(clock.now);
    this.queries = new Queries(this.store);
    this.jobs = new Jobs(this.store);
  }

  /** Told by the server once it listens. */
  listensAs(hostName: string, ownHostName: string | undefined): void {
    this.#hostName = hostName;
    this.#ownHostName = ownHostName;
  }

  /** `<name>.localhost:PORT` */
  get hostName(): string {
    return this.#hostName;
  }

  /** `localhost:PORT`, when the hub has a port of its own. */
  get ownHostName(): string | undefined {
    return this.#ownHostName;
  }

  /**
   * A connection string for a policy.
   * @param own true: with `HostName=localhost:PORT` of the hub's own port.
   * @throws {Error} when `own` is asked for and the hub has no port of its own.
   */
  connectionString(policy: PolicyName = 'iothubowner', own = false): string {
    const host = own ? this.#ownHostName : this.#hostName;
    if (host === undefined) throw new Error(`hub '${this.name}' has no port of its own`);
    return `HostName=${host};SharedAccessKeyName=${policy};SharedAccessKey=${this.keys[policy]}`;
  }

  /** Puts records into the registry. @returns how many. */
  load(fleet: Iterable<FleetRecord>): number {
    return loadRecords(this.store, fleet);
  }

  /** Puts configurations into the hub. */
  loadConfigurations(configurations: Iterable<JsonObject>): void {
    this.configurations.load(configurations);
  }

  /** Every record as it is now, keys and system modules included; each device before its modules. */
  *dump(): Iterable<FullRecord> {
    for (const record of this.store.snapshot('get')) yield toFullRecord(record);
  }

  /** One record as it is now. */
  record(deviceId: string, moduleId?: string): FullRecord | undefined {
    const found =
      moduleId === undefined ? this.store.device(deviceId) : this.store.module(deviceId, moduleId);
    return found === undefined ? undefined : toFullRecord(found);
  }

  /** Forgets all records and configurations; jobs, counters and faults stay. */
  clear(): void {
    this.store.clear();
    this.configurations.clear();
  }

  /** As if it had just been made: nothing in it, no faults, default settings, counters at zero. Jobs stay. */
  reset(): void {
    this.set(defaultSettings);
    this.clear();
    this.clearFaults();
    this.resetCounters();
  }

  /** Changes settings while the hub runs; jobs that run feel it too. @throws {TypeError} for a bad setting. */
  set(change: Partial<HubSettings>): void {
    Object.assign(this.settings, checkSettings(change));
  }

  /** Requests per route since the start or the last reset. */
  counts(): Record<string, number> {
    return this.counters.read();
  }

  resetCounters(): void {
    this.counters.reset();
  }

  addFault(rule: FaultRule): void {
    this.faults.add(rule);
  }

  addJobFault(fault: JobFault): void {
    this.jobs.faults.add(fault);
  }

  clearFaults(): void {
    this.faults.clear();
    this.jobs.faults.clear();
  }

  /** A stranger's job takes the slot. @returns its id, which GET /jobs shows. */
  occupySlot(type?: JobType): string {
    return this.jobs.occupySlot(type);
  }

  releaseSlot(): void {
    this.jobs.releaseSlot();
  }
}
