import { setMaxListeners } from 'node:events';
import type { BearerTokens } from './access/bearer.js';
import { type PolicyName, policyKeys } from './access/sas.js';
import type { SimulatedClock } from './clock.js';
import { Configurations } from './configurations/configurations.js';
import type { HubState } from './hub-state.js';
import { HubIdentity } from './jobs/hub-identity.js';
import type { JobFault, JobType } from './jobs/job-faults.js';
import { Jobs } from './jobs/jobs.js';
import type { JsonObject } from './json.js';
import type { HubOptions } from './options.js';
import { Prng } from './prng.js';
import { Queries } from './query/query-run.js';
import { type FleetRecord, type FullRecord, loadRecords, toFullRecord } from './records/full-record.js';
import { RegistryStore } from './records/store.js';
import { checkSettings, defaultSettings, type HubSettings } from './settings.js';
import { Counters } from './traffic/counters.js';
import { type FaultRule, Faults } from './traffic/faults.js';
import { InternalErrors } from './traffic/internal-errors.js';
import { Throttle } from './traffic/throttle.js';

/** What all hubs of a simulator share. */
export interface World {
  readonly seed: number | undefined;
  readonly clock: SimulatedClock;
  readonly tokens: BearerTokens;
  /** Faults that may hit any of the hubs. */
  readonly faults: Faults;
}

/** One hub of the simulator, as tests and the demo hold it in their hands. */
export class SimulatedHub implements HubState {
  readonly name: string;
  readonly settings: HubSettings;
  readonly keys: Readonly<Record<PolicyName, string>>;
  readonly store: RegistryStore;
  readonly configurations: Configurations;
  readonly queries: Queries;
  readonly jobs: Jobs;
  readonly clock: SimulatedClock;
  readonly tokens: BearerTokens;
  readonly faults: Faults;
  readonly throttle: Throttle;
  readonly counters = new Counters();
  readonly internalErrors = new InternalErrors();
  readonly #initial: HubSettings;
  readonly #closing = new AbortController();
  #hostName = '';
  #ownHostName: string | undefined;

  /** @throws {TypeError} for a bad name or setting. */
  constructor(options: HubOptions, { seed, clock, tokens, faults }: World) {
    const { name, ownPort: _ownPort, identityStorage, userIdentities, ...settings } = options;
    if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)) {
      throw new TypeError(`hub name '${name}': letters, digits and hyphens, 63 at most`);
    }
    this.name = name.toLowerCase();
    this.settings = { ...defaultSettings, ...checkSettings(settings) };
    this.#initial = { ...this.settings };
    this.clock = clock;
    this.tokens = tokens;
    this.faults = new Faults(faults);
    // One listener for each request that waits.
    setMaxListeners(0, this.closing);
    this.throttle = new Throttle(this.settings, clock, this.closing);
    this.keys = policyKeys(this.name, seed);
    const random = new Prng(seed ?? Math.floor(performance.timeOrigin + performance.now() * 1000), this.name);
    this.store = new RegistryStore(this.settings, random, clock);
    this.configurations = new Configurations(this.store, this.closing);
    this.queries = new Queries(this.store);
    this.jobs = new Jobs(this.store, this.configurations, new HubIdentity(identityStorage, userIdentities));
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

  /** Puts configurations into the hub. They act on what is written later, not on what is there. */
  loadConfigurations(configurations: Iterable<JsonObject>): void {
    this.configurations.load(configurations);
  }

  /** Every configuration and edge deployment as it is now. */
  dumpConfigurations(): JsonObject[] {
    return this.configurations.list();
  }

  /** Every record as it is now, keys and system modules included; each device before its modules. */
  *dump(): Iterable<FullRecord> {
    for (const record of this.store.snapshot('now')) yield toFullRecord(record);
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

  /**
   * As if it had just been made: nothing in it, no faults, the settings that it was made with, counters at zero,
   * budgets full, the slot free. Jobs of clients stay.
   */
  reset(): void {
    this.set(this.#initial);
    this.clear();
    this.clearFaults();
    this.releaseSlot();
    this.throttle.refill();
    this.resetCounters();
    this.internalErrors.clear();
  }

  /** Fires when the hub is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Lets go of all requests that wait, and stops all jobs. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.jobs.close();
  }

  /** Changes settings while the hub runs; jobs that run feel it too. @throws {TypeError} for a bad setting. */
  set(change: Partial<HubSettings>): void {
    Object.assign(this.settings, checkSettings(change));
    this.throttle.settingsChanged();
  }

  /** Requests per route since the start or the last reset. */
  counts(): Record<string, number> {
    return this.counters.read();
  }

  /**
   * What requests were answered since then: statuses per route, `dropped` where a fault took the reply, `aborted`
   * where the client broke off.
   */
  outcomes(): Record<string, Record<string, number>> {
    return this.counters.readOutcomes();
  }

  resetCounters(): void {
    this.counters.reset();
  }

  /** @returns the rule's id. */
  addFault(rule: FaultRule): string {
    return this.faults.add(rule);
  }

  /** @returns false when there is no such rule, maybe because it is used up. */
  removeFault(id: string): boolean {
    return this.faults.remove(id);
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
