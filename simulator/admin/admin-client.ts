import type { JobFault, JobType } from '../jobs/job-faults.js';
import type { JsonObject } from '../json.js';
import { splitLines } from '../lines.js';
import type { FleetRecord, FullRecord } from '../records/full-record.js';
import type { HubSettings } from '../settings.js';
import type { FaultRule } from '../traffic/faults.js';
import type { HubEntry } from './admin.js';

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

/** Steers a simulator that runs in another process, through its admin port. */
export class SimulatorAdmin {
  constructor(readonly port: number) {}

  /** The hubs that are served. */
  async hubs(): Promise<HubEntry[]> {
    const response = await call(this.port, 'GET', '/hubs');
    return (await response.json()) as HubEntry[];
  }

  /** One hub by name; calls for an unknown one fail with {@link AdminError}. */
  hub(name: string): HubAdmin {
    return new HubAdmin(this.port, name);
  }
}

/** The same calls that a hub offers in its own process; all throw {@link AdminError} when refused. */
export class HubAdmin {
  constructor(
    readonly port: number,
    readonly name: string,
  ) {}

  async counts(): Promise<Record<string, number>> {
    return (await this.#json('GET', 'counters')) as Record<string, number>;
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

  async loadConfigurations(configurations: readonly JsonObject[]): Promise<void> {
    await this.#json('POST', 'configurations', configurations);
  }

  async clear(): Promise<void> {
    await this.#json('DELETE', 'records');
  }

  async set(change: Partial<HubSettings>): Promise<HubSettings> {
    return (await this.#json('PATCH', 'settings', change)) as HubSettings;
  }

  async addFault(rule: FaultRule): Promise<void> {
    await this.#json('POST', 'faults', rule);
  }

  async addJobFault(fault: JobFault): Promise<void> {
    await this.#json('POST', 'job-faults', fault);
  }

  async clearFaults(): Promise<void> {
    await this.#json('DELETE', 'faults');
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
