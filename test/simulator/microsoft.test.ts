import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions } from 'node:https';
import { createRequire } from 'node:module';
import { Registry, Twin } from 'azure-iothub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectionStringAt } from '../../demo/azurite.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { type Stand, startStand } from './stand.js';

/**
 * Microsoft's client writes `host:port` of the connection string into `host` and knows no port: an agent that puts
 * its own host and port over the request's makes it reach the simulator.
 */
class LoopbackAgent extends Agent {
  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>) {
    const { port, ca } = this.options as AgentOptions & { port: number };
    return super.createConnection(
      { ...options, host: '127.0.0.1', port, ca, servername: 'localhost' },
      callback,
    );
  }
}

let azurite: Azurite;
let stand: Stand;
let registry: Registry;

/** Makes a client reach the simulator. */
function connected(client: Registry): Registry {
  const port = Number(stand.hub.ownHostName?.split(':')[1]);
  const agent = new LoopbackAgent({ ca: readFileSync(stand.sim.caFile), port });
  const { _restApiClient: rest } = client as unknown as {
    _restApiClient: { setOptions(options: { http: { agent: Agent } }): void };
  };
  rest.setOptions({ http: { agent } });
  return client;
}

beforeAll(async () => {
  azurite = await startAzurite();
  stand = await startStand({ ownPort: 0, identityStorage: connectionStringAt(azurite.port) });
  registry = connected(Registry.fromConnectionString(stand.hub.connectionString('iothubowner', true)));
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => stand.hub.reset());

const body = (answer: { responseBody: unknown }) => answer.responseBody as Record<string, unknown>;
/** Job calls hand out the body itself, which the client's types leave empty. */
const asJob = (job: unknown) => job as { jobId: string; status: string };
const nameOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (error as Error).name,
  );

async function ended(created: unknown): Promise<{ status: string }> {
  const { jobId } = asJob(created);
  for (;;) {
    const state = asJob(await registry.getJob(jobId));
    if (state.status === 'completed' || state.status === 'failed') return state;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const edgeContent = {
  modulesContent: {
    $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules: {} } },
    $edgeHub: { 'properties.desired': { schemaVersion: '1.1', routes: {} } },
  },
};

/** What is shown of one method. */
type Contract = () => Promise<void>;

