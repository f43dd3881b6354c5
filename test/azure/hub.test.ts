import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HubJob } from '../../azure/hub.js';
import { type HubClient, openHub } from '../../azure/hub-client.js';
import { isFull } from '../../azure/hub-errors.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { type SimulatedHub, type Simulator, startSimulator } from '../../simulator/index.js';
import { type Azurite, startAzurite, storageAt } from './azurite.js';

let folder: string;
let azurite: Azurite;
let storage: Storage;
let simulator: Simulator;
let simulated: SimulatedHub;
let hub: HubClient;
let container: string;
let serial = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-hub-'));
  [azurite, simulator] = await Promise.all([
    startAzurite(),
    startSimulator({ hubs: [{ name: 'a', ownPort: 0 }], caDir: folder, seed: 1 }),
  ]);
  storage = openStorage(storageAt(azurite.port));
  simulated = simulator.hub('a');
});
afterAll(async () => {
  await Promise.all([simulator.close(), azurite.stop()]);
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  serial += 1;
  container = `hf-hub-${serial}`;
  await storage.createContainer(container);
  hub = clientOf(simulated.connectionString());
});
afterEach(() => {
  hub.close();
  simulated.clear();
  simulated.clearFaults();
  simulated.releaseSlot();
  simulated.set({ rate: 0 });
  simulated.resetCounters();
});

function clientOf(connectionString: string): HubClient {
  const host = /HostName=([^;]+)/.exec(connectionString)?.[1] ?? '';
  return openHub(
    { alias: 'a', host, connectionString, readOnly: false, tier: 'S1', units: 1, maxRecords: 1_000_000 },
    { ca: readFileSync(simulator.caFile) },
  );
}

const grant = (name: 'input' | 'output', permissions: string): Promise<string> =>
  storage.access.grant(container, name, permissions, new Date(Date.now() + 3_600_000));

async function ended(jobId: string): Promise<HubJob> {
  return await vi.waitUntil(
    async () => {
      const job = await hub.getJob(jobId);
      return job !== null && job.status !== 'enqueued' && job.status !== 'running' ? job : false;
    },
    { timeout: 10_000, interval: 5 },
  );
}

async function runImport(lines: readonly object[]): Promise<HubJob> {
  await storage.writeText(
    container,
    'devices.txt',
    lines.map((line) => `${JSON.stringify(line)}\r\n`).join(''),
  );
  const { jobId } = await hub.createImport(await grant('input', 'r'), await grant('output', 'rwd'));
  return await ended(jobId);
}

