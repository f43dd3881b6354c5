import { randomUUID } from 'node:crypto';
import iothub from 'azure-iothub';
import type { HubConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import type { HubCalls } from '../registry/hub-calls.js';
import { isJsonObject } from '../registry/record.js';
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
import {
  type Connection,
  connect,
  HubCaller,
  type Manner,
  type OpenHubOptions,
  type Throttled,
} from './hub-caller.js';
import { HubAnswerError, type HubCall, unreadableAnswer } from './hub-errors.js';
import type { RestAnswer, RestRequest } from './rest.js';

export type { HubObserver, Manner, OpenHubOptions } from './hub-caller.js';

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

/** A hub through Microsoft's client (looks at jobs, statistics) and our own (new jobs, everything with user content). */
export class HubClient implements Hub {
  readonly host: string;
  readonly policy: string | null;
  readonly #connection: Connection;
  readonly #caller: HubCaller;

  constructor(connection: Connection, manner: Manner = {}) {
    this.host = connection.host;
    this.policy = connection.credentials.policy;
    this.#connection = connection;
    this.#caller = new HubCaller(connection, manner);
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
    return this.#caller.takeCalls();
  }

  async statistics(): Promise<{ total: number }> {
    const call = this.#caller.call('count its devices', 'registry');
    const answer = await this.#caller.ask(call, (registry) => registry.getRegistryStatistics());
    return readStatistics(answer.responseBody) ?? unreadable(call);
  }

  async listJobs(): Promise<HubJob[]> {
    const call = this.#caller.call('list its jobs', 'jobs');
    const answer = await this.#caller.ask(call, (registry) => registry.listJobs());
    return readJobs(answer.responseBody) ?? unreadable(call);
  }

  async createExport(
    containerUri: string,
    { excludeKeys, blobName }: { excludeKeys: boolean; blobName?: string },
  ): Promise<HubJob> {
    return await this.#createJob(this.#caller.call('create an export job', 'jobs'), {
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
    const call = this.#caller.call('create an import job', 'jobs');
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
    const answer = await this.#caller.rest(call, request, creator);
    return readJob(json(call, answer)) ?? unreadable(call);
  }

  async getJob(jobId: string): Promise<HubJob | null> {
    const call = this.#caller.call(`read job ${jobId}`, 'jobs', 'polls');
    const asked = this.#caller.ask(call, (registry) => registry.getJob(encodeURIComponent(jobId)));
    const answer = await missing(asked);
    return answer === null ? null : (readJob(answer) ?? unreadable(call));
  }

  async cancelJob(jobId: string): Promise<void> {
    if (!(await this.#isActive(jobId))) return;
    const call = this.#caller.call(`cancel job ${jobId}`, 'jobs');
    const asked = this.#caller.ask(call, (registry) => registry.cancelJob(encodeURIComponent(jobId)));
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
    const call = this.#caller.call(`read device ${deviceId}`, 'registry');
    const body = await missing(this.#caller.rest(call, { method: 'GET', path: path('devices', deviceId) }));
    return body === null ? null : (readDevice(json(call, body)) ?? unreadable(call));
  }

  async createDevice(deviceId: string, body: string): Promise<DeviceIdentity> {
    const call = this.#caller.call(`create device ${deviceId}`, 'registry');
    this.#guardWrite(call);
    const answer = await this.#caller.rest(call, {
      method: 'PUT',
      path: path('devices', deviceId),
      body: Buffer.from(body),
    });
    return readDevice(json(call, answer)) ?? unreadable(call);
  }

  async putDevice(device: DeviceIdentity, ifMatch: string): Promise<DeviceIdentity> {
    const call = this.#caller.call(`update device ${device.deviceId}`, 'registry');
    this.#guardWrite(call);
    const answer = await this.#caller.rest(call, {
      method: 'PUT',
      path: path('devices', device.deviceId),
      headers: { 'If-Match': quoted(ifMatch) },
      body: deviceBody(device),
    });
    return readDevice(json(call, answer)) ?? unreadable(call);
  }

  async deleteDevice(deviceId: string): Promise<void> {
    const call = this.#caller.call(`delete device ${deviceId}`, 'registry');
    this.#guardWrite(call);
    await missing(
      this.#caller.rest(call, {
        method: 'DELETE',
        path: path('devices', deviceId),
        headers: { 'If-Match': quoted('*') },
        repeatable: true,
      }),
    );
  }

  async getModule(deviceId: string, moduleId: string): Promise<ModuleIdentity | null> {
    const call = this.#caller.call(`read module ${deviceId}/${moduleId}`, 'registry');
    const request: RestRequest = { method: 'GET', path: path('devices', deviceId, 'modules', moduleId) };
    const body = await missing(this.#caller.rest(call, request));
    return body === null ? null : (readModule(json(call, body)) ?? unreadable(call));
  }

  async listModules(deviceId: string): Promise<ModuleIdentity[] | null> {
    const call = this.#caller.call(`list the modules of ${deviceId}`, 'registry');
    const request: RestRequest = { method: 'GET', path: path('devices', deviceId, 'modules') };
    const body = await missing(this.#caller.rest(call, request));
    return body === null ? null : (readModules(json(call, body)) ?? unreadable(call));
  }

  async putModule(
    { deviceId, moduleId }: { deviceId: string; moduleId: string },
    body: string,
    ifMatch: string | null,
  ): Promise<ModuleIdentity> {
    const call = this.#caller.call(
      `${ifMatch === null ? 'create' : 'update'} module ${deviceId}/${moduleId}`,
      'registry',
    );
    this.#guardWrite(call);
    const answer = await this.#caller.rest(call, {
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
    const call = this.#caller.call(
      `${method === 'PUT' ? 'replace' : 'change'} the twin of ${name}`,
      'twinWrites',
    );
    this.#guardWrite(call);
    await this.#caller.rest(call, {
      method,
      path: path('twins', ...ids),
      headers: { 'If-Match': quoted(ifMatch) },
      body: Buffer.from(body),
    });
  }

  async applyConfiguration(deviceId: string, body: string): Promise<void> {
    const call = this.#caller.call(`apply a manifest to ${deviceId}`, 'configurations');
    this.#guardWrite(call);
    await this.#caller.rest(call, {
      method: 'POST',
      path: path('devices', deviceId, 'applyConfigurationContent'),
      body: Buffer.from(body),
      repeatable: true,
    });
  }

  async getTwin(deviceId: string, moduleId?: string): Promise<Twin | null> {
    const ids = moduleId === undefined ? [deviceId] : [deviceId, 'modules', moduleId];
    const call = this.#caller.call(
      `read the twin of ${moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`}`,
      'twinReads',
    );
    const body = await missing(this.#caller.rest(call, { method: 'GET', path: path('twins', ...ids) }));
    if (body === null) return null;
    const twin = json(call, body);
    return isJsonObject(twin) ? twin : unreadable(call);
  }

  async *query(
    text: string,
    { pageSize = PAGE_SIZE, each = (ask) => ask() }: QueryOptions = {},
  ): AsyncGenerator<readonly Record<string, unknown>[]> {
    const call = this.#caller.call('run a query', 'queries');
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
      const answer = await each(() => this.#caller.rest(call, request));
      yield readRows(json(call, answer)) ?? unreadable(call);
      const next = answer.headers['x-ms-continuation'];
      continuation = typeof next === 'string' && next !== '' ? next : undefined;
    } while (continuation !== undefined);
  }

  async listConfigurations(): Promise<ConfigurationText[] | null> {
    const call = this.#caller.call('list its configurations', 'configurations');
    const answer = await answered(
      this.#caller.rest(call, { method: 'GET', path: path('configurations') }),
      NOT_OFFERED,
    );
    return answer === null ? null : (readConfigurations(answer.text) ?? unreadable(call));
  }

  async getConfiguration(id: string): Promise<ConfigurationText | null> {
    const call = this.#caller.call(`read configuration ${id}`, 'configurations');
    const answer = await missing(
      this.#caller.rest(call, { method: 'GET', path: path('configurations', id) }),
    );
    return answer === null ? null : (readConfiguration(answer.text) ?? unreadable(call));
  }

  async putConfiguration(id: string, body: string, ifMatch: string | null): Promise<ConfigurationText> {
    const call = this.#caller.call(
      `${ifMatch === null ? 'create' : 'update'} configuration ${id}`,
      'configurations',
    );
    this.#guardWrite(call);
    const answer = await this.#caller.rest(call, {
      method: 'PUT',
      path: path('configurations', id),
      ...(ifMatch === null ? {} : { headers: { 'If-Match': quoted(ifMatch) } }),
      body: Buffer.from(body),
    });
    return readConfiguration(answer.text) ?? unreadable(call);
  }

  async deleteConfiguration(id: string, ifMatch: string): Promise<void> {
    const call = this.#caller.call(`delete configuration ${id}`, 'configurations');
    this.#guardWrite(call);
    await this.#caller.rest(call, {
      method: 'DELETE',
      path: path('configurations', id),
      headers: { 'If-Match': quoted(ifMatch) },
    });
  }

  async probeWrite(): Promise<void> {
    const deviceId = `hubferry-probe-${randomUUID()}`;
    const call = this.#caller.call('write devices', 'registry');
    this.#guardWrite(call);
    // An update of a device that is not there, and with an ETag that none has, in case a hub takes "*" for "create".
    const answer = await answered(
      this.#caller.rest(call, {
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

  #guardWrite({ what }: HubCall): void {
    if (!this.#connection.readOnly) return;
    throw new HubferryError(
      'HUB_READ_ONLY',
      `${this.host} is readOnly in the configuration, so nothing may ${what}`,
    );
  }
}

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
