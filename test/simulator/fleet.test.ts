import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings, type FleetRecord, type FullRecord, generateFleet } from '../../simulator/index.js';
import { checkId, checkKey, checkThumbprint, checkTwinSection } from '../../simulator/records/validation.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => stand.hub.clear());

const fleetOf = (devices: number, seed = 1): FleetRecord[] => [...generateFleet({ devices, seed })];

describe('a generated fleet', () => {
  it('has as many records as asked, modules included, system modules not', () => {
    for (const devices of [0, 1, 2, 17, 500]) expect(fleetOf(devices)).toHaveLength(devices);
    stand.hub.load(generateFleet({ devices: 500, seed: 4 }));
    const records = [...stand.hub.dump()];
    expect(records.filter((record) => record.moduleId?.startsWith('$') !== true)).toHaveLength(500);
  });

  it('is the same for the same seed', () => {
    expect(fleetOf(300, 7)).toEqual(fleetOf(300, 7));
    expect(fleetOf(300, 7)).not.toEqual(fleetOf(300, 8));
  });

  it('keeps its beginning when it grows', () => {
    expect(fleetOf(500).slice(0, 100)).toEqual(fleetOf(1000).slice(0, 100));
  });

  it('has every kind of record', () => {
    const fleet = fleetOf(1000);
    const kinds = {
      sas: fleet.some((record) => record.authentication?.type === 'sas'),
      selfSigned: fleet.some((record) => record.authentication?.type === 'selfSigned'),
      authority: fleet.some((record) => record.authentication?.type === 'certificateAuthority'),
      disabled: fleet.some((record) => record.status === 'disabled' && record.statusReason !== undefined),
      module: fleet.some((record) => record.moduleId !== undefined && record.tags !== undefined),
      edge: fleet.some((record) => record.iotEdge === true && record.parent === undefined),
      leafChild: fleet.some((record) => record.parent !== undefined && record.iotEdge !== true),
      edgeChild: fleet.some((record) => record.parent !== undefined && record.iotEdge === true),
      nested: fleet.some((record) =>
        Object.values(record.tags ?? {}).some((value) => typeof value === 'object'),
      ),
    };
    expect(Object.entries(kinds).filter(([, found]) => !found)).toEqual([]);
    const text = JSON.stringify(fleet);
    for (const part of ['🚀', '東京', 'ü', '\\\\', '\\"', 'e-7', '1e+21', '-0.001', 'true', '\u2028']) {
      expect.soft(text, part).toContain(part);
    }
    const ids = fleet.map((record) => record.deviceId).join('');
    for (const odd of "%#?*$'@;,=") expect.soft(ids, odd).toContain(odd);
  });

  it('is valid under the limits of the service', () => {
    const seen = new Set<string>();
    for (const record of fleetOf(3000, 11)) {
      const key = `${record.deviceId}/${record.moduleId ?? ''}`;
      expect(seen.has(key)).toBe(false);
      seen.add(key);
      checkId('device', record.deviceId);
      if (record.moduleId !== undefined) checkId('module', record.moduleId);
      checkTwinSection('tags', record.tags ?? {});
      checkTwinSection('desired', record.desired ?? {});
      expect((record.statusReason ?? '').length).toBeLessThanOrEqual(128);
      const { authentication } = record;
      if (authentication?.type === 'sas') {
        checkKey(authentication.primaryKey);
        checkKey(authentication.secondaryKey);
      }
      if (authentication?.type === 'selfSigned' && authentication.primaryThumbprint !== null) {
        checkThumbprint(authentication.primaryThumbprint);
      }
    }
  });

  it('can be plain', () => {
    const [first] = generateFleet({ devices: 1, seed: 1, plain: true });
    expect(first).toMatchObject({
      deviceId: 'device-000001',
      authentication: { type: 'sas' },
      tags: { batch: 1 },
    });
    for (const record of generateFleet({ devices: 200, seed: 1, plain: true })) {
      expect(Object.keys(record)).toEqual(['deviceId', 'authentication', 'tags']);
    }
  });

  it('gets its scopes from the hub', () => {
    stand.hub.load([
      { deviceId: 'e', iotEdge: true },
      { deviceId: 'leaf', parent: 'e' },
      { deviceId: 'child', parent: 'e', iotEdge: true },
      { deviceId: 'stale', deviceScope: 'ms-azure-iot-edge://gone-1' },
    ]);
    const scope = `ms-azure-iot-edge://e-${stand.hub.record('e')?.generationId}`;
    expect(stand.hub.record('e')?.deviceScope).toBe(scope);
    expect(stand.hub.record('leaf')).toMatchObject({ deviceScope: scope, parentScopes: [scope] });
    expect(stand.hub.record('child')?.parentScopes).toEqual([scope]);
    expect(stand.hub.record('child')?.deviceScope).toContain('://child-');
    expect(stand.hub.record('stale')?.deviceScope).toBe('ms-azure-iot-edge://gone-1');
    expect(() => stand.hub.load([{ deviceId: 'x', parent: 'leaf' }])).toThrow(
      /before its parent edge 'leaf'/,
    );
  });
});