describe('jobs', () => {
  it('an export fills its container', async () => {
    simulated.load([
      { deviceId: 'plain', tags: { place: '東京' } },
      { deviceId: 'plain', moduleId: 'm' },
      { deviceId: 'gone', status: 'disabled', statusReason: 'broken' },
    ]);
    const created = await hub.createExport(await grant('output', 'rwd'), { excludeKeys: false });
    expect(created).toMatchObject({ type: 'export', failureReason: null });
    expect(created.jobId).toMatch(/^[\w-]+$/);
    expect(await ended(created.jobId)).toEqual({ ...created, status: 'completed', progress: 100 });
    const text = (await storage.readText(container, 'devices.txt')) ?? '';
    const lines = text.split('\r\n').filter((line) => line !== '');
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { id: 'plain', tags: { place: '東京' }, authentication: { type: 'sas' } },
      { id: 'plain', moduleId: 'm' },
      { id: 'gone', status: 'disabled', statusReason: 'broken' },
    ]);
    expect((await hub.listJobs()).map((job) => job.jobId)).toContain(created.jobId);
  });

  it('an export without keys has none', async () => {
    simulated.load([{ deviceId: 'd' }]);
    const { jobId } = await hub.createExport(await grant('output', 'rwd'), { excludeKeys: true });
    await ended(jobId);
    expect(await storage.readText(container, 'devices.txt')).not.toContain('"primaryKey":"');
  });

  it('blobs may have other names; the error log has its own', async () => {
    simulated.load([{ deviceId: 'there' }]);
    const output = await grant('output', 'rwd');
    const exported = await hub.createExport(output, { excludeKeys: true, blobName: 'a/devices.txt' });
    await ended(exported.jobId);
    expect(await storage.readText(container, 'a/devices.txt')).toContain('"id":"there"');
    const line = { id: 'new', importMode: 'create', status: 'enabled' };
    await storage.writeText(container, 'b/devices.txt', JSON.stringify(line));
    const input = await grant('input', 'r');
    await ended((await hub.createImport(input, output, { blobName: 'b/devices.txt' })).jobId);
    expect(await hub.getDevice('new')).not.toBeNull();
    expect(await storage.size(container, 'importErrors.log')).toBe(0);
    expect(await storage.size(container, 'devices.txt')).toBeNull();
  });

  it('an import reads devices.txt and leaves its error log', async () => {
    simulated.load([{ deviceId: 'there' }]);
    const job = await runImport([
      { id: 'new', importMode: 'create', status: 'enabled', tags: { a: 1 } },
      { id: 'there', importMode: 'create', status: 'enabled' },
    ]);
    expect(job).toMatchObject({ type: 'import', status: 'completed', failureReason: null });
    expect(await hub.getDevice('new')).toMatchObject({ deviceId: 'new', status: 'enabled' });
    expect(JSON.parse((await storage.readText(container, 'importErrors.log')) ?? '')).toMatchObject({
      deviceId: 'there',
      errorCode: 409_001,
    });
  });

  it('one at a time', async () => {
    const stranger = simulated.occupySlot();
    const uri = await grant('output', 'rwd');
    await expect(hub.createExport(uri, { excludeKeys: false })).rejects.toMatchObject({
      code: 'HUB_SLOT_TAKEN',
      serviceCode: 'JobQuotaExceeded',
    });
    expect(await hub.getJob(stranger)).toMatchObject({ status: 'running' });
  });

  it('need a container that may be written and deleted in', async () => {
    const uri = await grant('output', 'r');
    await expect(hub.createExport(uri, { excludeKeys: false })).rejects.toMatchObject({
      code: 'CONTAINER_REFUSED',
      serviceCode: 'BlobContainerValidationError',
    });
    await storage.access.revoke(container);
    const failed = hub.createImport(uri, uri);
    await expect(failed).rejects.toMatchObject({ code: 'CONTAINER_REFUSED' });
    await expect(failed).rejects.not.toThrow(new URL(uri).searchParams.get('sig') ?? '');
  });

  it('can be cancelled; one that nobody knows is null', async () => {
    simulated.load(Array.from({ length: 50 }, (_unused, index) => ({ deviceId: `d${index}` })));
    simulated.set({ rate: 1 });
    const { jobId } = await hub.createExport(await grant('output', 'rwd'), { excludeKeys: false });
    await hub.cancelJob(jobId);
    expect(await ended(jobId)).toMatchObject({ status: 'cancelled' });
    expect(await hub.getJob('nobody')).toBeNull();
  });

  it('may exist though the reply to their creation was lost', async () => {
    const before = new Set((await hub.listJobs()).map((job) => job.jobId));
    simulated.addFault({ kind: 'loseReply', route: 'POST /jobs/create' });
    const uri = await grant('output', 'rwd');
    await expect(hub.createExport(uri, { excludeKeys: false })).rejects.toMatchObject({
      code: 'HUB_UNREACHABLE',
    });
    const jobs = (await hub.listJobs()).filter((job) => !before.has(job.jobId));
    expect(jobs).toHaveLength(1);
    expect(simulated.counts()['POST /jobs/create']).toBe(1);
    await ended(jobs[0]?.jobId ?? '');
  });
});

