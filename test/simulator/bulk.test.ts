import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings } from '../../simulator/index.js';
import type { Call } from '../../simulator/router.js';
import { router } from '../../simulator/routes/index.js';
import type { Answer } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.hub.clear();
  stand.hub.set(defaultSettings);
});

const bulk = (body: unknown): Promise<Answer> => stand.client.ask('POST', '/devices', { body });
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const sas = (fill: number) => ({
  type: 'sas',
  symmetricKey: { primaryKey: key(fill), secondaryKey: key(fill + 1) },
});
const stored = (fill: number) => ({ type: 'sas', primaryKey: key(fill), secondaryKey: key(fill + 1) });
const well = { isSuccessful: true, errors: [], warnings: [] };

/** `[id, code]` per error. */
function errorsOf({ json }: Answer): unknown[] {
  const { errors } = json as unknown as {
    errors: { deviceId: string; moduleId?: string; errorCode: unknown }[];
  };
  return errors.map(({ deviceId, moduleId, errorCode }) => [
    moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`,
    errorCode,
  ]);
}

describe('POST /devices', () => {
  it('creates devices and modules, and answers 200', async () => {
    const answer = await bulk([
      { id: 'd', importMode: 'create', status: 'disabled', authentication: sas(1), tags: { t: 1 } },
      { id: 'd', moduleId: 'm', importMode: 'create', authentication: sas(3) },
      { id: 'e', importMode: 'create', capabilities: { iotEdge: true }, properties: { desired: { x: 1 } } },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual(well);
    expect(stand.hub.record('d')).toMatchObject({
      status: 'disabled',
      authentication: stored(1),
      tags: { t: 1 },
    });
    expect(stand.hub.record('d', 'm')?.authentication).toEqual(stored(3));
    expect(stand.hub.record('e', '$edgeHub')).toBeDefined();
    expect(stand.hub.record('e')?.desired).toEqual({ x: 1 });
  });

  it('answers on the path with a slash, which the .NET client uses, and for an empty array', async () => {
    const answer = await stand.client.ask('POST', '/devices/', { body: [{ id: 'd' }] });
    expect(answer.json).toEqual(well);
    expect(stand.hub.record('d')).toBeDefined();
    expect((await bulk([])).json).toEqual(well);
  });

  it('does what it can: each entry that fails is named with its code, the others stay', async () => {
    stand.hub.load([
      { deviceId: 'old' },
      { deviceId: 'old', moduleId: 'm' },
      { deviceId: 'e', iotEdge: true },
    ]);
    const answer = await bulk([
      { id: 'new', importMode: 'create' },
      { id: 'old', importMode: 'create' },
      { id: 'old', moduleId: 'm', importMode: 'create' },
      { id: 'gone', importMode: 'Update' },
      { id: 'gone', moduleId: 'm', importMode: 'create' },
      { id: 'e', moduleId: '$edgeAgent', importMode: 'updateTwin', tags: {} },
      { id: 'bad id', importMode: 'create' },
      { id: 'tags', importMode: 'create', tags: { 'a.b': 1 } },
      { id: 'text', importMode: 'create', tags: 'none' },
    ]);
    expect(answer.status).toBe(400);
    expect(answer.headers['iothub-errorcode']).toBe('BulkRegistryOperationFailure');
    expect(Object.keys(answer.json)).toEqual(['isSuccessful', 'errors', 'warnings']);
    expect(answer.json.isSuccessful).toBe(false);
    expect(answer.json.warnings).toEqual([]);
    expect(errorsOf(answer)).toEqual([
      ['old', 'DeviceAlreadyExists'],
      ['old/m', 'ModuleAlreadyExistsOnDevice'],
      ['gone', 'DeviceNotFound'],
      ['gone/m', 'DeviceNotFound'],
      ['e/$edgeAgent', 'SystemModuleModifyUnauthorizedAccess'],
      ['bad id', 'ArgumentInvalid'],
      ['tags', 'ArgumentInvalid'],
      ['text', 'ArgumentInvalid'],
    ]);
    expect(answer.json).toMatchObject({
      errors: expect.arrayContaining([
        {
          deviceId: 'old',
          errorCode: 'DeviceAlreadyExists',
          errorStatus: "A device with ID 'old' is already registered.",
        },
      ]) as unknown,
    });
    expect(stand.hub.record('new')).toBeDefined();
    expect(stand.hub.record('tags')).toBeUndefined();
  });

  it('does all nine modes, in any case', async () => {
    stand.hub.load(
      ['u', 'ue', 'ux', 'd', 'de', 'dx', 't', 'te', 'tx', 'c', 'ce', 'cx'].map((deviceId) => ({
        deviceId,
        etag: 'MTAx',
        twinVersion: 5,
        tags: { old: 1 },
      })),
    );
    const etag = { eTag: 'MTAx' };
    const stale = { eTag: 'MTAy' };
    const twin = { twinETag: 'AAAAAAAAAAU=', tags: { n: 1 } };
    const answer = await bulk([
      { id: 'n', importMode: 'CREATE' },
      { id: 'u', importMode: 'Update', ...stale, authentication: sas(1) },
      { id: 'ue', importMode: 'UpdateIfMatchETag', etag: 'MTAx', authentication: sas(1) },
      { id: 'ux', importMode: 'updateIfMatchETag', ...stale },
      { id: 'd', importMode: 'Delete' },
      { id: 'de', importMode: 'DeleteIfMatchETag', ...etag },
      { id: 'dx', importMode: 'deleteIfMatchETag', ...stale },
      { id: 't', importMode: 'updateTwin', ...twin, twinETag: 'x', authentication: sas(1) },
      { id: 'te', importMode: 'updateTwinIfMatchETag', ...twin },
      { id: 'tx', importMode: 'updateTwinIfMatchETag', ...twin, twinETag: 'x' },
      { id: 'c', importMode: 'createOrUpdate', ...stale, authentication: sas(1) },
      { id: 'ce', importMode: 'createOrUpdateIfMatchETag', ...etag, authentication: sas(1) },
      { id: 'cx', importMode: 'createOrUpdateIfMatchETag', ...stale },
      { id: 'default', authentication: sas(1) },
    ]);
    expect(errorsOf(answer)).toEqual(['ux', 'dx', 'tx', 'cx'].map((id) => [id, 'PreconditionFailed']));
    for (const id of ['u', 'ue', 'c', 'ce', 'default']) {
      expect.soft(stand.hub.record(id)?.authentication, id).toEqual(stored(1));
    }
    for (const id of ['d', 'de']) expect.soft(stand.hub.record(id), id).toBeUndefined();
    for (const id of ['t', 'te']) {
      expect.soft(stand.hub.record(id)).toMatchObject({ tags: { n: 1 }, etag: 'MTAx', twinVersion: 6 });
      expect.soft(stand.hub.record(id)?.authentication, id).not.toEqual(stored(1));
    }
    expect(stand.hub.record('tx')?.tags).toEqual({ old: 1 });
    expect(stand.hub.record('n')).toBeDefined();
  });

  it('refuses as a whole what it cannot take, and applies nothing of it', async () => {
    const many = Array.from({ length: 101 }, (_, n) => ({ id: `d${n}`, importMode: 'create' }));
    const wrong: [unknown, number, string][] = [
      [many, 413, 'TooManyDevices'],
      [[{ id: 'a' }, { id: 'b' }, { id: 'a', importMode: 'delete' }], 400, 'DeviceDefinedMultipleTimes'],
      [
        [
          { id: 'a', moduleId: 'm' },
          { id: 'a', moduleId: 'm' },
        ],
        400,
        'DeviceDefinedMultipleTimes',
      ],
      [{ id: 'a' }, 400, 'IotHubFormatError'],
      ['[{"id":', 400, 'IotHubFormatError'],
      [[{ id: 'a' }, null], 400, 'IotHubFormatError'],
      [`[{"id":"a","importMode":${'['.repeat(20_000)}${']'.repeat(20_000)}}]`, 400, 'IotHubFormatError'],
      [[{ id: 'a' }, { importMode: 'create' }], 400, 'IotHubFormatError'],
      [[{ id: 'a' }, { id: 'b', importMode: 'destroy' }], 400, 'IotHubFormatError'],
      [[{ id: 'a' }, { id: 'b', status: 'asleep' }], 400, 'IotHubFormatError'],
    ];
    for (const [body, status, code] of wrong) {
      const answer = await bulk(body);
      expect.soft(answer.status, code).toBe(status);
      expect.soft(answer.headers['iothub-errorcode']).toBe(code);
      expect.soft(answer.json.Message).toEqual(expect.stringMatching(`^ErrorCode:${code};`));
    }
    expect(stand.hub.store.deviceCount).toBe(0);
    expect((await bulk(many.slice(1))).json).toEqual(well);
    expect(stand.hub.store.deviceCount).toBe(100);
  });

  it('takes a device and its module in one request, and the same module id on two devices', async () => {
    const answer = await bulk([
      { id: 'a' },
      { id: 'a', moduleId: 'm' },
      { id: 'b' },
      { id: 'b', moduleId: 'm' },
    ]);
    expect(answer.json).toEqual(well);
  });

  it('needs the right to write the registry', async () => {
    const allowed = async (policy: 'registryRead' | 'registryReadWrite' | 'service') =>
      (await stand.client.ask('POST', '/devices', { body: [], policy })).status;
    expect(await allowed('registryRead')).toBe(401);
    expect(await allowed('service')).toBe(401);
    expect(await allowed('registryReadWrite')).toBe(200);
  });

  it('demands two data actions and counts every device', () => {
    const route = router.routes.find(({ name }) => name === 'POST /devices');
    expect(route?.access.actions).toEqual(['devices/write', 'devices/delete']);
    expect(route?.operation).toBe('registry');
    const weight = (body: string) => route?.weight?.({ body: Buffer.from(body) } as Call);
    expect(weight(JSON.stringify(Array.from({ length: 50 }, () => ({}))))).toBe(50);
    expect(weight('[]')).toBe(1);
    expect(weight('{')).toBe(1);
  });
});

describe('switches of POST /devices', () => {
  it('bulkCreateOrUpdate refuse: those modes are errors of their entries', async () => {
    stand.hub.set({ bulkCreateOrUpdate: 'refuse' });
    const answer = await bulk([
      { id: 'a' },
      { id: 'b', importMode: 'createOrUpdateIfMatchETag' },
      { id: 'c', importMode: 'create' },
    ]);
    expect(errorsOf(answer)).toEqual([
      ['a', 'ArgumentInvalid'],
      ['b', 'ArgumentInvalid'],
    ]);
    expect(stand.hub.store.deviceCount).toBe(1);
  });

  it('bulkBadTwin warn: a new device is there without its twin', async () => {
    stand.hub.set({ bulkBadTwin: 'warn' });
    const answer = await bulk([
      { id: 'd', importMode: 'create', tags: { 'a.b': 1 }, properties: { desired: { fine: 1 } } },
      { id: 'd', moduleId: 'm', importMode: 'create', tags: { ok: 1 } },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      isSuccessful: true,
      errors: [],
      warnings: [
        {
          deviceId: 'd',
          warningCode: 'DeviceRegisteredWithoutTwin',
          warningStatus: 'The twin is invalid: a key has an illegal character.',
        },
      ],
    });
    expect(stand.hub.record('d')).toMatchObject({ tags: {}, desired: {} });
    expect(stand.hub.record('d')?.desired).toEqual({});
    expect(errorsOf(await bulk([{ id: 'd', importMode: 'update', tags: { 'a.b': 1 } }]))).toEqual([
      ['d', 'ArgumentInvalid'],
    ]);
  });

  it('bulkErrorCode number', async () => {
    stand.hub.set({ bulkErrorCode: 'number' });
    expect(errorsOf(await bulk([{ id: 'd', importMode: 'update' }]))).toEqual([['d', 404001]]);
  });

  it('restScopeCheck: creates take any scope, updates only that of an edge, by default', async () => {
    const deviceScope = 'ms-azure-iot-edge://p-1';
    expect((await bulk([{ id: 'd', importMode: 'create', deviceScope }])).json).toEqual(well);
    expect(stand.hub.record('d')).toMatchObject({ deviceScope, parentScopes: [deviceScope] });
    const update = [{ id: 'd', importMode: 'update', deviceScope }];
    expect(errorsOf(await bulk(update))).toEqual([['d', 'InvalidDeviceScope']]);
    stand.hub.set({ restScopeCheck: 'never' });
    expect((await bulk(update)).json).toEqual(well);
  });

  it('systemModuleTwins accept: updateTwin of a system module, nothing else', async () => {
    stand.hub.set({ systemModuleTwins: 'accept' });
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
    const module = { id: 'e', moduleId: '$edgeHub', tags: { t: 1 } };
    expect((await bulk([{ ...module, importMode: 'updateTwin' }])).json).toEqual(well);
    expect(stand.hub.record('e', '$edgeHub')?.tags).toEqual({ t: 1 });
    expect(errorsOf(await bulk([{ ...module, importMode: 'update' }]))).toEqual([
      ['e/$edgeHub', 'SystemModuleModifyUnauthorizedAccess'],
    ]);
  });

  it('switches of imports do not touch it, but for the twin part', async () => {
    stand.hub.set({ importModules: 'refuse', importNoAuthentication: 'keep', importTwinPart: 'merge' });
    stand.hub.load([{ deviceId: 'd', authentication: { ...stored(1), type: 'sas' }, tags: { a: 1 } }]);
    const answer = await bulk([
      { id: 'd', importMode: 'update', tags: { b: 2 } },
      { id: 'd', moduleId: 'm', importMode: 'create' },
    ]);
    expect(answer.json).toEqual(well);
    expect(stand.hub.record('d')?.authentication).not.toEqual(stored(1));
    expect(stand.hub.record('d')?.tags).toEqual({ a: 1, b: 2 });
  });
});
