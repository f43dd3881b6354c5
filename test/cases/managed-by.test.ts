import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import { openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);
const LIST = 'GET /devices/{id}/modules';
const PUT = 'PUT /devices/{id}/modules/{mid}';

const fleet: FleetRecord[] = [
  { deviceId: 'a' },
  { deviceId: 'a', moduleId: 'm', managedBy: 'backend', desired: { x: 1 } },
  { deviceId: 'a', moduleId: 'free' },
  { deviceId: 'b' },
  { deviceId: 'b', moduleId: 'm', managedBy: 'größe "1"' },
  { deviceId: 'off', status: 'disabled' },
  { deviceId: 'off', moduleId: 'm', managedBy: 'backend' },
  { deviceId: 'plain' },
];

/** Who manages the modules of a hub. */
const managers = (name: 'old' | 'new'): Record<string, string | undefined> =>
  Object.fromEntries(
    [...hub(name).dump()].flatMap(({ deviceId, moduleId, managedBy }) =>
      moduleId === undefined ? [] : [[`${deviceId}/${moduleId}`, managedBy]],
    ),
  );

it('without --managed-by nobody is asked', async () => {
  hub('old').load(fleet);
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified', warnings: [] });
  expect(hub('old').counts()[LIST]).toBeUndefined();
  expect(Object.values(managers('new')).every((name) => name === undefined)).toBe(true);
});

it('with it, both hubs are asked once for each device with modules, and a second time nothing is written', async () => {
  hub('old').load(fleet);
  hub('new').addFault({ kind: 'loseReply', route: PUT });
  const report = await stand.migrated({ managedBy: true });
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  expect(report.warnings).toEqual([{ code: 'MANAGED_BY_UNREADABLE', count: 1, samples: ['off/m'] }]);
  expect(managers('new')).toEqual({ ...managers('old'), 'off/m': undefined });
  expect(hub('new').record('a', 'm')).toMatchObject({
    authentication: hub('old').record('a', 'm')?.authentication,
    desired: { x: 1 },
  });
  expect([hub('old').counts()[LIST], hub('new').counts()[LIST]]).toEqual([3, 2]);
  expect(writesOf(hub('old'))).toEqual({});
  const { host } = { host: hub('new').hostName };
  expect(report.hubCalls[host]?.other).toBeGreaterThan(0);

  hub('new').resetCounters();
  const again = await stand.migrated({ managedBy: true });
  expect(again).toMatchObject({ outcome: 'verified' });
  expect(writesOf(hub('new'))).toEqual({});
});

it('what is managed on the target stays, but under --existing overwrite', async () => {
  hub('old').load(fleet);
  await stand.migrated();
  const module = hub('new').record('a', 'm');
  if (module === undefined) throw new Error('no module');
  hub('new').load([{ ...module, managedBy: 'somebody' }]);
  const kept = await stand.migrated({ managedBy: true });
  expect(kept.warnings).toContainEqual({ code: 'MANAGED_BY_KEPT', count: 1, samples: ['a/m'] });
  expect(managers('new')).toMatchObject({ 'a/m': 'somebody', 'b/m': 'größe "1"' });
  await stand.migrated({ managedBy: true, existing: 'overwrite' });
  expect(managers('new')).toEqual({ ...managers('old'), 'off/m': undefined });
});