describe('devices', () => {
  const odd = ['%', '#', '?', '*', '$x', "'", '@', ';', ',', '=', '%2F', 'a+b', 'a:b_c.d-e(f)!'];

  it.each(odd)('%s is read and put back', async (deviceId) => {
    simulated.load([{ deviceId, statusReason: 'grün', status: 'disabled' }]);
    const device = await hub.getDevice(deviceId);
    if (device?.etag === null || device === null) throw new Error('no device');
    expect(device).toMatchObject({ deviceId, status: 'disabled', statusReason: 'grün' });
    const changed = await hub.putDevice({ ...device, statusReason: 'blau' }, device.etag);
    expect(changed).toMatchObject({ deviceId, statusReason: 'blau', authentication: device.authentication });
    expect(changed.etag).not.toBe(device.etag);
    await expect(hub.putDevice(device, device.etag)).rejects.toMatchObject({
      code: 'HUB_REFUSED',
      status: 412,
    });
    expect(simulated.record(deviceId)).toMatchObject({ statusReason: 'blau' });
  });

  it('that are not there are null, and cannot be put', async () => {
    simulated.load([{ deviceId: 'd' }]);
    const device = await hub.getDevice('d');
    if (device === null) throw new Error('no device');
    expect(await hub.getDevice('e')).toBeNull();
    await expect(hub.putDevice({ ...device, deviceId: 'e' }, '*')).rejects.toMatchObject({ status: 404 });
    expect(simulated.record('e')).toBeUndefined();
  });

  it('are deleted with their modules; one that is not there is fine', async () => {
    simulated.load([{ deviceId: 'd%' }, { deviceId: 'd%', moduleId: 'm' }, { deviceId: 'other' }]);
    await hub.deleteDevice('d%');
    await hub.deleteDevice('d%');
    expect([...simulated.dump()].map(({ deviceId }) => deviceId)).toEqual(['other']);
  });

  it('below others keep their parent when put back with it', async () => {
    simulated.load([
      { deviceId: 'edge', iotEdge: true },
      { deviceId: 'leaf', parent: 'edge' },
      { deviceId: 'child', iotEdge: true, parent: 'edge' },
    ]);
    const scope = (await hub.getDevice('edge'))?.deviceScope ?? '';
    expect(scope).toMatch(/^ms-azure-iot-edge:\/\/edge-/);
    for (const [id, members] of [
      ['leaf', { deviceScope: scope }],
      ['child', { parentScopes: [scope] }],
    ] as const) {
      const device = await hub.getDevice(id);
      if (device === null) throw new Error('no device');
      expect(device).toMatchObject(members);
      expect(await hub.putDevice(device, '*')).toMatchObject(members);
    }
  });

  it('are counted', async () => {
    simulated.load([{ deviceId: 'd' }, { deviceId: 'e', status: 'disabled' }]);
    expect(await hub.statistics()).toEqual({ total: 2 });
  });
});

describe('modules and twins', () => {
  it('are read, or null', async () => {
    simulated.load([
      { deviceId: 'd', tags: { wo: 'Zürich 🚢' } },
      { deviceId: 'd', moduleId: 'm', managedBy: 'me', desired: { ü: 1 } },
    ]);
    expect(await hub.getModule('d', 'm')).toMatchObject({ deviceId: 'd', moduleId: 'm', managedBy: 'me' });
    expect(await hub.getTwin('d', 'm')).toMatchObject({ properties: { desired: { ü: 1 } } });
    expect(await hub.getTwin('d')).toMatchObject({ tags: { wo: 'Zürich 🚢' } });
    expect(await hub.getModule('d', 'n')).toBeNull();
    expect(await hub.getTwin('d', 'n')).toBeNull();
    expect(await hub.getTwin('e')).toBeNull();
  });

  it('arrive whole though they are cut inside a character', async () => {
    simulated.load([{ deviceId: 'd', tags: { wo: '🚢🚢🚢' } }]);
    const text = JSON.stringify(await hub.getTwin('d'));
    const ship = Buffer.from(text.slice(0, text.indexOf('🚢'))).length;
    for (const byte of [1, 2, 3]) {
      simulated.addFault({ kind: 'splitBody', byte: ship + byte });
      expect(await hub.getTwin('d')).toMatchObject({ tags: { wo: '🚢🚢🚢' } });
    }
  });

  it('of disabled devices are refused under SAS', async () => {
    simulated.load([
      { deviceId: 'd', status: 'disabled' },
      { deviceId: 'd', moduleId: 'm' },
    ]);
    await expect(hub.getModule('d', 'm')).rejects.toMatchObject({ code: 'HUB_UNAUTHORIZED', status: 401 });
    expect(await hub.getTwin('d', 'm')).not.toBeNull();
  });
});

