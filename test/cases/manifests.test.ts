import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { FleetRecord, FullRecord, SimulatedHub } from '../../simulator/index.js';
import { FAST, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);
const APPLY = 'POST /devices/{id}/applyConfigurationContent';
const TAGS = 'PATCH /twins/{id}/modules/{mid}';

/** A module that no import carries. */
const system = (deviceId: string, moduleId: string, more: Partial<FleetRecord> = {}): FleetRecord => ({
  deviceId,
  moduleId,
  authentication: { type: 'none' },
  managedBy: 'iotEdge',
  ...more,
});
const agent = (deviceId: string, text: string): FleetRecord => {
  // A hub makes the modules that an agent is told to run.
  const modules = deviceId === 'gw' ? { pump: {}, valve: {} } : {};
  return system(deviceId, '$edgeAgent', { desired: { schemaVersion: '1.1', text, modules } });
};

/** Three levels; the deepest edge device has no manifest. */
const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true },
  agent('gw', 'Zürich \u2028 "東京" 🚀'),
  system('gw', '$edgeHub', { desired: { routes: { größe: 'FROM /* INTO $upstream' }, __proto__x: 1e21 } }),
  system('gw', 'pump', {
    tags: { where: 'Lüfter' },
    desired: { numbers: [0, -0.001, 1e21, 1.5e-7, 4503599627370495, 1e3], empty: {}, list: [{}, []] },
  }),
  system('gw', 'valve'),
  { deviceId: 'gw', moduleId: 'own', desired: { a: 1 } },
  { deviceId: 'below', iotEdge: true, parent: 'gw' },
  agent('below', 'two'),
  { deviceId: 'leaf', parent: 'below' },
  { deviceId: 'deep', iotEdge: true, parent: 'below' },
];
/** Without the two modules of `deep`, and the hub's own $edgeHub of `below`. */
const DESIRED = 6;

/** Content of the system modules of a hub. */
function manifests(name: 'old' | 'new'): Record<string, unknown> {
  const modules = [...hub(name).dump()].filter(({ authentication }) => authentication.type === 'none');
  return Object.fromEntries(
    modules.map(({ deviceId, moduleId, tags, desired }: FullRecord) => [
      `${deviceId}/${moduleId ?? ''}`,
      { tags, desired },
    ]),
  );
}

/** Puts another state of some modules on the target, after a whole migration. */
async function migratedBefore(changed: readonly FleetRecord[] = []): Promise<void> {
  hub('old').load(fleet);
  expect(await stand.migrated()).toMatchObject({ error: null, outcome: 'verified' });
  hub('new').load(changed.map((record) => ({ twinVersion: 7, ...record })));
  hub('new').resetCounters();
}

describe('system modules arrive', () => {
  it('with nested edge devices on an empty hub, and a second time nothing is written', async () => {
    hub('old').load(fleet);
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [], warnings: [] });
    expect(report.ledger).toMatchObject({
      source: 13,
      system: 8,
      desired: 5,
      systemModules: { source: 8, system: 2, desired: DESIRED, create: DESIRED, applied: DESIRED, unsent: 0 },
    });
    expect(manifests('new')).toEqual(manifests('old'));
    expect(writesOf(hub('new'))).toEqual({ [APPLY]: 2, [TAGS]: 1 });

    hub('new').resetCounters();
    const again = await stand.migrated();
    expect(again).toMatchObject({
      outcome: 'verified',
      ledger: { systemModules: { desired: DESIRED, unchanged: DESIRED, create: 0, update: 0 } },
    });
    expect(again.jobs.filter(({ type }) => type === 'import')).toEqual([]);
    expect(writesOf(hub('new'))).toEqual({});
  });
});

/** What a target may hold instead: another agent, another module with other tags, and one that the source lacks. */
const other: FleetRecord[] = [
  agent('gw', 'older'),
  system('gw', 'pump', { tags: { where: 'cellar', more: 1 }, desired: { numbers: [] } }),
  system('gw', 'extra', { desired: { left: 'alone' } }),
];