describe('a dump and a load', () => {
  const copy = (): FullRecord[] =>
    Array.from(stand.hub.dump(), (record) => JSON.parse(JSON.stringify(record)) as FullRecord);
  const other = () => stand.sim.hub('b');
  beforeEach(() => {
    other().reset();
    stand.hub.reset();
  });

  const put = (path: string, body: object, ifMatch?: string) =>
    stand.client.ask('PUT', path, { body, headers: ifMatch === undefined ? {} : { 'if-match': ifMatch } });

  it('are exact for a whole fleet', () => {
    stand.hub.load(generateFleet({ devices: 800, seed: 9 }));
    const dump = copy();
    expect(other().load(dump)).toBe(dump.length);
    expect([...other().dump()]).toEqual(dump);
    expect([other().store.deviceCount, other().store.moduleCount]).toEqual([
      stand.hub.store.deviceCount,
      stand.hub.store.moduleCount,
    ]);
    expect(other().store.seeCounts('now')).toEqual(stand.hub.store.seeCounts('now'));
  });

  it('carry what only time and writes bring about', async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm' }]);
    await put('/devices/d', { deviceId: 'd', status: 'disabled' }, '*');
    await put('/twins/d', { tags: { __proto__: null, a: 1 }, properties: { desired: { x: 1 } } });
    await put('/twins/d', { properties: { desired: { x: 2 } } });
    // Made an edge later: an empty suffix, and system modules that stand behind the other.
    await put('/devices/d', { deviceId: 'd', capabilities: { iotEdge: true }, deviceScope: '' }, '*');
    const dump = copy();
    expect(dump.map(({ moduleId }) => moduleId)).toEqual([undefined, 'm', '$edgeAgent', '$edgeHub']);
    expect(dump[0]).toMatchObject({
      deviceScope: 'ms-azure-iot-edge://d-',
      twinVersion: 3,
      desiredVersion: 3,
      twinEtag: 'AAAAAAAAAAM=',
    });
    expect(dump[0]?.statusUpdatedAt).toBeGreaterThan(0);
    expect(dump[0]?.twinUpdatedAt).toBeGreaterThan(0);
    other().load(dump);
    expect([...other().dump()]).toEqual(dump);
    const seen = async (path: string) => (await stand.client.ask('GET', path)).json;
    const before = [await seen('/devices/d'), await seen('/twins/d'), await seen('/devices/d/modules')];
    stand.hub.clear();
    stand.hub.load(dump);
    expect([await seen('/devices/d'), await seen('/twins/d'), await seen('/devices/d/modules')]).toEqual(
      before,
    );
  });

  it('keep an edge device without system modules as it is', () => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
    const [edge] = copy();
    other().load(edge === undefined ? [] : [edge]);
    expect(other().store.moduleCount).toBe(0);
  });

  it('leave etags and generation ids of the loaded records to them', async () => {
    stand.hub.load([{ deviceId: 'd' }, { deviceId: 'e' }]);
    const dump = copy();
    stand.hub.clear();
    // As if a hub with the same seed had made the records that come.
    const ahead = (etag = '') =>
      Buffer.from(String(Number(Buffer.from(etag, 'base64')) + 1)).toString('base64');
    const generation = (id = '') => String(BigInt(id) + 1n);
    const last = dump.at(-1);
    stand.hub.load([
      { deviceId: 'x', etag: ahead(last?.etag), generationId: generation(last?.generationId) },
    ]);
    const made = (await put('/devices/y', { deviceId: 'y' })).json;
    expect(made.etag).not.toBe(ahead(last?.etag));
    expect(made.generationId).not.toBe(generation(last?.generationId));
  });

  it('replace records with the same ids, and keep the others', () => {
    stand.hub.load([
      { deviceId: 'd', status: 'disabled' },
      { deviceId: 'keep', status: 'disabled' },
    ]);
    stand.hub.load([{ deviceId: 'd', tags: { new: true } }]);
    expect(copy()).toMatchObject([{ deviceId: 'd', status: 'enabled' }, { deviceId: 'keep' }]);
    expect(stand.hub.store.seeCounts('now')).toEqual({ devices: 2, disabled: 1 });
  });

  it('see nothing of what is written while they run', () => {
    stand.hub.load([{ deviceId: 'a' }, { deviceId: 'b' }]);
    const dump = stand.hub.dump()[Symbol.iterator]();
    expect(dump.next().value).toMatchObject({ deviceId: 'a' });
    stand.hub.load([{ deviceId: 'b', tags: { late: 1 } }, { deviceId: 'c' }]);
    expect(dump.next().value).toMatchObject({ deviceId: 'b', tags: {} });
    expect(dump.next().done).toBe(true);
  });

  it('start from nothing after a reset', () => {
    stand.hub.load(generateFleet({ devices: 100, seed: 2 }));
    stand.hub.set({ maxRecords: 1, queryGhosts: 1000 });
    stand.hub.reset();
    expect([...stand.hub.dump()]).toEqual([]);
    expect(stand.hub.store.seeCounts('query')).toEqual({ devices: 0, disabled: 0 });
    expect(stand.hub.settings).toEqual(defaultSettings);
  });
});
