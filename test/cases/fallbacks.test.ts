import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { FleetRecord, HubSettings, SimulatedHub } from '../../simulator/index.js';
import { keys } from '../support/keys.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true },
  { deviceId: 'leaf', parent: 'gw', tags: { where: 'hall' } },
  { deviceId: 'leaf', moduleId: 'm1', tags: { a: 1 }, desired: { text: 'ü\u2028', n: 1.5 } },
  { deviceId: 'leaf', moduleId: 'm2', authentication: { type: 'certificateAuthority' } },
  { deviceId: 'alone', moduleId: undefined, status: 'disabled', statusReason: 'spare' },
  { deviceId: 'alone', moduleId: 'm3', desired: { x: { y: [1, 2] } } },
].map(({ moduleId, ...record }) => ({
  ...record,
  ...(moduleId === undefined ? {} : { moduleId }),
})) as FleetRecord[];

async function arrives(settings: Partial<HubSettings>): Promise<Record<string, number>> {
  hub('new').set(settings);
  hub('old').load(fleet);
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
  expect(report.ledger).toMatchObject({ create: fleet.length, applied: fleet.length });
  expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
  const writes = writesOf(hub('new'));
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified', ledger: { create: 0, update: 0 } });
  return writes;
}

describe('what an import does not take goes by REST', () => {
  it.each<[string, Partial<HubSettings>]>([
    ['', {}],
    [', and its log does not name them', { errorLogModuleId: false }],
  ])('modules that are refused as a class%s', async (_how, settings) => {
    // Modules of disabled devices can be created by REST only where the hub allows it (facts §1.5).
    const writes = await arrives({ importModules: 'refuse', sasModuleQuirk: false, ...settings });
    expect(writes).toEqual({ 'PUT /devices/{id}/modules/{mid}': 3, 'PUT /twins/{id}/modules/{mid}': 2 });
  });

  it('updates of modules that are refused as a class', async () => {
    const module = (moduleId: string, key: number, tag: number, managedBy?: string): FleetRecord => ({
      deviceId: 'd',
      moduleId,
      authentication: keys(key),
      tags: { tag },
      ...(managedBy === undefined ? {} : { managedBy }),
    });
    const device: FleetRecord = { deviceId: 'd', authentication: keys(0) };
    hub('old').load([device, module('identity', 1, 1), module('both', 1, 1), module('twin', 1, 1)]);
    hub('new').load([device, module('identity', 2, 1, 'us'), module('both', 2, 2), module('twin', 1, 2)]);
    hub('new').set({ importModules: 'refuse' });
    const report = await stand.migrated({ existing: 'overwrite' });
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(report.ledger).toMatchObject({ update: 3, applied: 3 });
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
    expect(hub('new').record('d', 'identity')).toMatchObject({ managedBy: 'us' });
    expect(writesOf(hub('new'))).toEqual({
      'PUT /devices/{id}/modules/{mid}': 2,
      'PUT /twins/{id}/modules/{mid}': 2,
    });
  });

  it('leaves whose parent is ignored', async () => {
    expect(await arrives({ importLeafScope: 'ignore' })).toEqual({ 'PUT /devices/{id}': 1 });
  });

  it('a module whose reply is lost is not doubled, and gets its twin', async () => {
    hub('new').addFault({ kind: 'loseReply', route: 'PUT /devices/{id}/modules/{mid}' });
    const writes = await arrives({ importModules: 'refuse', sasModuleQuirk: false });
    expect(writes['PUT /devices/{id}/modules/{mid}']).toBe(4);
  });

  it('a module that REST refuses, too, is rejected with its reason', async () => {
    hub('new').set({ importModules: 'refuse' });
    hub('old').load(fleet);
    const report = await stand.migrated();
    expect(report).toMatchObject({ outcome: 'differences', ledger: { applied: 5, rejected: 1 } });
    expect(report.rejected).toEqual([expect.objectContaining({ record: 'alone/m3', code: '401002' })]);
  });
});