/** One test for each method of Registry. */
const registryContracts: Record<string, Contract> = {
  create: async () => {
    const deviceId = `odd-%25#?*$'@;,=`;
    const made = body(await registry.create({ deviceId, status: 'disabled' }));
    expect(made).toMatchObject({ deviceId, status: 'disabled' });
    expect(await nameOf(registry.create({ deviceId }))).toBe('DeviceAlreadyExistsError');
    expect(await nameOf(registry.create({ deviceId: 'a b' }))).toBe('ArgumentError');
    const thumbprints = { x509Thumbprint: { primaryThumbprint: 'ab'.repeat(20) } };
    const signed = body(await registry.create({ deviceId: 'x', authentication: thumbprints }));
    expect(signed.authentication).toMatchObject({ type: 'selfSigned', ...thumbprints });
  },
  update: async () => {
    const made = body(await registry.create({ deviceId: 'd', status: 'disabled' }));
    const updated = body(await registry.update({ deviceId: 'd', statusReason: 'why' }));
    expect(updated).toMatchObject({
      status: 'enabled',
      statusReason: 'why',
      generationId: made.generationId,
    });
    expect(updated.etag).not.toBe(made.etag);
    expect(await nameOf(registry.update({ deviceId: 'missing' }))).toBe('DeviceNotFoundError');
  },
  get: async () => {
    const made = body(await registry.create({ deviceId: 'd' }));
    expect(body(await registry.get('d'))).toEqual(made);
    expect(await nameOf(registry.get('missing'))).toBe('DeviceNotFoundError');
    stand.hub.addFault({ kind: 'status', status: 429 });
    expect(await nameOf(registry.get('d'))).toBe('ThrottlingError');
  },
  list: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    expect((await registry.list()).responseBody).toMatchObject([{ deviceId: 'a' }, { deviceId: 'b' }]);
  },
  delete: async () => {
    await registry.create({ deviceId: 'd' });
    await registry.delete('d');
    expect(stand.hub.store.deviceCount).toBe(0);
    expect(await nameOf(registry.delete('d'))).toBe('DeviceNotFoundError');
  },
  addDevices: async () => {
    const devices = [{ deviceId: 'a' }, { deviceId: 'b', status: 'disabled' }];
    expect(body(await registry.addDevices(devices))).toMatchObject({ isSuccessful: true, errors: [] });
    expect(stand.hub.record('b')?.status).toBe('disabled');
    const error = await registry.addDevices([{ deviceId: 'a' }, { deviceId: 'c' }]).then(
      () => undefined,
      (reason: unknown) => reason as Error & { responseBody: string },
    );
    expect(error?.name).toBe('ArgumentError');
    expect(JSON.parse(error?.responseBody ?? '')).toMatchObject({
      isSuccessful: false,
      errors: [{ deviceId: 'a', errorCode: 'DeviceAlreadyExists' }],
    });
    expect(stand.hub.record('c')).toBeDefined();
  },
  updateDevices: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const eTag = stand.hub.record('a')?.etag;
    await registry.updateDevices([{ deviceId: 'a', status: 'disabled' }], true);
    expect(stand.hub.record('a')?.status).toBe('disabled');
    expect(await nameOf(registry.updateDevices([{ deviceId: 'a', eTag }], false))).toBe('ArgumentError');
    const fresh = { deviceId: 'b', status: 'disabled', eTag: stand.hub.record('b')?.etag };
    await registry.updateDevices([fresh], false);
    expect(stand.hub.record('b')?.status).toBe('disabled');
  },
  removeDevices: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    await registry.removeDevices([{ deviceId: 'a' }], true);
    const stale = { deviceId: 'b', eTag: 'c3RhbGU=' };
    expect(await nameOf(registry.removeDevices([stale], false))).toBe('ArgumentError');
    await registry.removeDevices([{ deviceId: 'b', eTag: stand.hub.record('b')?.etag }], false);
    expect(stand.hub.store.deviceCount).toBe(0);
  },
  exportDevicesToBlob: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const container = await azurite.container('export');
    const uri = azurite.uri(container);
    expect(await ended(await registry.exportDevicesToBlob(uri, false))).toMatchObject({
      status: 'completed',
    });
    expect(await readBlob(container, 'devices.txt')).toContain('"id":"b"');
    stand.hub.occupySlot();
    expect(await nameOf(registry.exportDevicesToBlob(uri, false))).toBe('TooManyDevicesError');
    stand.hub.releaseSlot();
  },
  importDevicesFromBlob: async () => {
    const container = await azurite.container('import');
    const uri = azurite.uri(container);
    await writeBlob(container, 'devices.txt', '{"id":"a","status":"enabled"}\r\n');
    expect(await ended(await registry.importDevicesFromBlob(uri, uri))).toMatchObject({
      status: 'completed',
    });
    expect(await readBlob(container, 'importErrors.log')).toBe('');
    expect(stand.hub.record('a')?.status).toBe('enabled');
  },
  exportDevicesToBlobByIdentity: async () => {
    const container = await azurite.container('export-identity');
    expect(await nameOf(registry.exportDevicesToBlobByIdentity(container.url, false))).toBe('ArgumentError');
    stand.hub.set({ jobIdentity: 'accept' });
    stand.hub.load([{ deviceId: 'a' }]);
    const job = await registry.exportDevicesToBlobByIdentity(container.url, true);
    expect(await ended(job)).toMatchObject({ status: 'completed', excludeKeysInExport: true });
    expect(await readBlob(container, 'devices.txt')).toContain('"id":"a"');
  },
  importDevicesFromBlobByIdentity: async () => {
    stand.hub.set({ jobIdentity: 'accept' });
    const container = await azurite.container('import-identity');
    await writeBlob(container, 'devices.txt', '{"id":"a","status":"enabled"}\r\n');
    const job = await registry.importDevicesFromBlobByIdentity(container.url, container.url);
    expect(await ended(job)).toMatchObject({ status: 'completed' });
    expect(stand.hub.record('a')).toBeDefined();
  },
  listJobs: async () => {
    const before = (await registry.listJobs()).responseBody as unknown[];
    const jobId = stand.hub.occupySlot();
    stand.hub.releaseSlot();
    const after = (await registry.listJobs()).responseBody as { jobId: string }[];
    expect(after).toHaveLength(before.length + 1);
    expect(after.map((job) => job.jobId)).toContain(jobId);
  },
  getJob: async () => {
    const jobId = stand.hub.occupySlot();
    expect(await registry.getJob(jobId)).toMatchObject({ jobId, status: 'running' });
    stand.hub.releaseSlot();
    // The client has a name for missing devices only.
    expect(await nameOf(registry.getJob('no-such-job'))).toBe('Error');
  },
  cancelJob: async () => {
    const uri = azurite.uri(await azurite.container('cancelled'));
    stand.hub.set({ startDelay: 3_600_000 });
    const { jobId } = asJob(await registry.exportDevicesToBlob(uri, false));
    await registry.cancelJob(jobId);
    expect(await registry.getJob(jobId)).toMatchObject({ status: 'cancelled' });
  },
  getTwin: async () => {
    stand.hub.load([{ deviceId: 'd', tags: { city: 'Zürich' } }]);
    const twin = body(await registry.getTwin('d'));
    expect(twin).toBeInstanceOf(Twin);
    expect(twin).toMatchObject({ deviceId: 'd', tags: { city: 'Zürich' }, etag: 'AAAAAAAAAAE=' });
    expect(await nameOf(registry.getTwin('missing'))).toBe('DeviceNotFoundError');
  },
  updateTwin: async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const etag = 'AAAAAAAAAAE=';
    const patch = { tags: { city: 'Zürich' }, properties: { desired: { level: -1.5 } } };
    expect(body(await registry.updateTwin('d', patch, etag))).toMatchObject({ ...patch, version: 2 });
    expect(await nameOf(registry.updateTwin('d', patch, etag))).toBe('InvalidEtagError');
    await registry.updateTwin('d', { tags: { city: null } }, '*');
    expect(stand.hub.record('d')?.tags).toEqual({});
  },
  getModuleTwin: async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm', tags: { a: 1 } }]);
    expect(body(await registry.getModuleTwin('d', 'm'))).toMatchObject({ moduleId: 'm', tags: { a: 1 } });
    expect(await nameOf(registry.getModuleTwin('d', 'x'))).toBe('DeviceNotFoundError');
  },
  updateModuleTwin: async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm' }]);
    await registry.updateModuleTwin('d', 'm', { tags: { a: 1 } }, 'AAAAAAAAAAE=');
    expect(stand.hub.record('d', 'm')?.tags).toEqual({ a: 1 });
    const stale = registry.updateModuleTwin('d', 'm', { tags: { a: 2 } }, 'AAAAAAAAAAE=');
    expect(await nameOf(stale)).toBe('InvalidEtagError');
  },
  createQuery: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b', status: 'disabled' }]);
    const rows = (await registry.createQuery("SELECT deviceId FROM devices WHERE status = 'enabled'").next())
      .result;
    expect(rows).toEqual([{ deviceId: 'a' }]);
    const bad = registry.createQuery('SELECT nothing');
    expect(await nameOf(bad.next())).toBe('ArgumentError');
  },
  getRegistryStatistics: async () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b', status: 'disabled' }]);
    expect(body(await registry.getRegistryStatistics())).toEqual({
      totalDeviceCount: 2,
      enabledDeviceCount: 1,
      disabledDeviceCount: 1,
    });
  },
  addConfiguration: async () => {
    const configuration = {
      id: 'c1',
      schemaVersion: '1.0',
      content: { deviceContent: { 'properties.desired.level': 3 } },
      targetCondition: "tags.site = 'x'",
      priority: 5,
    };
    await registry.addConfiguration(configuration);
    expect(body(await registry.getConfiguration('c1'))).toMatchObject(configuration);
    expect(await nameOf(registry.addConfiguration(configuration))).toBe('DeviceAlreadyExistsError');
  },
  getConfiguration: async () => {
    stand.hub.loadConfigurations([{ id: 'c1', priority: 7 }]);
    expect(body(await registry.getConfiguration('c1'))).toMatchObject({ id: 'c1', priority: 7 });
    expect(await nameOf(registry.getConfiguration('missing'))).toBe('Error');
  },
  getConfigurations: async () => {
    stand.hub.loadConfigurations([{ id: 'c1' }, { id: 'c2' }]);
    const ids = ((await registry.getConfigurations()).responseBody as { id: string }[]).map(({ id }) => id);
    expect(ids.toSorted()).toEqual(['c1', 'c2']);
  },
  updateConfiguration: async () => {
    const content = { deviceContent: { 'properties.desired.level': 3 } };
    const made = body(await registry.addConfiguration({ id: 'c1', schemaVersion: '1.0', content }));
    const wanted = { id: 'c1', schemaVersion: '1.0', content, priority: 9 };
    await registry.updateConfiguration({ ...wanted, etag: String(made.etag) });
    const stale = registry.updateConfiguration({ ...wanted, etag: String(made.etag) });
    expect(await nameOf(stale)).toBe('InvalidEtagError');
    await registry.updateConfiguration({ ...wanted, priority: 10 }, true);
    expect(body(await registry.getConfiguration('c1'))).toMatchObject({ priority: 10, content });
  },
  removeConfiguration: async () => {
    stand.hub.loadConfigurations([{ id: 'c1' }]);
    await registry.removeConfiguration('c1');
    expect((await registry.getConfigurations()).responseBody).toEqual([]);
  },
  applyConfigurationContentOnDevice: async () => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }, { deviceId: 'd' }]);
    await registry.applyConfigurationContentOnDevice('e', edgeContent);
    expect(stand.hub.record('e', '$edgeHub')?.desired).toEqual({ schemaVersion: '1.1', routes: {} });
    expect(await nameOf(registry.applyConfigurationContentOnDevice('d', edgeContent))).toBe('ArgumentError');
  },
  addModule: async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const module = { deviceId: 'd', moduleId: 'm', managedBy: 'me' };
    await registry.addModule(module);
    expect(stand.hub.record('d', 'm')).toMatchObject({ managedBy: 'me', authentication: { type: 'sas' } });
    // The client reads the other envelope by its status only.
    expect(await nameOf(registry.addModule(module))).toBe('DeviceAlreadyExistsError');
  },
  getModulesOnDevice: async () => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
    expect((await registry.getModulesOnDevice('e')).responseBody).toMatchObject([
      { moduleId: '$edgeAgent' },
      { moduleId: '$edgeHub' },
    ]);
    expect(await nameOf(registry.getModulesOnDevice('missing'))).toBe('UnauthorizedError');
  },
  getModule: async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm', managedBy: 'me' }]);
    expect(body(await registry.getModule('d', 'm'))).toMatchObject({ moduleId: 'm', managedBy: 'me' });
    expect(await nameOf(registry.getModule('d', 'x'))).toBe('Error');
  },
  updateModule: async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm', managedBy: 'me' }]);
    const module = { deviceId: 'd', moduleId: 'm', etag: stand.hub.record('d', 'm')?.etag ?? '' };
    expect(body(await registry.updateModule({ ...module, managedBy: 'you' }))).toMatchObject({
      managedBy: 'you',
    });
    expect(await nameOf(registry.updateModule(module))).toBe('InvalidEtagError');
    expect(body(await registry.updateModule(module, true))).toMatchObject({ managedBy: null });
  },
  removeModule: async () => {
    const modules = ['a', 'b'].map((moduleId) => ({ deviceId: 'd', moduleId }));
    stand.hub.load([{ deviceId: 'd' }, ...modules]);
    await registry.removeModule('d', 'a');
    const module = { deviceId: 'd', moduleId: 'b', etag: 'c3RhbGU=' };
    // As a promise this form fails inside the client, which then takes no callback for its own.
    expect(await nameOf(registry.removeModule(module))).toBe('ReferenceError');
    const removed = (one: typeof module) =>
      new Promise<unknown>((resolve) => registry.removeModule(one, resolve)).then((error) =>
        error instanceof Error ? error.name : 'no error',
      );
    expect(await removed(module)).toBe('InvalidEtagError');
    expect(await removed({ ...module, etag: stand.hub.record('d', 'b')?.etag ?? '' })).toBe('no error');
    expect((await registry.getModulesOnDevice('d')).responseBody).toEqual([]);
  },
};

