import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import { cancel, type DrillInput, type RunReport, writerIdOf } from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import {
  essence,
  FAST,
  openTestStand,
  sharedServices,
  type TestStand,
  testRun,
  writesOf,
} from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(
    sharedServices(inject),
    [{ name: 'old' }, { name: 'scratch' }, { name: 'other' }],
    {
      scratch: ', role: scratch',
    },
  );
});
afterAll(() => stand.close());
beforeEach(() => {
  for (const name of ['old', 'scratch']) stand.hub(name).reset();
  stand.hub('old').load(fleet);
  const configuration = { content: { deviceContent: { 'properties.desired.c': 1 } }, priority: 7 };
  stand.hub('old').configurations.put('made', { ...configuration, targetCondition: "tags.ring='1'" });
});

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(2), tags: { ring: '1' } },
  { deviceId: 'plain', authentication: keys(3) },
  { deviceId: 'plain', moduleId: 'm', authentication: keys(4), desired: { a: 1 } },
  { deviceId: 'gw', moduleId: '$edgeAgent', desired: { schemaVersion: '1.1' } },
];

const host = (name: string): string => stand.config.hubs.get(name)?.host ?? '';

async function start(options: Partial<DrillInput> = {}) {
  const input: DrillInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host: host('old') },
    target: { host: host('scratch') },
    objectives: { rto: 600, rpo: 600 },
    ...options,
  };
  const workflowId = writerIdOf(input.target.host);
  return stand.client.workflow.start('drill', { workflowId, taskQueue: stand.taskQueue, args: [input] });
}
const drilled = async (options: Partial<DrillInput> = {}): Promise<RunReport> =>
  stand.reportOf(await start(options));

const scratch = () => ({
  records: Object.keys(essence(stand.hub('scratch').dump())),
  configurations: stand.hub('scratch').configurations.list().length,
});
const EMPTY = { records: [], configurations: 0 };

test('a drill restores, proves, measures, and leaves the scratch hub empty and the source unwritten', async () => {
  const report = await drilled();
  expect(report).toMatchObject({
    error: null,
    outcome: 'verified',
    cleaned: true,
    ledger: { create: 4, applied: 4, configurations: { create: 1, applied: 1 } },
    verify: { match: 4, extra: 0 },
    drill: {
      rpo: expect.any(Number),
      objectives: { rto: 600, rpo: 600 },
      stages: { apply: expect.any(Number) },
    },
    snapshots: { target: null },
  });
  expect(scratch()).toEqual(EMPTY);
  expect(writesOf(stand.hub('old'))).toEqual({});

  const again = await drilled({
    source: { kind: 'latest', host: host('old') },
    objectives: { rto: 0.001, rpo: 600 },
  });
  expect(again).toMatchObject({ error: null, outcome: 'differences', cleaned: true, verify: { match: 4 } });
  expect(again.snapshots.source).toBe(report.snapshots.source);
  expect(again.drill?.rpo).toBeGreaterThan(0);

  const rules = [{ when: 'kind != "module" && !(id == "plain")', then: { exclude: true } as const }];
  const canary = await drilled({ rules, orphans: 'detach' });
  expect(canary).toMatchObject({ outcome: 'verified', verify: { compared: 2, match: 2 } });
  expect(scratch()).toEqual(EMPTY);
});

test('a damaged snapshot fails before any write', async () => {
  const { snapshots } = await drilled();
  const id = snapshots.source ?? '';
  const text = (await stand.storage.readText(id, 'devices.txt')) ?? '';
  await stand.storage.writeText(id, 'devices.txt', text.slice(0, -40));
  const before = writesOf(stand.hub('scratch'));
  const report = await drilled({ source: { kind: 'snapshot', id } });
  expect(report).toMatchObject({ outcome: 'failed', error: { code: 'SNAPSHOT_CUT' } });
  expect(report).not.toHaveProperty('cleaned');
  expect(writesOf(stand.hub('scratch'))).toEqual(before);
});

test('a drill that is cancelled in the middle cleans up; what a terminated one left goes before the next', async () => {
  const held = stand.hold('readErrorLog');
  const first = await start({ settings: { ...FAST, chunkLines: 1 } });
  await held.reached;
  await first.executeUpdate(cancel, { args: [{ now: true }] });
  expect(await stand.reportOf(first)).toMatchObject({ outcome: 'cancelled', cleaned: true });
  expect(scratch()).toEqual(EMPTY);

  const settling = stand.hold('verifyConfigurations');
  const second = await start();
  await settling.reached;
  await second.terminate('a test');
  settling.release();
  expect(scratch().records).toHaveLength(4);
  // A configuration has written to it meanwhile.
  stand.hub('scratch').load([{ deviceId: 'leaf', parent: 'gw', authentication: keys(99) }]);
  expect(await drilled()).toMatchObject({
    error: null,
    outcome: 'verified',
    cleaned: true,
    verify: { match: 4 },
  });
  expect(scratch()).toEqual(EMPTY);
});

test('only a scratch hub that is nothing else, and holds nothing else, is filled', async () => {
  expect(await drilled({ target: { host: host('other') } })).toMatchObject({
    error: { code: 'HUB_NOT_SCRATCH' },
  });
  stand.hub('scratch').load([{ deviceId: 'stranger' }]);
  expect(await drilled()).toMatchObject({ error: { code: 'SCRATCH_NOT_EMPTY' } });
  expect(scratch().records).toEqual(['stranger/']);
  stand.hub('scratch').reset();
  await stand.migrated({ target: { host: host('scratch') } });
  expect(await drilled()).toMatchObject({ error: { code: 'HUB_NOT_SCRATCH' } });
});