describe('where an import says that the hub is full', () => {
  const family: FleetRecord[] = [
    { deviceId: 'gw', iotEdge: true, tags: { where: 'hall' } },
    { deviceId: 'gw-below', iotEdge: true, parent: 'gw' },
    { deviceId: 'leaf', parent: 'gw-below', desired: { text: 'ü', n: 1.5 } },
    { deviceId: 'leaf', moduleId: 'm', tags: { a: 1 } },
    { deviceId: 'plain' },
  ];
  const puts = (): Record<string, number> =>
    Object.fromEntries(Object.entries(hub('new').counts()).filter(([route]) => route.startsWith('PUT ')));

  it('what it did not take arrives by single calls, parents first', async () => {
    hub('new').set({ maxRecords: 20, importQuotaMargin: 20 });
    hub('old').load(family);
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(report.ledger).toMatchObject({ create: 5, applied: 5, rejected: 0 });
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
    expect(puts()).toEqual({
      'PUT /devices/{id}': 4,
      'PUT /devices/{id}/modules/{mid}': 1,
      'PUT /twins/{id}': 2,
      'PUT /twins/{id}/modules/{mid}': 1,
    });
  });

  it('a device whose reply is lost is not doubled, and gets its twin; one that is not visible yet is waited for', async () => {
    hub('new').set({ maxRecords: 20, importQuotaMargin: 20 });
    hub('old').load(family);
    hub('new').addFault({ kind: 'loseReply', route: 'PUT /devices/{id}' });
    for (const route of ['PUT /devices/{id}/modules/{mid}', 'PUT /twins/{id}'])
      hub('new').addFault({ kind: 'status', code: 'DeviceNotFound', route });
    expect(await stand.migrated()).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
  });

  it('and it is, all others are rejected after one call for each wave', async () => {
    hub('new').set({ maxRecords: 3 });
    hub('old').load(Array.from({ length: 40 }, (_, n) => ({ deviceId: `d${n}`, tags: { n } })));
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'differences' });
    expect(report.ledger).toMatchObject({ create: 40, applied: 3, rejected: 37, uncertain: 0 });
    expect(report.rejected[0]).toMatchObject({ code: '403002', reason: 'the hub is full, or thinks so' });
    // As many as are under way at a time.
    expect(puts()['PUT /devices/{id}']).toBeLessThanOrEqual(4);
  });
});

it('twins that an import merged are replaced, guarded by their ETag', async () => {
  hub('new').set({ importTwinPart: 'merge' });
  hub('old').load([
    { deviceId: 'a', authentication: keys(1), tags: { a: { b: 1 } }, desired: { new: 1 } },
    { deviceId: 'b', authentication: keys(2), tags: { same: 1 }, desired: {} },
  ]);
  hub('new').load([
    { deviceId: 'a', authentication: keys(1), tags: { a: { b: 2, c: 3 }, d: 4 }, desired: { old: 1 } },
    { deviceId: 'b', authentication: keys(2), tags: { same: 2 }, desired: {} },
  ]);
  const report = await stand.migrated({ existing: 'overwrite' });
  expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { update: 2, applied: 2 } });
  expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
  expect(writesOf(hub('new'))).toEqual({ 'PUT /twins/{id}': 1 });
});

it('more merged twins than a run may put right one by one are told of, and the same command goes on', async () => {
  hub('new').set({ importTwinPart: 'merge' });
  const ids = ['a', 'b', 'c'];
  hub('old').load(ids.map((deviceId, n) => ({ deviceId, authentication: keys(n), tags: { new: 1 } })));
  hub('new').load(ids.map((deviceId, n) => ({ deviceId, authentication: keys(n), tags: { old: 1 } })));
  const some = { existing: 'overwrite', settings: { ...FAST, maxTwinCalls: 2 } } as const;
  const report = await stand.migrated(some);
  expect(report).toMatchObject({ outcome: 'differences', verify: { different: 1 } });
  expect(report.warnings).toContainEqual({ code: 'TWINS_MERGED', count: 1, samples: [] });
  expect(writesOf(hub('new'))).toEqual({ 'PUT /twins/{id}': 2 });
  expect(await stand.migrated(some)).toMatchObject({ outcome: 'verified' });
});

it('an update of a module does not cost it who manages it', async () => {
  hub('old').load([
    { deviceId: 'd' },
    { deviceId: 'd', moduleId: 'm', authentication: keys(1) },
    { deviceId: 'd', moduleId: 'free', authentication: keys(2) },
  ]);
  const [device] = [...hub('old').dump()];
  if (!device) throw new Error('no device');
  hub('new').load([
    device,
    { deviceId: 'd', moduleId: 'm', authentication: keys(10), managedBy: 'somebody' },
    { deviceId: 'd', moduleId: 'free', authentication: keys(20) },
  ]);
  const report = await stand.migrated({ existing: 'overwrite' });
  expect(report).toMatchObject({ outcome: 'verified', ledger: { update: 2, applied: 2 }, warnings: [] });
  expect(hub('new').record('d', 'm')).toMatchObject({ authentication: keys(1), managedBy: 'somebody' });
  expect(hub('new').record('d', 'free')?.managedBy).toBeUndefined();
  expect(writesOf(hub('new'))).toEqual({ 'PUT /devices/{id}/modules/{mid}': 1 });
});