const factoryContracts: Record<string, Contract> = {
  fromConnectionString: async () => {
    const reader = connected(Registry.fromConnectionString(stand.hub.connectionString('registryRead', true)));
    stand.hub.load([{ deviceId: 'd' }]);
    expect(body(await reader.get('d'))).toMatchObject({ deviceId: 'd' });
    expect(await nameOf(reader.delete('d'))).toBe('UnauthorizedError');
  },
  fromSharedAccessSignature: async () => {
    const token = stand.client.token('iothubowner', stand.hub.ownHostName);
    const client = connected(Registry.fromSharedAccessSignature(token));
    expect(await nameOf(client.create({ deviceId: 'd' }))).toBe('no error');
  },
  fromTokenCredential: async () => {
    const credential = (roles: ['IoT Hub Data Contributor'] | []) => ({
      getToken: async () => ({
        token: await stand.sim.bearerToken({ roles }),
        expiresOnTimestamp: Date.now() + 3_600_000,
      }),
    });
    const host = stand.hub.ownHostName ?? '';
    const client = connected(Registry.fromTokenCredential(host, credential(['IoT Hub Data Contributor'])));
    stand.hub.load([{ deviceId: 'off', status: 'disabled' }]);
    // Under Entra ID, modules of disabled devices are no secret.
    expect((await client.getModulesOnDevice('off')).responseBody).toEqual([]);
    const stranger = connected(Registry.fromTokenCredential(host, credential([])));
    expect(await nameOf(stranger.get('off'))).toBe('UnauthorizedError');
  },
};

