import type { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings, type HubSettings } from '../../simulator/index.js';
import { until } from '../support/until.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;
let container: ContainerClient;

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
  container = await azurite.container('fleet');
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => {
  stand.hub.clear();
  stand.hub.set(defaultSettings);
  stand.sim.clock.setSpeed(0);
});

const lag = (change: Partial<HubSettings>) => stand.hub.set(change);
const pass = (ms: number) => stand.sim.clock.advance(ms);

const statusOf = async (method: string, path: string, ask: { body?: object; ifMatch?: string } = {}) => {
  const { body, ifMatch } = ask;
  const headers = ifMatch === undefined ? {} : { 'if-match': ifMatch };
  return (await stand.client.ask(method, path, { body, headers })).status;
};
const put = (id: string, body: object = {}) =>
  statusOf('PUT', `/devices/${id}`, { body: { deviceId: id, ...body } });
const change = (id: string, body: object) =>
  statusOf('PUT', `/devices/${id}`, { body: { deviceId: id, ...body }, ifMatch: '*' });
const remove = (id: string) => statusOf('DELETE', `/devices/${id}`, { ifMatch: '*' });
const get = (id: string) => statusOf('GET', `/devices/${id}`);

async function query(text: string): Promise<object[]> {
  const { json } = await stand.client.ask('POST', '/devices/query', { body: { query: text } });
  return json as unknown as object[];
}
const queried = async () =>
  (await query('SELECT deviceId FROM devices')).map((row) => (row as { deviceId: string }).deviceId);
const counted = async () => {
  const [row] = await query('SELECT COUNT() AS n FROM devices');
  return (row as { n: number }).n;
};
const statistics = async () => (await stand.client.ask('GET', '/statistics/devices')).json;

async function job(type: 'import' | 'export'): Promise<void> {
  const uri = azurite.uri(container);
  const ended = await stand.client.job({
    type,
    outputBlobContainerUri: uri,
    ...(type === 'import' ? { inputBlobContainerUri: uri } : {}),
  });
  expect(ended.status).toBe('completed');
}

async function importLines(...lines: object[]): Promise<void> {
  const text = lines.map((line) => JSON.stringify({ status: 'enabled', ...line })).join('\n');
  await writeBlob(container, 'devices.txt', text);
  await job('import');
}

async function exportedIds(): Promise<string[]> {
  await job('export');
  const text = await readBlob(container, 'devices.txt');
  return Array.from(text.matchAll(/"id":"([^"]*)"(?:,"moduleId":"([^"]*)")?/g), ([, id, module]) =>
    module === undefined ? `${id}` : `${id}/${module}`,
  );
}

