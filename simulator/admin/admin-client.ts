import type { TokenAsk } from '../access/bearer.js';
import type { JobFault, JobType } from '../jobs/job-faults.js';
import type { JsonObject } from '../json.js';
import { splitLines } from '../lines.js';
import type { FleetRecord, FullRecord } from '../records/full-record.js';
import type { HubSettings } from '../settings.js';
import type { FaultRule, PlacedFault } from '../traffic/faults.js';
import type { ClockState, HubEntry } from './answers.js';

/** What the admin port refused, with its own words. */
export class AdminError extends Error {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text);
    this.name = 'AdminError';
  }
}

/** Steers a simulator that runs in another process, through its admin port; all calls throw {@link AdminError}. */
export class SimulatorAdmin {
  constructor(readonly port: number) {}

  /** The hubs that are served. */
  async hubs(): Promise<HubEntry[]> {
    return (await this.#json('GET', '/hubs')) as HubEntry[];
  }

  /** One hub by name; calls for an unknown one fail with {@link AdminError}. */
  hub(name: string): HubAdmin {
    return new HubAdmin(this.port, name);
  }

  /** The time of all hubs. */
  async clock(): Promise<ClockState> {
    return (await this.#json('GET', '/clock')) as ClockState;
  }

  /** @param speed simulated milliseconds per real one; 0 stops the clock. */
  async setClockSpeed(speed: number): Promise<ClockState> {
    return (await this.#json('PATCH', '/clock', { speed })) as ClockState;
  }

  /** @param ms simulated milliseconds. */
  async advanceClock(ms: number): Promise<ClockState> {
    return (await this.#json('POST', '/clock/advance', { ms })) as ClockState;
  }

  /** Back to the machine's time at its speed. */
  async resetClock(): Promise<ClockState> {
    return (await this.#json('DELETE', '/clock')) as ClockState;
  }

  /** The rules that may hit any hub. */
  async faults(): Promise<PlacedFault[]> {
    return ((await this.#json('GET', '/faults')) as { requests: PlacedFault[] }).requests;
  }

  /** A rule that may hit any hub. @returns its id. */
  async addFault(rule: FaultRule): Promise<string> {
    return ((await this.#json('POST', '/faults', rule)) as { id: string }).id;
  }

  async removeFault(id: string): Promise<void> {
    await this.#json('DELETE', `/faults/${encodeURIComponent(id)}`);
  }

  /** Takes away the rules that may hit any hub; those of single hubs stay. */
  async clearFaults(): Promise<void> {
    await this.#json('DELETE', '/faults');
  }

  /** A token as Microsoft Entra ID would issue it, good for all hubs; by default with every right. */
  async bearerToken(ask: TokenAsk = {}): Promise<string> {
    return ((await this.#json('POST', '/token', ask)) as { token: string }).token;
  }

  /** Requests by hub and route. */
  async counts(): Promise<Record<string, Record<string, number>>> {
    return (await this.#json('GET', '/counters')) as Record<string, Record<string, number>>;
  }

  /** Of all hubs. */
  async resetCounters(): Promise<void> {
    await this.#json('DELETE', '/counters');
  }

  /** Mistakes of the simulator itself; there should be none. */
  async internalErrors(): Promise<string[]> {
    return (await this.#json('GET', '/internal-errors')) as string[];
  }

  /** Resets all hubs, and what they share: the clock and faults. */
  async reset(): Promise<void> {
    await this.#json('POST', '/reset');
  }

  async #json(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await call(
      this.port,
      method,
      path,
      body === undefined ? undefined : JSON.stringify(body),
    );
    return response.json();
  }
}

/** The same calls that a hub offers in its own process; all throw {@link AdminError} when refused. */
export class HubAdmin {
  constructor(
    readonly port: number,
    readonly name: string,
  ) {}

  /** As if the hub had just been made; jobs of clients stay. */
  async reset(): Promise<void> {
    await this.#json('POST', 'reset');
  }

  /** Requests by route. */
  async counts(): Promise<Record<string, number>> {
    return (await this.#json('GET', 'counters')) as Record<string, number>;
  }

  /** What requests were answered, by route: statuses, `dropped`, `aborted`. */
  async outcomes(): Promise<Record<string, Record<string, number>>> {
    return (await this.#json('GET', 'outcomes')) as Record<string, Record<string, number>>;
  }

  async resetCounters(): Promise<void> {
    await this.#json('DELETE', 'counters');
  }

  /** Every record with its keys, as a stream. */
  async *dump(): AsyncIterable<FullRecord> {
    const response = await this.#call('GET', 'records');
    if (response.body === null) return;
    for await (const line of splitLines(response.body as AsyncIterable<Uint8Array>)) {
      yield JSON.parse(line) as FullRecord;
    }
  }

  /** @returns how many records were loaded. */
  async load(fleet: Iterable<FleetRecord>): Promise<number> {
    const response = await this.#call('POST', 'records', recordLines(fleet));
    return ((await response.json()) as { loaded: number }).loaded;
  }

  async configurations(): Promise<JsonObject[]> {
    return (await this.#json('GET', 'configurations')) as JsonObject[];
  }

  async loadConfigurations(configurations: readonly JsonObject[]): Promise<void> {
    await this.#json('POST', 'configurations', configurations);
  }

  /** Forgets all records and configurations. */
  async clear(): Promise<void> {
    await this.#json('DELETE', 'records');
  }

  async settings(): Promise<HubSettings> {
    return (await this.#json('GET', 'settings')) as HubSettings;
  }

  async set(change: Partial<HubSettings>): Promise<HubSettings> {
    return (await this.#json('PATCH', 'settings', change)) as HubSettings;
  }

  /** The rules in place, with what is left of them. */
  async faults(): Promise<{ requests: PlacedFault[]; jobs: JobFault[] }> {
    return (await this.#json('GET', 'faults')) as { requests: PlacedFault[]; jobs: JobFault[] };
  }

  /** @returns the rule's id. */
  async addFault(rule: FaultRule): Promise<string> {
    return ((await this.#json('POST', 'faults', rule)) as { id: string }).id;
  }

  async removeFault(id: string): Promise<void> {
    await this.#json('DELETE', `faults/${encodeURIComponent(id)}`);
  }

  async addJobFault(fault: JobFault): Promise<void> {
    await this.#json('POST', 'job-faults', fault);
  }

  /** Of requests and of jobs. */
  async clearFaults(): Promise<void> {
    await this.#json('DELETE', 'faults');
  }

  /** Import and export jobs, as GET /jobs of the hub shows them. */
  async jobs(): Promise<JsonObject[]> {
    return (await this.#json('GET', 'jobs')) as JsonObject[];
  }

  /** @returns the id of the stranger's job. */
  async occupySlot(type: JobType = 'export'): Promise<string> {
    return ((await this.#json('POST', 'slot', { type })) as { jobId: string }).jobId;
  }

  async releaseSlot(): Promise<void> {
    await this.#json('DELETE', 'slot');
  }

  async #json(method: string, what: string, body?: unknown): Promise<unknown> {
    const response = await this.#call(method, what, body === undefined ? undefined : JSON.stringify(body));
    return response.json();
  }

  #call(method: string, what: string, body?: RequestBody): Promise<Response> {
    return call(this.port, method, `/hubs/${encodeURIComponent(this.name)}/${what}`, body);
  }
}

type RequestBody = string | AsyncIterable<Uint8Array>;

async function call(port: number, method: string, path: string, body?: RequestBody): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(body === undefined ? {} : { body, duplex: 'half' as const }),
  });
  if (response.ok) return response;
  const answer = (await response.json()) as { error?: string };
  throw new AdminError(response.status, answer.error ?? `status ${response.status}`);
}

/** Lines in packets of some size: one packet per record would be slow. */
async function* recordLines(fleet: Iterable<FleetRecord>): AsyncIterable<Uint8Array> {
  let text = '';
  for (const record of fleet) {
    text += `${JSON.stringify(record)}\n`;
    if (text.length < 64 * 1024) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}