const twinContracts: Record<string, Contract> = {
  get: async () => {
    stand.hub.load([
      { deviceId: 'd', tags: { a: 1 } },
      { deviceId: 'd', moduleId: 'm', tags: { b: 1 } },
    ]);
    const device = await new Twin('d', registry).get();
    expect(device.result.tags).toEqual({ a: 1 });
    // The client's types do not say that the twin may be that of a module.
    const module = Object.assign(new Twin('d', registry), { moduleId: 'm' });
    expect((await module.get()).result.tags).toEqual({ b: 1 });
  },
  update: async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const { result: twin } = await new Twin('d', registry).get();
    await twin.update({ tags: { a: 1 } });
    // The twin keeps the etag of its last write, so that it may write again.
    await twin.update({ tags: { b: 2 } });
    expect(twin.tags).toEqual({ a: 1, b: 2 });
    await registry.updateTwin('d', { tags: { c: 3 } }, '*');
    expect(await nameOf(twin.update({ tags: { d: 4 } }))).toBe('InvalidEtagError');
  },
  toJSON: async () => {
    stand.hub.load([{ deviceId: 'd', desired: { level: 3 } }]);
    const { result: twin } = await new Twin('d', registry).get();
    const json = JSON.parse(JSON.stringify(twin)) as Record<string, unknown>;
    expect(json).toMatchObject({ deviceId: 'd', properties: { desired: { level: 3, $version: 1 } } });
    expect(json).not.toHaveProperty('_registry');
  },
};