describe('system modules', () => {
  it('are written by a manifest, byte for byte, and listed', async () => {
    simulated.load([{ deviceId: 'gw', iotEdge: true }, { deviceId: 'leaf' }]);
    const desired = '{"text":"\\u00fc\u2028","n":1E2}';
    const body = `{"modulesContent":{"$edgeAgent":{"properties.desired":${desired}},"m":{"properties.desired":{}}}}`;
    await hub.applyConfiguration('gw', body);
    expect(simulated.record('gw', '$edgeAgent')?.desired).toEqual(JSON.parse(desired));
    const modules = await hub.listModules('gw');
    expect(modules?.map(({ moduleId, managedBy }) => [moduleId, managedBy])).toEqual(
      expect.arrayContaining([['m', 'iotEdge']]),
    );
    await expect(hub.applyConfiguration('leaf', body)).rejects.toMatchObject({ status: 400 });
    await expect(hub.applyConfiguration('nobody', body)).rejects.toMatchObject({ status: 404 });
    await expect(hub.listModules('nobody')).rejects.toMatchObject({ code: 'HUB_UNAUTHORIZED' });
  });

  it('have twins that are merged, guarded by their ETag', async () => {
    simulated.load([{ deviceId: 'd', tags: { a: 1, b: 1 } }]);
    await hub.patchTwin({ deviceId: 'd', moduleId: null }, '{"tags":{"b":2}}', '*');
    expect(simulated.record('d')?.tags).toEqual({ a: 1, b: 2 });
    const stale = hub.patchTwin({ deviceId: 'd', moduleId: null }, '{"tags":{"b":3}}', 'AAAAAAAAAAE=');
    await expect(stale).rejects.toMatchObject({ status: 412 });
  });
});

describe('queries', () => {
  it('bring all pages', async () => {
    simulated.load(Array.from({ length: 7 }, (_unused, index) => ({ deviceId: `d${index}` })));
    const pages: number[] = [];
    const ids = new Set<unknown>();
    for await (const page of hub.query('SELECT * FROM devices', { pageSize: 3 })) {
      pages.push(page.length);
      for (const row of page) ids.add(row['deviceId']);
    }
    expect(pages).toEqual([3, 3, 1]);
    expect(ids.size).toBe(7);
    expect(hub.takeCalls()).toEqual({ jobs: 0, polls: 0, other: 3 });
  });

  it('that are wrong are refused', async () => {
    await expect(hub.query('SELECT').next()).rejects.toMatchObject({ code: 'HUB_REFUSED', status: 400 });
  });
});

describe('rights', () => {
  it.each(['iothubowner', 'registryReadWrite'] as const)(
    'of %s are enough to write, which is proven without writing',
    async (policy) => {
      hub = clientOf(simulated.connectionString(policy));
      await hub.probeWrite();
      await hub.probeJobs();
      expect([...simulated.dump()]).toEqual([]);
      expect(simulated.counts()).toEqual({ 'PUT /devices/{id}': 1, 'POST /jobs/create': 1 });
    },
  );

  it('of registryRead are not', async () => {
    hub = clientOf(simulated.connectionString('registryRead'));
    for (const probe of [() => hub.probeWrite(), () => hub.probeJobs()]) {
      await expect(probe()).rejects.toMatchObject({
        code: 'HUB_UNAUTHORIZED',
        message: expect.stringContaining(`${simulated.hostName} with policy "registryRead" cannot `),
      });
    }
    expect(await hub.listConfigurations()).toBeNull();
    expect(await hub.statistics()).toMatchObject({ total: 0 });
    await expect(hub.getTwin('d')).rejects.toMatchObject({ code: 'HUB_UNAUTHORIZED' });
  });

  it('to create jobs are proven also while somebody has the slot, and with a container that does not exist', async () => {
    await hub.probeJobs(`${storage.account}/hf-not-there?sv=2021-12-02&sr=c&sig=bm9uZQ%3D%3D`);
    simulated.occupySlot();
    await hub.probeJobs();
    expect(simulated.counts()).toEqual({ 'POST /jobs/create': 2 });
  });

  it('need the right key', async () => {
    const key = 'aHViZmVycnktcGxhbnRlZC1rZXktMDEyMzQ1Njc4OQ==';
    hub = clientOf(`HostName=${simulated.hostName};SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`);
    for (const call of [
      () => hub.listJobs(),
      () => hub.getDevice('d'),
      () => hub.createExport('https://a', { excludeKeys: true }),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'HUB_UNAUTHORIZED',
        message: expect.stringContaining(`${simulated.hostName} with policy "iothubowner" cannot `),
      });
      await expect(call()).rejects.not.toThrow(key);
    }
  });
});