describe('where the target has other manifests', () => {
  it('--existing fail writes nothing and names them', async () => {
    await migratedBefore(other);
    const before = manifests('new');
    const report = await stand.migrated();
    expect(report.error).toMatchObject({ code: 'TARGET_DIFFERS' });
    expect(report.warnings).toContainEqual({
      code: 'TARGET_DIFFERS',
      count: 2,
      samples: ['gw/$edgeAgent', 'gw/pump'],
    });
    expect(manifests('new')).toEqual(before);
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('--existing skip keeps each as a whole, and restores the others', async () => {
    await migratedBefore([...other, system('below', '$edgeAgent')]);
    const before = manifests('new');
    const report = await stand.migrated({ existing: 'skip' });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(report.ledger.systemModules).toMatchObject({ unchanged: 3, kept: 2, create: 1, applied: 1 });
    expect(writesOf(hub('new'))).toEqual({ [APPLY]: 1 });
    expect(manifests('new')).toEqual({
      ...before,
      'below/$edgeAgent': manifests('old')['below/$edgeAgent'],
    });
  });

  it('--existing overwrite makes them equal and leaves modules alone that only the target has', async () => {
    await migratedBefore(other);
    const report = await stand.migrated({ existing: 'overwrite' });
    expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
    expect(report.ledger.systemModules).toMatchObject({ unchanged: 4, update: 2, applied: 2 });
    expect(report.jobs.filter(({ type }) => type === 'import')).toEqual([]);
    expect(manifests('new')).toEqual({
      ...manifests('old'),
      'gw/extra': { tags: {}, desired: { left: 'alone' } },
    });
    const writes = { [APPLY]: 1, 'PUT /twins/{id}/modules/{mid}': 1 };
    expect(writesOf(hub('new'))).toEqual(writes);
    // At most 3 + managed modules for an edge device.
    expect(hub('new').counts()['GET /twins/{id}/modules/{mid}']).toBe(3);

    expect(await stand.migrated({ existing: 'overwrite' })).toMatchObject({ outcome: 'verified' });
    expect(writesOf(hub('new'))).toEqual(writes);
  });

  it('what somebody else writes between the plan and the call survives, and is named', async () => {
    await migratedBefore(other);
    hub('old').load([{ deviceId: 'late' }]);
    hub('new').set({ startDelay: 1500 });
    const handle = await stand.migrate({ existing: 'overwrite' });
    await until('an import that waits', () =>
      hub('new')
        .jobs.list()
        .some(({ type, status }) => type === 'import' && status === 'enqueued'),
    );
    hub('new').load([{ ...agent('gw', 'of somebody else'), twinVersion: 9 }]);
    hub('new').set({ startDelay: 0 });
    const report = await stand.reportOf(handle);
    expect(report).toMatchObject({ error: null, outcome: 'differences' });
    expect(report.warnings).toContainEqual(
      expect.objectContaining({ code: 'CHANGED_BY_OTHERS', samples: ['gw/$edgeAgent'] }),
    );
    expect(report.ledger.systemModules).toMatchObject({ update: 2, applied: 0, rejected: 2 });
    expect(hub('new').record('gw', '$edgeAgent')?.desired).toMatchObject({ text: 'of somebody else' });
    expect(writesOf(hub('new'))[APPLY]).toBeUndefined();
  });
});

it('what a dead run left half done is finished under --existing fail', async () => {
  await migratedBefore([
    system('gw', 'pump', { desired: fleet[3]?.desired ?? {} }),
    system('below', '$edgeAgent'),
  ]);
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(report.ledger.systemModules).toMatchObject({ unchanged: 4, create: 2, applied: 2 });
  expect(manifests('new')).toEqual(manifests('old'));
});

describe('a plan', () => {
  it('holds manifests, and writes nothing', async () => {
    await migratedBefore();
    const nothing = await stand.migrated({ goal: 'plan' });
    hub('new').load([system('below', '$edgeAgent')]);
    const one = await stand.migrated({ goal: 'plan' });
    hub('old').load([agent('below', 'three')]);
    const another = await stand.migrated({ goal: 'plan' });
    expect(one.ledger.systemModules).toMatchObject({ create: 1, applied: 0, unsent: 1 });
    expect(new Set([nothing.plan, one.plan, another.plan]).size).toBe(3);
    expect((await stand.migrated({ goal: 'plan' })).plan).toBe(another.plan);
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('is no match for verify while manifests differ', async () => {
    await migratedBefore(other);
    const report = await stand.migrated({ goal: 'verify' });
    expect(report).toMatchObject({ outcome: 'differences', verify: { different: 0, missing: 0 } });
    expect(report.warnings).toContainEqual({
      code: 'SYSTEM_MODULES_DIFFERENT',
      count: 2,
      samples: ['gw/$edgeAgent', 'gw/pump'],
    });
  });
});

describe('the calls', () => {
  it('are made again where the hub throttles, and where a reply is lost', async () => {
    hub('old').load(fleet);
    hub('new').addFault({ kind: 'status', status: 429, route: APPLY, times: 2 });
    hub('new').addFault({ kind: 'loseReply', route: APPLY, skip: 1 });
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
    expect(manifests('new')).toEqual(manifests('old'));
  });

  it('wait until new edge devices are visible', async () => {
    hub('old').load(fleet);
    hub('new').set({ visibilityLag: 700 });
    const report = await stand.migrated({ settings: { ...FAST, visible: 5_000 } });
    expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
    expect(manifests('new')).toEqual(manifests('old'));
  });

  it('that a hub refuses for a disabled device are told, and it is never enabled for them', async () => {
    hub('old').load([{ deviceId: 'off', iotEdge: true, status: 'disabled' }, agent('off', 'x'), ...fleet]);
    hub('new').addFault({ kind: 'status', status: 401, route: APPLY, times: 1 });
    const report = await stand.migrated({ settings: { ...FAST, chunkLines: 1 } });
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(report.warnings).toEqual([{ code: 'MANIFEST_NOT_RESTORED', count: 1, samples: ['off'] }]);
    expect(report.ledger.systemModules).toMatchObject({ create: 8, applied: 7, unsent: 1 });
    expect(hub('new').record('off')).toMatchObject({ status: 'disabled' });
  });

  it('that a hub refuses for good are rejected with a reason, and the others go on', async () => {
    hub('old').load(fleet);
    const code = 'InvalidConfigurationContent';
    hub('new').addFault({ kind: 'status', code, route: APPLY, times: 1 });
    const report = await stand.migrated();
    expect(report).toMatchObject({
      error: null,
      outcome: 'differences',
      verify: { missing: 0, different: 0 },
    });
    expect(report.rejected[0]).toMatchObject({
      code: '400402',
      reason: 'the hub does not accept the content',
    });
    expect(report.ledger.systemModules.rejected).toBeGreaterThan(0);
    expect(writesOf(hub('new'))[APPLY]).toBe(2);
  });
});

it('what cannot be carried is refused, or told', async () => {
  hub('old').load([
    { deviceId: 'wrong', iotEdge: true, statusReason: 'x'.repeat(129) },
    agent('wrong', 'of a device that is refused'),
    { deviceId: 'was-edge' },
    system('was-edge', 'm', { desired: { a: 1 } }),
    { deviceId: 'tagged', iotEdge: true },
    system('tagged', '$edgeHub', { tags: { a: 1 } }),
  ]);
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'differences' });
  expect(report.ledger.systemModules).toMatchObject({ source: 5, system: 2, refused: 3, desired: 0 });
  expect(report.rejected.map(({ record, code }) => [record, code])).toEqual([
    ['wrong', 'STATUS_REASON_TOO_LONG'],
    expect.arrayContaining(['DEVICE_REFUSED']) as unknown,
    expect.arrayContaining(['DEVICE_REFUSED']) as unknown,
    ['was-edge/m', 'DEVICE_NOT_EDGE'],
  ]);
  expect(report.warnings).toEqual([{ code: 'SYSTEM_MODULE_TAGS', count: 1, samples: ['tagged/$edgeHub'] }]);
});

it('what a deployment of the target writes is its own, and no difference', async () => {
  await migratedBefore();
  const modules = { pump: {}, valve: {} };
  hub('new').configurations.put('base', {
    content: {
      modulesContent: {
        $edgeAgent: { 'properties.desired': { schemaVersion: '1.1', modules } },
        $edgeHub: { 'properties.desired': { routes: {} } },
      },
    },
    targetCondition: "deviceId='gw'",
    priority: 1,
  });
  expect(hub('new').record('gw', '$edgeHub')?.desired).toEqual({ routes: {} });
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  expect(report.warnings).toContainEqual({
    code: 'MANAGED_BY_CONFIGURATION',
    count: 2,
    samples: ['gw/$edgeAgent, by base', 'gw/$edgeHub, by base'],
  });
  expect(report.ledger.systemModules).toMatchObject({ unchanged: 6, create: 0, update: 0 });
});

it('more of them than one activity sends all arrive, each by one call', async () => {
  const many = Array.from({ length: 230 }, (_, n) => [
    { deviceId: `edge-${n}`, iotEdge: true },
    agent(`edge-${n}`, `${n}`),
  ]).flat();
  hub('old').load(many);
  const report = await stand.migrated({ settings: { ...FAST, partitionBytes: 10_000_000 } });
  expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(report.ledger.systemModules).toMatchObject({ desired: 460, create: 460, applied: 460 });
  expect(manifests('new')).toEqual(manifests('old'));
  expect(writesOf(hub('new'))).toEqual({ [APPLY]: 230 });
});