const queryContracts: Record<string, Contract> = {
  next: async () => {
    stand.hub.load(Array.from({ length: 5 }, (_, n) => ({ deviceId: `d${n}` })));
    const query = registry.createQuery('SELECT deviceId FROM devices', 2);
    const pages: unknown[] = [];
    while (query.hasMoreResults) pages.push((await query.next(query.continuationToken)).result);
    expect(pages).toEqual([
      [{ deviceId: 'd0' }, { deviceId: 'd1' }],
      [{ deviceId: 'd2' }, { deviceId: 'd3' }],
      [{ deviceId: 'd4' }],
    ]);
    expect(query.continuationToken).toBeUndefined();
  },
  nextAsTwin: async () => {
    stand.hub.load(Array.from({ length: 25 }, (_, n) => ({ deviceId: `d${n}` })));
    const query = registry.createQuery('SELECT * FROM devices', 10);
    const sizes = [];
    while (query.hasMoreResults) {
      const { result } = await query.nextAsTwin();
      expect(result[0]).toBeInstanceOf(Twin);
      sizes.push(result.length);
    }
    expect(sizes).toEqual([10, 10, 5]);
  },
};

/** What else the package has, and why it is not called here. */
const outOfScope: Record<string, string> = {
  Client: 'messages and direct methods',
  JobClient: 'scheduled jobs',
  DigitalTwinClient: 'digital twins',
  Amqp: 'a transport of Client',
  AmqpWs: 'a transport of Client',
  Device: 'a shape of data, without calls',
  ConnectionString: 'makes text, without calls',
  SharedAccessSignature: 'makes text, without calls',
  IoTHubTokenCredentials: 'credentials of Client',
  versionQueryString: 'makes text, without calls',
};

/** Names of what a class offers to everybody; those with an underscore are private by Microsoft's own convention. */
const publicNames = (owner: object) =>
  Object.getOwnPropertyNames(owner)
    .filter((name) => !name.startsWith('_') && !['constructor', 'length', 'name', 'prototype'].includes(name))
    .toSorted();

describe.each([
  ['Registry', registryContracts],
  ['Registry (static)', factoryContracts],
  ['Twin', twinContracts],
  ['Query', queryContracts],
])('azure-iothub, %s', (_class, contracts) => {
  it.each(Object.entries(contracts))('%s', async (_name, contract) => contract());
});

describe('the list of what was called', () => {
  it('is complete', () => {
    const query: object = registry.createQuery('SELECT * FROM devices');
    expect(Object.keys(registryContracts).toSorted()).toEqual(publicNames(Registry.prototype));
    expect(Object.keys(factoryContracts).toSorted()).toEqual(publicNames(Registry));
    expect(Object.keys(twinContracts).toSorted()).toEqual(publicNames(Twin.prototype));
    expect(Object.keys(queryContracts).toSorted()).toEqual(
      publicNames(Object.getPrototypeOf(query) as object),
    );
    const exported = Object.keys(createRequire(import.meta.url)('azure-iothub') as object);
    expect([...Object.keys(outOfScope), 'Registry', 'Twin'].toSorted()).toEqual(exported.toSorted());
  });
});
