import type { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings } from '../../simulator/index.js';
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
});

/** PUT of a device or module. @returns status and code. */
async function put(id: string, moduleId?: string, ifMatch?: string): Promise<string> {
  const path = moduleId === undefined ? `/devices/${id}` : `/devices/${id}/modules/${moduleId}`;
  const { status, headers } = await stand.client.ask('PUT', path, {
    body: { deviceId: id, ...(moduleId === undefined ? {} : { moduleId }) },
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
  return `${status} ${String(headers['iothub-errorcode'] ?? 'ok')}`;
}

/** Imports lines. @returns `[id, code, text]` per entry of the error log. */
async function importLines(...lines: object[]): Promise<unknown[]> {
  const text = lines.map((line) => JSON.stringify({ status: 'enabled', ...line })).join('\n');
  await writeBlob(container, 'devices.txt', text);
  const uri = azurite.uri(container);
  const job = await stand.client.job({
    type: 'import',
    inputBlobContainerUri: uri,
    outputBlobContainerUri: uri,
  });
  expect(job.status).toBe('completed');
  const log = await readBlob(container, 'importErrors.log');
  return log
    .split('\r\n')
    .filter((entry) => entry !== '')
    .map((entry) => JSON.parse(entry) as { deviceId: string; errorCode: number; errorStatus: string })
    .map(({ deviceId, errorCode, errorStatus }) => [deviceId, errorCode, errorStatus]);
}

const quota = 'Total number of devices on IotHub exceeded the allocated quota.';

describe('the limit of devices and modules', () => {
  it('counts both, and refuses new ones only', async () => {
    stand.hub.set({ maxRecords: 3 });
    expect([await put('a'), await put('a', 'm'), await put('b')]).toEqual(Array(3).fill('200 ok'));
    expect(await put('c')).toBe('403 IotHubQuotaExceeded');
    expect(await put('b', 'm')).toBe('403 IotHubQuotaExceeded');
    expect(await put('b', undefined, '*')).toBe('200 ok');
    await stand.client.ask('DELETE', '/devices/a', { headers: { 'if-match': '*' } });
    expect([await put('c'), await put('c', 'm')]).toEqual(Array(2).fill('200 ok'));
    expect(await put('d')).toBe('403 IotHubQuotaExceeded');
  });

  it('has a text of its own', async () => {
    stand.hub.set({ maxRecords: 0 });
    const { json } = await stand.client.ask('PUT', '/devices/a', { body: { deviceId: 'a' } });
    expect(json.Message).toBe(`ErrorCode:IotHubQuotaExceeded;${quota}`);
  });

  it('is logged by imports for each line that does not fit', async () => {
    stand.hub.set({ maxRecords: 2 });
    const refused = await importLines(
      { id: 'a' },
      { id: 'b' },
      { id: 'c' },
      { id: 'a', moduleId: 'm' },
      { id: 'd' },
    );
    expect(refused).toEqual([
      ['c', 403002, quota],
      ['a', 403002, quota],
      ['d', 403002, quota],
    ]);
    expect(
      await importLines({ id: 'a', statusReason: 'updated' }, { id: 'b', importMode: 'delete' }),
    ).toEqual([]);
    expect(await importLines({ id: 'c' })).toEqual([]);
  });

  it('lets an edge device have its system modules', async () => {
    stand.hub.set({ maxRecords: 1 });
    expect(await importLines({ id: 'e', capabilities: { iotEdge: true } })).toEqual([]);
    expect(stand.hub.store.moduleCount).toBe(2);
    expect(await put('d')).toBe('403 IotHubQuotaExceeded');
  });

  it('does not hold for what a test loads', async () => {
    stand.hub.set({ maxRecords: 1 });
    expect(stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }])).toBe(2);
    expect(await put('c')).toBe('403 IotHubQuotaExceeded');
  });
});

describe('importQuotaMargin', () => {
  it('makes imports refuse new records before the hub is full; REST takes them one by one', async () => {
    stand.hub.set({ maxRecords: 5, importQuotaMargin: 2 });
    const lines = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }));
    expect(await importLines(...lines)).toEqual([
      ['d', 403002, quota],
      ['e', 403002, quota],
    ]);
    // Another job does not help.
    expect(await importLines({ id: 'd' }, { id: 'a', statusReason: 'updated' })).toEqual([
      ['d', 403002, quota],
    ]);
    expect([await put('d'), await put('e')]).toEqual(Array(2).fill('200 ok'));
    expect(await put('f')).toBe('403 IotHubQuotaExceeded');
  });
});

describe('the limit of modules of a device', () => {
  it('is 50', async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'e' }]);
    stand.hub.load(Array.from({ length: 49 }, (_, n) => ({ deviceId: 'd', moduleId: `m${n}` })));
    expect(await put('d', 'm49')).toBe('200 ok');
    expect(await put('d', 'm50')).toBe('413 TooManyModulesOnDevice');
    expect(await put('d', 'm7', '*')).toBe('200 ok');
    const text = 'A device has at most 50 modules.';
    expect(await importLines({ id: 'd', moduleId: 'm51' }, { id: 'e', moduleId: 'm' })).toEqual([
      ['d', 413003, text],
    ]);
    await stand.client.ask('DELETE', '/devices/d/modules/m7', { headers: { 'if-match': '*' } });
    expect(await put('d', 'm50')).toBe('200 ok');
  });
});