describe('visibilityLag', () => {
  it('hides what an import made from GET, until so long after its end', async () => {
    lag({ visibilityLag: 3000 });
    await importLines({ id: 'd' }, { id: 'd', moduleId: 'm' });
    expect([await get('d'), await statusOf('GET', '/twins/d')]).toEqual([404, 404]);
    expect((await stand.client.ask('GET', '/devices')).json).toEqual([]);
    pass(2999);
    expect(await get('d')).toBe(404);
    pass(1);
    expect([await get('d'), await statusOf('GET', '/devices/d/modules/m')]).toEqual([200, 200]);
    expect((await stand.client.ask('GET', '/devices')).json).toMatchObject([{ deviceId: 'd' }]);
  });

  it('does not hide it from writers, queries and exports', async () => {
    lag({ visibilityLag: 3000 });
    await importLines({ id: 'd' });
    expect(await put('d')).toBe(409);
    expect(await queried()).toEqual(['d']);
    expect(await exportedIds()).toEqual(['d']);
    expect(await get('d')).toBe(404);
  });

  it('lets GET show the old state of what an import changed or deleted', async () => {
    stand.hub.load([{ deviceId: 'changed' }, { deviceId: 'gone' }, { deviceId: 'gone', moduleId: 'm' }]);
    lag({ visibilityLag: 3000 });
    await importLines({ id: 'changed', statusReason: 'new' }, { id: 'gone', importMode: 'delete' });
    const reason = async () => (await stand.client.ask('GET', '/devices/changed')).json.statusReason;
    expect(await reason()).toBeNull();
    expect([await get('gone'), await statusOf('GET', '/devices/gone/modules/m')]).toEqual([200, 200]);
    expect((await stand.client.ask('GET', '/devices/gone/modules')).json).toMatchObject([{ moduleId: 'm' }]);
    expect((await stand.client.ask('GET', '/devices')).json).toHaveLength(2);
    pass(3000);
    expect(await reason()).toBe('new');
    expect(await get('gone')).toBe(404);
    expect((await stand.client.ask('GET', '/devices')).json).toHaveLength(1);
  });

  it('does not concern REST writes, whose effect GET shows at once', async () => {
    lag({ visibilityLag: 3000 });
    expect(await put('d')).toBe(200);
    expect(await get('d')).toBe(200);
    await importLines({ id: 'd', statusReason: 'from the import' }, { id: 'other' });
    expect(await change('d', { statusReason: 'from REST' })).toBe(200);
    expect((await stand.client.ask('GET', '/devices/d')).json.statusReason).toBe('from REST');
    expect(await get('other')).toBe(404);
  });

  it('does not hide anything from a dump, and a loaded record is there at once', async () => {
    lag({ visibilityLag: 3000, queryLag: 3000 });
    await importLines({ id: 'd' });
    expect(Array.from(stand.hub.dump(), ({ deviceId }) => deviceId)).toEqual(['d']);
    stand.hub.load([{ deviceId: 'loaded', iotEdge: true }]);
    expect([await get('loaded'), await get('d')]).toEqual([200, 404]);
    expect(await queried()).toEqual(['loaded']);
    expect((await query('SELECT * FROM devices.modules')).length).toBe(2);
  });
});

describe('exportLag', () => {
  it('lets exports show what was there before an import', async () => {
    stand.hub.load([{ deviceId: 'old' }, { deviceId: 'old', moduleId: 'm' }]);
    lag({ exportLag: 5000 });
    await importLines({ id: 'new' }, { id: 'old', importMode: 'delete' });
    expect(await exportedIds()).toEqual(['old', 'old/m']);
    expect([await get('new'), await get('old')]).toEqual([200, 404]);
    pass(5000);
    expect(await exportedIds()).toEqual(['new']);
  });
});

describe('queryLag', () => {
  it('hides a new device from queries and statistics', async () => {
    lag({ queryLag: 1400 });
    await put('d', { status: 'disabled' });
    expect(await get('d')).toBe(200);
    expect([await queried(), await counted()]).toEqual([[], 0]);
    expect(await statistics()).toEqual({
      totalDeviceCount: 0,
      enabledDeviceCount: 0,
      disabledDeviceCount: 0,
    });
    pass(1399);
    expect(await counted()).toBe(0);
    pass(1);
    expect([await queried(), await counted()]).toEqual([['d'], 1]);
    expect(await statistics()).toEqual({
      totalDeviceCount: 1,
      enabledDeviceCount: 0,
      disabledDeviceCount: 1,
    });
  });

  it('shows a device that changes all the time as it was then, and not as it was at first', async () => {
    lag({ queryLag: 1000 });
    await put('d', { statusReason: '0' });
    const seen: unknown[] = [];
    for (let n = 1; n <= 5; n++) {
      pass(600);
      await change('d', { statusReason: String(n) });
      seen.push(...(await query('SELECT statusReason FROM devices')));
    }
    expect(seen.map((row) => (row as { statusReason: string }).statusReason)).toEqual(['0', '1', '2', '3']);
  });

  it('moves disabled devices in statistics', async () => {
    await put('d');
    lag({ queryLag: 1000 });
    await change('d', { status: 'disabled' });
    expect((await statistics()).disabledDeviceCount).toBe(0);
    pass(1000);
    expect((await statistics()).disabledDeviceCount).toBe(1);
  });

  it('counts from each write of an import, not from its end', async () => {
    lag({ queryLag: 1000 });
    stand.sim.clock.setSpeed(0);
    stand.hub.addJobFault({ kind: 'hang', lines: 1 });
    const uri = azurite.uri(container);
    await writeBlob(
      container,
      'devices.txt',
      '{"id":"d","status":"enabled"}\n{"id":"e","status":"enabled"}\n',
    );
    const body = { type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri };
    const created = await stand.client.ask('POST', '/jobs/create', { body });
    await until('the first line is written', async () => (await get('d')) === 200);
    expect(await queried()).toEqual([]);
    pass(1000);
    expect(await queried()).toEqual(['d']);
    const jobId = created.json.jobId as unknown as string;
    expect(await statusOf('DELETE', `/jobs/${jobId}`)).toBe(204);
    await stand.client.ended(jobId);
  });
});

