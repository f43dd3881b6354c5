import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { TokenCredential } from '@azure/identity';
import iothub, { type Registry } from 'azure-iothub';
import type { HubConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { isJsonObject } from '../registry/record.js';
import { type HubSize, type OperationClass, throttleOf } from '../registry/throttles.js';
import { HubAgent } from './agent.js';
import { Budget } from './budget.js';
import type {
  ConfigurationText,
  DeviceIdentity,
  Hub,
  HubJob,
  ModuleIdentity,
  QueryOptions,
  Twin,
} from './hub.js';
import {
  deviceBody,
  readConfiguration,
  readConfigurations,
  readDevice,
  readJob,
  readJobs,
  readModule,
  readModules,
  readRows,
  readStatistics,
} from './hub-answers.js';
import { type HubCredentials, hubCredentials } from './hub-credentials.js';
import {
  HubAnswerError,
  type HubCall,
  hubAnswerError,
  hubSilentError,
  unreadableAnswer,
} from './hub-errors.js';
import { callRegistry } from './microsoft-registry.js';
import { Pace } from './pace.js';
import { callRest, type RestAnswer, type RestRequest } from './rest.js';

/** Told what passes between this process and its hubs. */
export interface HubObserver {
  /** A request was sent. */
  called(host: string, kind: keyof HubCalls): void;
  /** The hub answered with 429. */
  throttled(host: string): void;
  /** A call that was answered so waits before it is made again. */
  backsOff(seconds: number): void;
  /** A call waits for its turn. */
  waits(host: string, seconds: number): void;
}

export interface OpenHubOptions {
  readonly observer?: HubObserver;
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | Buffer;
  /** Milliseconds that the hub may be silent; 60 s by default. */
  readonly timeout?: number;
  /** Whose tokens of Microsoft Entra ID are used; left out, those of this process. */
  readonly credential?: TokenCredential;
  /** The part of the hub's documented throttles that may be used; 1 by default. */
  readonly rates?: number;
}

/** How the calls of one piece of work go. */
export interface Manner {
  /** Calls a second at most, but for those about jobs; left out: as many as the hub lets through. */
  readonly rate?: number | undefined;
  /** Ends its waits for a turn. */
  readonly signal?: AbortSignal | undefined;
}

/** A call, and by which throttle it goes. */
interface Throttled extends HubCall {
  readonly operation: OperationClass;
  readonly counts: keyof HubCalls;
}

/** Whose twin it is: a device's own, or a module's. */
interface TwinId {
  readonly deviceId: string;
  readonly moduleId: string | null;
}

/** Rows of a query page: the most that a hub gives at once. */
const PAGE_SIZE = 1_000;

/** A client of a hub. Nothing is sent until it is asked for something. */
export function openHub(hub: HubConfig, options: OpenHubOptions = {}): HubClient {
  return new HubClient(connect(hub, options));
}

/** What all views of a hub share. */
interface Connection {
  readonly host: string;
  readonly readOnly: boolean;
  readonly credentials: HubCredentials;
  /** Whose right to storage its jobs use: `system`, or the ARM id of a user-assigned identity; null: that of a SAS. */
  readonly identity: string | null;
  readonly agent: HubAgent;
  readonly registry: Registry;
  /**
   * Creates jobs, each on a socket of its own: a kept-alive one that the server has just closed would look like a lost
   * reply, after which nobody knows whether there is a job.
   */
  readonly creator: HubAgent;
  /** Spaces the calls of views that are to spare the hub. */
  readonly pace: Pace;
  /** What is left of the hub's throttles, by class. */
  readonly budgets: (operation: OperationClass) => Budget;
  readonly observer: HubObserver | null;
}

function connect(
  hub: HubConfig,
  { credential, observer, rates = 1, ...options }: OpenHubOptions,
): Connection {
  const agent = new HubAgent(options);
  const credentials = hubCredentials(hub, credential);
  return {
    host: hub.host,
    readOnly: hub.readOnly,
    credentials,
    identity: hub.identity ?? null,
    agent,
    registry: credentials.registry(agent),
    creator: new HubAgent({ ...options, keepAlive: false }),
    pace: new Pace(),
    budgets: budgetsOf({ tier: hub.tier, units: hub.units, rates }),
    observer: observer ?? null,
  };
}

function budgetsOf(size: HubSize): Connection['budgets'] {
  const budgets = new Map<OperationClass, Budget>();
  return (operation) => {
    const budget = budgets.get(operation) ?? new Budget(throttleOf(operation, size));
    budgets.set(operation, budget);
    return budget;
  };
}

/** A hub through Microsoft's client (looks at jobs, statistics) and our own (new jobs, everything with user content). */
export class HubClient implements Hub {
  readonly host: string;
  readonly policy: string | null;
  readonly #connection: Connection;
  readonly #manner: Manner;
  #calls = NO_CALLS;

  constructor(connection: Connection, manner: Manner = {}) {
    this.host = connection.host;
    this.policy = connection.credentials.policy;
    this.#connection = connection;
    this.#manner = manner;
  }

  /** The same hub over the same sockets, with counts of its own. */
  view(manner: Manner = {}): HubClient {
    return new HubClient(this.#connection, manner);
  }

  /** Closes the sockets of all views. */
  close(): void {
    this.#connection.agent.destroy();
  }

  takeCalls(): HubCalls {
    const calls = this.#calls;
    this.#calls = NO_CALLS;
    return calls;
  }

  async statistics(): Promise<{ total: number }> {
    const call = this.#call('count its devices', 'registry');
    const answer = await this.#ask(call, (registry) => registry.getRegistryStatistics());
    return readStatistics(answer.responseBody) ?? unreadable(call);
  }

  async listJobs(): Promise<HubJob[]> {
    const call = this.#call('list its jobs', 'jobs');
    const answer = await this.#ask(call, (registry) => registry.listJobs());
    return readJobs(answer.responseBody) ?? unreadable(call);
  }

  async createExport(
    containerUri: string,
    { excludeKeys, blobName }: { excludeKeys: boolean; blobName?: string },
  ): Promise<HubJob> {
    return await this.#createJob(this.#call('create an export job', 'jobs'), {
      type: 'export',
      outputBlobContainerUri: containerUri,
      excludeKeysInExport: excludeKeys,
      ...(blobName === undefined ? {} : { outputBlobName: blobName }),
    });
  }

  async createImport(
    inputUri: string,
    outputUri: string,
    { blobName }: { blobName?: string } = {},
  ): Promise<HubJob> {
    const call = this.#call('create an import job', 'jobs');
    this.#guardWrite(call);
    return await this.#createJob(call, {
      type: 'import',
      inputBlobContainerUri: inputUri,
      outputBlobContainerUri: outputUri,
      ...(blobName === undefined ? {} : { inputBlobName: blobName }),
    });
  }

  /** By our own client: Microsoft's gives no names to blobs (facts §1.8). */
  async #createJob(call: Throttled, body: Readonly<Record<string, unknown>>): Promise<HubJob> {
    const { identity, creator } = this.#connection;
    const storage =
      identity === null
        ? {}
        : {
            storageAuthenticationType: 'identityBased',
            ...(identity === 'system' ? {} : { identity: { userAssignedIdentity: identity } }),
          };
    const request: RestRequest = {
      method: 'POST',
      path: path('jobs', 'create'),
      body: { ...body, ...storage },
    };
    const answer = await this.#rest(call, request, creator);
    return readJob(json(call, answer)) ?? unreadable(call);
  }

  async getJob(jobId: string): Promise<HubJob | null> {
    const call = this.#call(`read job ${jobId}`, 'jobs', 'polls');
    const asked = this.#ask(call, (registry) => registry.getJob(encodeURIComponent(jobId)));
    const answer = await missing(asked);
    return answer === null ? null : (readJob(answer) ?? unreadable(call));
  }

  async cancelJob(jobId: string): Promise<void> {
    if (!(await this.#isActive(jobId))) return;
    const call = this.#call(`cancel job ${jobId}`, 'jobs');
    const asked = this.#ask(call, (registry) => registry.cancelJob(encodeURIComponent(jobId)));
    await asked.catch(async (error: unknown) => {
      // A job that has ended meanwhile answers with an error (facts §4).
      if (await this.#isActive(jobId)) throw error;
    });
  }

  async #isActive(jobId: string): Promise<boolean> {
    const job = await this.getJob(jobId);
    return job !== null && !['completed', 'failed', 'cancelled'].includes(job.status);
  }

  async getDevice(deviceId: string): Promise<DeviceIdentity | null> {
    const call = this.#call(`read device ${deviceId}`, 'registry');
    const body = await missing(this.#rest(call, { method: 'GET', path: path('devices', deviceId) }));
    return body === null ? null : (readDevice(json(call, body)) ?? unreadable(call));
  }

  async createDevice(deviceId: string, body: string): Promise<DeviceIdentity> {
    const call = this.#call(`create device ${deviceId}`, 'registry');
    this.#guardWrite(call);
    const answer = await this.#rest(call, {
      method: 'PUT',
      path: path('devices', deviceId),
      body: Buffer.from(body),
    });
    return readDevice(json(call, answer)) ?? unreadable(call);
  }

  async putDevice(device: DeviceIdentity, ifMatch: string): Promise<DeviceIdentity> {
    const call = this.#call(`update device ${device.deviceId}`, 'registry');
    this.#guardWrite(call);
    const answer = await this.#rest(call, {
      method: 'PUT',
      path: path('devices', device.deviceId),
      headers: { 'If-Match': quoted(ifMatch) },
      body: deviceBody(device),
    });
    return readDevice(json(call, answer)) ?? unreadable(call);
  }

  async deleteDevice(deviceId: string): Promise<void> {
    const call = this.#call(`delete device ${deviceId}`, 'registry');
    this.#guardWrite(call);
    await missing(
      this.#rest(call, {
        method: 'DELETE',
        path: path('devices', deviceId),
        headers: { 'If-Match': quoted('*') },
        repeatable: true,
      }),
    );
  }

  async getModule(deviceId: string, moduleId: string): Promise<ModuleIdentity | null> {
    const call = this.#call(`read module ${deviceId}/${moduleId}`, 'registry');
    const request: RestRequest = { method: 'GET', path: path('devices', deviceId, 'modules', moduleId) };
    const body = await missing(this.#rest(call, request));
    return body === null ? null : (readModule(json(call, body)) ?? unreadable(call));
  }

  async listModules(deviceId: string): Promise<ModuleIdentity[] | null> {
    const call = this.#call(`list the modules of ${deviceId}`, 'registry');
    const request: RestRequest = { method: 'GET', path: path('devices', deviceId, 'modules') };
    const body = await missing(this.#rest(call, request));
    return body === null ? null : (readModules(json(call, body)) ?? unreadable(call));
  }

  async putModule(
    { deviceId, moduleId }: { deviceId: string; moduleId: string },
    body: string,
    ifMatch: string | null,
  ): Promise<ModuleIdentity> {
    const call = this.#call(
      `${ifMatch === null ? 'create' : 'update'} module ${deviceId}/${moduleId}`,
      'registry',
    );
    this.#guardWrite(call);
    const answer = await this.#rest(call, {
      method: 'PUT',
      path: path('devices', deviceId, 'modules', moduleId),
      ...(ifMatch === null ? {} : { headers: { 'If-Match': quoted(ifMatch) } }),
      body: Buffer.from(body),
    });
    return readModule(json(call, answer)) ?? unreadable(call);
  }

  async putTwin(id: TwinId, body: string, ifMatch: string): Promise<void> {
    await this.#writeTwin('PUT', id, body, ifMatch);
  }

  async patchTwin(id: TwinId, body: string, ifMatch: string): Promise<void> {
    await this.#writeTwin('PATCH', id, body, ifMatch);
  }

  async #writeTwin(
    method: 'PUT' | 'PATCH',
    { deviceId, moduleId }: TwinId,
    body: string,
    ifMatch: string,
  ): Promise<void> {
    const ids = moduleId === null ? [deviceId] : [deviceId, 'modules', moduleId];
    const name = moduleId === null ? deviceId : `${deviceId}/${moduleId}`;
    const call = this.#call(`${method === 'PUT' ? 'replace' : 'change'} the twin of ${name}`, 'twinWrites');
    this.#guardWrite(call);
    await this.#rest(call, {
      method,
      path: path('twins', ...ids),
      headers: { 'If-Match': quoted(ifMatch) },
      body: Buffer.from(body),
    });
  }

  async applyConfiguration(deviceId: string, body: string): Promise<void> {
    const call = this.#call(`apply a manifest to ${deviceId}`, 'configurations');
    this.#guardWrite(call);
    await this.#rest(call, {
      method: 'POST',
      path: path('devices', deviceId, 'applyConfigurationContent'),
      body: Buffer.from(body),
      repeatable: true,
    });
  }

  async getTwin(deviceId: string, moduleId?: string): Promise<Twin | null> {
    const ids = moduleId === undefined ? [deviceId] : [deviceId, 'modules', moduleId];
    const call = this.#call(
      `read the twin of ${moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`}`,
      'twinReads',
    );
    const body = await missing(this.#rest(call, { method: 'GET', path: path('twins', ...ids) }));
    if (body === null) return null;
    const twin = json(call, body);
    return isJsonObject(twin) ? twin : unreadable(call);
  }

  async *query(
    text: string,
    { pageSize = PAGE_SIZE, each = (ask) => ask() }: QueryOptions = {},
  ): AsyncGenerator<readonly Record<string, unknown>[]> {
    const call = this.#call('run a query', 'queries');
    let continuation: string | undefined;
    do {
      const request: RestRequest = {
        method: 'POST',
        path: path('devices', 'query'),
        headers: {
          'x-ms-max-item-count': String(pageSize),
          ...(continuation === undefined ? {} : { 'x-ms-continuation': continuation }),
        },
        body: { query: text },
        repeatable: true,
      };
      const answer = await each(() => this.#rest(call, request));
      yield readRows(json(call, answer)) ?? unreadable(call);
      const next = answer.headers['x-ms-continuation'];
      continuation = typeof next === 'string' && next !== '' ? next : undefined;
    } while (continuation !== undefined);
  }

  async listConfigurations(): Promise<ConfigurationText[] | null> {
    const call = this.#call('list its configurations', 'configurations');
    const answer = await answered(
      this.#rest(call, { method: 'GET', path: path('configurations') }),
      NOT_OFFERED,
    );
    return answer === null ? null : (readConfigurations(answer.text) ?? unreadable(call));
  }

  async getConfiguration(id: string): Promise<ConfigurationText | null> {
    const call = this.#call(`read configuration ${id}`, 'configurations');
    const answer = await missing(this.#rest(call, { method: 'GET', path: path('configurations', id) }));
    return answer === null ? null : (readConfiguration(answer.text) ?? unreadable(call));
  }

  async putConfiguration(id: string, body: string, ifMatch: string | null): Promise<ConfigurationText> {
    const call = this.#call(
      `${ifMatch === null ? 'create' : 'update'} configuration ${id}`,
      'configurations',
    );
    this.#guardWrite(call);
    const answer = await this.#rest(call, {
      method: 'PUT',
      path: path('configurations', id),
      ...(ifMatch === null ? {} : { headers: { 'If-Match': quoted(ifMatch) } }),
      body: Buffer.from(body),
    });
    return readConfiguration(answer.text) ?? unreadable(call);
  }

  async deleteConfiguration(id: string, ifMatch: string): Promise<void> {
    const call = this.#call(`delete configuration ${id}`, 'configurations');
    this.#guardWrite(call);
    await this.#rest(call, {
      method: 'DELETE',
      path: path('configurations', id),
      headers: { 'If-Match': quoted(ifMatch) },
    });
  }

  async probeWrite(): Promise<void> {
    const deviceId = `hubferry-probe-${randomUUID()}`;
    const call = this.#call('write devices', 'registry');
    this.#guardWrite(call);
    // An update of a device that is not there, and with an ETag that none has, in case a hub takes "*" for "create".
    const answer = await answered(
      this.#rest(call, {
        method: 'PUT',
        path: path('devices', deviceId),
        headers: { 'If-Match': quoted('aHViZmVycnk=') },
        body: { deviceId, status: 'disabled', authentication: { type: 'sas' } },
      }),
      [404, 412],
    );
    if (answer === null) return;
    await this.deleteDevice(deviceId);
    throw new HubferryError(
      'HUB_REFUSED',
      `${this.host} created device ${deviceId} by an update with If-Match: it does not guard updates as an IoT hub does`,
    );
  }

  async probeJobs(containerUri: string = UNREACHABLE_CONTAINER): Promise<void> {
    let job: HubJob;
    try {
      job = await this.createExport(containerUri, { excludeKeys: true });
    } catch (error) {
      // Rights are looked at before the container, and the container before the slot or after it. Where the hub's own
      // identity opens the container, a 400 may also be about that identity.
      const { identity } = this.#connection;
      const passed = (refusal: HubAnswerError): boolean =>
        refusal.code === 'HUB_SLOT_TAKEN' ||
        refusal.code === 'CONTAINER_REFUSED' ||
        (identity === null && refusal.status === 400);
      if (error instanceof HubAnswerError && passed(error)) return;
      throw error;
    }
    // A hub that looks at the container later: the job is ours, and of no use.
    await this.cancelJob(job.jobId);
  }

  #count(kind: keyof HubCalls): void {
    this.#calls = addCalls(this.#calls, { ...NO_CALLS, [kind]: 1 });
    this.#connection.observer?.called(this.host, kind);
  }

  /** A call of Microsoft's client. */
  async #ask<T>(call: Throttled, run: (registry: Registry) => Promise<T>): Promise<T> {
    return await this.#inTurn(call, () => callRegistry(call, () => run(this.#connection.registry)));
  }

  /** @param counts left out: by the class of the operation */
  #call(
    what: string,
    operation: OperationClass,
    counts: keyof HubCalls = operation === 'jobs' ? 'jobs' : 'other',
  ): Throttled {
    return { host: this.host, policy: this.policy, what, operation, counts };
  }

  #guardWrite({ what }: HubCall): void {
    if (!this.#connection.readOnly) return;
    throw new HubferryError(
      'HUB_READ_ONLY',
      `${this.host} is readOnly in the configuration, so nothing may ${what}`,
    );
  }

  /** A call of our own client that ends with a status below 300. */
  async #rest(
    call: Throttled,
    request: RestRequest,
    agent: HubAgent = this.#connection.agent,
  ): Promise<RestAnswer> {
    const { credentials } = this.#connection;
    const options = { host: credentials.host, agent, authorize: credentials.authorize };
    return await this.#inTurn(call, async () => {
      const answer = await callRest(options, request).catch((error: unknown) => {
        throw hubSilentError(call, error);
      });
      if (answer.status >= 300 || answer.status < 200) throw hubAnswerError(call, answer);
      return answer;
    });
  }

  /**
   * Makes a call when it is its turn, and again when the hub refused it for there being too many: it was not carried out,
   * so that nothing is done twice.
   */
  async #inTurn<T>(call: Throttled, make: () => Promise<T>): Promise<T> {
    const { budgets, observer } = this.#connection;
    const budget = budgets(call.operation);
    for (let tries = 0; ; tries++) {
      await this.#turn(call, budget);
      const sentAt = performance.now();
      this.#count(call.counts);
      try {
        const answer = await make();
        budget.served();
        return answer;
      } catch (error) {
        if (!(error instanceof HubAnswerError)) throw error;
        if (error.status !== THROTTLED) throw error;
        observer?.throttled(this.host);
        budget.refused(sentAt);
        if (tries === RETRIES) throw error;
        const asked = Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER);
        const wait = Math.max(asked, budget.backOff(tries));
        observer?.backsOff(wait / 1000);
        await this.#pause(wait);
      }
    }
  }

  async #turn({ operation }: Throttled, budget: Budget): Promise<void> {
    const rate = operation === 'jobs' ? undefined : this.#manner.rate;
    const wait = Math.max(this.#connection.pace.wait(rate), budget.take());
    if (wait === 0) return;
    this.#connection.observer?.waits(this.host, wait / 1000);
    try {
      await this.#pause(wait);
    } catch (error) {
      budget.giveBack();
      throw error;
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#manner;
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  }
}

/** How often a call that was refused with 429 is made again, before whoever made it is told. */
const RETRIES = 4;

/** The longest wait that an answer may ask for, ms. Hubs ask for none (facts §5), proxies on the way may. */
const LONGEST_RETRY_AFTER = 60_000;

/** The status by which a hub asks for fewer calls. */
const THROTTLED = 429;

/** Refused by the tier (403), by the policy (401, 403), or not there at all. */
const NOT_OFFERED = [401, 403, 404, 405, 501];

/** Port 9 (discard) of the hub's own machine: nothing listens there, and saying so takes no time. */
const UNREACHABLE_CONTAINER = 'https://127.0.0.1:9/hubferry-probe?sv=2021-12-02&sr=c&sp=rwd&sig=bm9uZQ%3D%3D';

/** The path of a resource; the version is the one that Microsoft's client asks for, so that both see one API. */
function path(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join('/')}${iothub.versionQueryString()}`;
}

/** Hubs honour only quoted ETags everywhere (service facts: "ETag / If-Match rules"). */
function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

function json(call: HubCall, answer: RestAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    return unreadable(call);
  }
}

/** Null for answers with one of these statuses, provided they are not passing faults. */
async function answered<T>(answer: Promise<T>, statuses: readonly number[]): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    // 404012 (failing over) is a 404 that says nothing about what was asked for.
    const passing = error instanceof HubferryError && error.code === 'HUB_UNAVAILABLE';
    if (
      error instanceof HubAnswerError &&
      statuses.includes(error.status) &&
      (!passing || error.status === 501)
    ) {
      return null;
    }
    throw error;
  }
}

/** Null for what is not there. */
function missing<T>(answer: Promise<T>): Promise<T | null> {
  return answered(answer, [404]);
}

function unreadable(call: HubCall): never {
  throw unreadableAnswer(call);
}