describe('configurations', () => {
  it('are listed by id, with their text', async () => {
    expect(await hub.listConfigurations()).toEqual([]);
    simulated.loadConfigurations([{ id: 'one', labels: { place: '東京' } }, { id: 'two' }]);
    const found = (await hub.listConfigurations()) ?? [];
    expect(found.map(({ id }) => id)).toEqual(['one', 'two']);
    expect(found.map(({ text }): unknown => JSON.parse(text))).toEqual(simulated.dumpConfigurations());
  });

  it('are created, read, updated and deleted, guarded by their ETags', async () => {
    const body = (priority: number): string =>
      `{"content":{"deviceContent":{"properties.desired.ü":1}},"priority":${priority}}`;
    expect(await hub.getConfiguration("a%*'")).toBeNull();
    const made = await hub.putConfiguration("a%*'", body(1), null);
    expect(made).toEqual({ id: "a%*'", text: expect.stringContaining('"properties.desired.ü":1') });
    expect(await hub.getConfiguration("a%*'")).toMatchObject({ id: "a%*'" });
    await expect(hub.putConfiguration("a%*'", body(2), null)).rejects.toMatchObject({ status: 409 });
    await expect(hub.putConfiguration("a%*'", body(2), 'c3RhbGU=')).rejects.toMatchObject({
      status: 412,
      serviceCode: 'PreconditionFailed',
    });
    await hub.putConfiguration("a%*'", body(2), 'MQ==');
    expect(simulated.dumpConfigurations()).toMatchObject([{ id: "a%*'", priority: 2, etag: 'Mg==' }]);
    await expect(hub.deleteConfiguration("a%*'", 'MQ==')).rejects.toMatchObject({ status: 412 });
    await hub.deleteConfiguration("a%*'", 'Mg==');
    await expect(hub.deleteConfiguration("a%*'", '*')).rejects.toMatchObject({ status: 404 });
    await expect(hub.putConfiguration("a%*'", body(1), '*')).rejects.toMatchObject({ status: 404 });
  });
});

it('creates a device as it is told, and none that is there or that the hub has no room for', async () => {
  const body = '{"deviceId":"new","status":"disabled","statusReason":"ü","capabilities":{"iotEdge":true}}';
  expect(await hub.createDevice('new', body)).toMatchObject({ deviceId: 'new', status: 'disabled' });
  expect(await hub.getDevice('new')).toMatchObject({ statusReason: 'ü', capabilities: { iotEdge: true } });
  await expect(hub.createDevice('new', body)).rejects.toMatchObject({ status: 409 });
  simulated.set({ maxRecords: 1 });
  const full: unknown = await hub
    .createDevice('more', '{"deviceId":"more"}')
    .catch((error: unknown) => error);
  simulated.set({ maxRecords: 1_000_000 });
  expect(isFull(full)).toBe(true);
  expect(full).toMatchObject({ code: 'HUB_REFUSED', status: 403 });
});

describe('faults', () => {
  it.each([
    [408, 'HUB_UNAVAILABLE'],
    [500, 'HUB_UNAVAILABLE'],
    [503, 'HUB_UNAVAILABLE'],
    [400, 'HUB_REFUSED'],
  ])('status %d is %s, through both clients', async (status, code) => {
    simulated.addFault({ kind: 'status', status, times: 2 });
    await expect(hub.getTwin('d')).rejects.toMatchObject({ code, status });
    await expect(hub.listJobs()).rejects.toMatchObject({ code, status });
    expect(await hub.listJobs()).toBeInstanceOf(Array);
  });

  it.each(['drop', 'loseReply', 'truncateBody'] as const)(
    '%s is HUB_UNREACHABLE, through both clients',
    async (kind) => {
      simulated.load([{ deviceId: 'd' }]);
      simulated.addFault({ kind, times: 2 });
      await expect(hub.getTwin('d')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
      await expect(hub.statistics()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
      expect(await hub.statistics()).toMatchObject({ total: 1 });
    },
  );
});

describe('a host', () => {
  it('may be localhost with a port', async () => {
    hub = clientOf(simulated.connectionString('iothubowner', true));
    expect(hub.host).toBe(simulated.ownHostName);
    expect(await hub.listJobs()).toBeInstanceOf(Array);
    expect(await hub.getDevice('d')).toBeNull();
  });
});

describe('counts', () => {
  it('are those of the hub', async () => {
    const { jobId } = await hub.createExport(await grant('output', 'rwd'), { excludeKeys: false });
    await ended(jobId);
    await hub.listJobs();
    await hub.getTwin('d');
    await hub.statistics();
    const counts = simulated.counts();
    expect(hub.takeCalls()).toEqual({ jobs: 2, polls: counts['GET /jobs/{id}'], other: 2 });
    expect(hub.takeCalls()).toEqual({ jobs: 0, polls: 0, other: 0 });
  });
});
