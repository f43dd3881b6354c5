import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FleetRecord, generateFleet } from '../../simulator/index.js';
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