describe('queryGhosts', () => {
  const minutes = 60_000;

  it('lets queries, counts and statistics go on with deleted devices', async () => {
    stand.hub.load([
      { deviceId: 'gone', status: 'disabled', tags: { floor: 3 } },
      { deviceId: 'gone', moduleId: 'm' },
      { deviceId: 'here' },
    ]);
    lag({ queryGhosts: 25 * minutes });
    expect(await remove('gone')).toBe(204);
    expect(await get('gone')).toBe(404);
    expect(await statusOf('GET', '/twins/gone')).toBe(404);
    expect((await queried()).toSorted()).toEqual(['gone', 'here']);
    expect(await counted()).toBe(2);
    expect(await query("SELECT * FROM devices WHERE deviceId = 'gone'")).toMatchObject([
      { tags: { floor: 3 } },
    ]);
    expect(await query('SELECT * FROM devices.modules')).toMatchObject([{ deviceId: 'gone', moduleId: 'm' }]);
    expect(await statistics()).toMatchObject({ totalDeviceCount: 2, disabledDeviceCount: 1 });
    pass(25 * minutes - 1);
    expect(await counted()).toBe(2);
    pass(1);
    expect([await queried(), await counted()]).toEqual([['here'], 1]);
    expect(await query('SELECT * FROM devices.modules')).toEqual([]);
    expect(await statistics()).toMatchObject({ totalDeviceCount: 1, disabledDeviceCount: 0 });
  });

  it('begin after queryLag, and concern deletions only', async () => {
    lag({ queryLag: 1000, queryGhosts: 5000 });
    await put('d');
    await put('e');
    pass(1000);
    expect(await queried()).toEqual(['d', 'e']);
    await remove('d');
    await change('e', { statusReason: 'why' });
    pass(1000);
    expect(await query('SELECT deviceId, statusReason FROM devices')).toEqual([
      { deviceId: 'e', statusReason: 'why' },
      { deviceId: 'd' },
    ]);
    pass(4999);
    expect(await counted()).toBe(2);
    pass(1);
    expect(await queried()).toEqual(['e']);
  });

  it('give way to a device that was made again', async () => {
    stand.hub.load([{ deviceId: 'd', statusReason: 'old' }]);
    lag({ queryLag: 1000, queryGhosts: 60 * minutes });
    await remove('d');
    pass(2000);
    await put('d', { statusReason: 'new' });
    const reasons = () => query('SELECT statusReason FROM devices');
    expect(await reasons()).toEqual([{ statusReason: 'old' }]);
    pass(1000);
    expect(await reasons()).toEqual([{ statusReason: 'new' }]);
    expect(await counted()).toBe(1);
  });

  it('are left by imports too, and not seen by exports and dumps', async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm' }]);
    lag({ queryGhosts: minutes });
    await importLines({ id: 'd', importMode: 'delete' });
    expect(await counted()).toBe(1);
    expect(await exportedIds()).toEqual([]);
    expect([...stand.hub.dump()]).toEqual([]);
    pass(minutes);
    expect(await counted()).toBe(0);
  });

  it('are forgotten when their time is over', async () => {
    const { visibility } = stand.hub.store;
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm' }]);
    lag({ queryGhosts: minutes });
    await remove('d');
    expect([...visibility.devices()]).toEqual(['d']);
    expect([...visibility.deletedModules('d')]).toEqual(['d/m']);
    pass(minutes);
    expect([...visibility.devices()]).toEqual([]);
    expect([...visibility.deletedModules('d')]).toEqual([]);
  });

  it('go with clear', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    lag({ queryGhosts: minutes });
    await remove('d');
    stand.hub.clear();
    expect(await counted()).toBe(0);
  });
});
