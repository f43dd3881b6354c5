import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import { type RunReport, runReport } from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import { essence, openTestStand, rolledBack, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'below', iotEdge: true, parent: 'gw', authentication: keys(2) },
  { deviceId: 'leaf', parent: 'below', authentication: keys(3), tags: { b: 1.5, a: { z: 1, y: [true] } } },
  { deviceId: 'there', authentication: keys(4), status: 'disabled', statusReason: 'x', tags: { a: 1 } },
  { deviceId: 'there', moduleId: 'm', authentication: keys(5), desired: { a: 1 } },
  { deviceId: 'moved', parent: 'gw', authentication: keys(6) },
  { deviceId: 'plain', authentication: keys(7) },
  { deviceId: 'equal', authentication: keys(8) },
];
const before: FleetRecord[] = [
  { deviceId: 'there', authentication: keys(40), tags: { b: 2 } },
  { deviceId: 'there', moduleId: 'm', authentication: keys(5), desired: { a: 0, c: { d: 1 } } },
  { deviceId: 'moved', authentication: keys(6), desired: { q: 1 } },
  { deviceId: 'equal', authentication: keys(8) },
  { deviceId: 'gone', authentication: keys(9), tags: { t: 1 } },
  { deviceId: 'gone', moduleId: 'm', authentication: keys(10), desired: { u: 1 } },
];

async function migrated(): Promise<RunReport> {
  stand.hub('old').load(fleet);
  stand.hub('new').load(before);
  const report = await stand.migrated({ existing: 'overwrite', extra: 'delete', maxDelete: 5 });
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  return report;
}

const held = () => essence(stand.hub('new').dump());

test('a rollback leaves the hub as before the run, and is undone by another', async () => {
  const run = await migrated();
  const after = held();
  const report = await rolledBack(stand, run);
  expect(report).toMatchObject({
    error: null,
    outcome: 'verified',
    warnings: [],
    ledger: { source: 5, filtered: 0, desired: 5, create: 2, update: 3, delete: 4, applied: 9 },
    verify: { match: 5, extra: 0 },
  });
  stand.hub('old').reset();
  stand.hub('old').load(before);
  expect(held()).toEqual(essence(stand.hub('old').dump()));

  const again = await rolledBack(stand, report);
  expect(again).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(held()).toEqual(after);
});

test('what others have written since survives, and is named', async () => {
  const run = await migrated();
  const foreign: FleetRecord[] = [
    { deviceId: 'plain', moduleId: 'theirs', authentication: keys(50) },
    { deviceId: 'leaf', moduleId: 'theirs', authentication: keys(51) },
  ];
  stand.hub('new').load(foreign);
  stand
    .hub('new')
    .load([{ deviceId: 'moved', parent: 'gw', authentication: keys(6), statusReason: 'theirs' }]);
  const report = await rolledBack(stand, run);
  expect(report).toMatchObject({ error: null, outcome: 'differences' });
  expect(report.warnings).toEqual([
    {
      code: 'CHANGED_SINCE_RUN',
      count: 5,
      samples: expect.arrayContaining(['moved', 'plain', 'leaf', 'below', 'gw']),
    },
  ]);
  const names = 'below/ equal/ gone/ gone/m gw/ leaf/ leaf/theirs moved/ plain/ plain/theirs there/ there/m';
  expect(Object.keys(held()).toSorted()).toEqual(names.split(' '));
  expect(held()).toMatchObject({ 'moved/': { statusReason: 'theirs' } });
});

test('system modules go with their device; those of one that stays are named', async () => {
  const manifest = { moduleId: '$edgeAgent', desired: { schemaVersion: '1.1' } };
  stand.hub('old').load([
    { deviceId: 'new', iotEdge: true, authentication: keys(1) },
    { deviceId: 'new', ...manifest },
    { deviceId: 'there', iotEdge: true, authentication: keys(2) },
    { deviceId: 'there', ...manifest },
  ]);
  stand.hub('new').load([{ deviceId: 'there', iotEdge: true, authentication: keys(2) }]);
  const run = await stand.migrated({ existing: 'overwrite' });
  expect(run).toMatchObject({ error: null, outcome: 'verified' });
  const report = await rolledBack(stand, run);
  expect(report).toMatchObject({ error: null, outcome: 'differences' });
  expect(report.warnings).toEqual([{ code: 'NOT_UNDONE', count: 1, samples: ['system modules of there'] }]);
  expect(Object.keys(held())).toEqual(['there/']);
});

test('configurations are made as they were, too, and another rollback brings them back', async () => {
  const configuration = (value: number, more = {}) => ({
    content: { deviceContent: { 'properties.desired.none': { value } } },
    targetCondition: "tags.site='none'",
    priority: 1,
    ...more,
  });
  const configurations = () =>
    Object.fromEntries(
      stand
        .hub('new')
        .configurations.list()
        .map(({ id, content, priority, labels }) => [id as string, { content, priority, labels }]),
    );
  const put = (name: 'old' | 'new', id: string, ...args: Parameters<typeof configuration>): void =>
    void stand.hub(name).configurations.put(id, configuration(...args));
  for (const id of ['made', 'content', 'priority', 'theirs', 'gone-since'])
    put('old', id, 1, { priority: 5 });
  put('new', 'content', 2);
  put('new', 'priority', 1);
  put('new', 'extra', 3);
  const was = configurations();
  const run = await stand.migrated({ existing: 'overwrite' });
  expect(run).toMatchObject({ error: null, outcome: 'verified' });
  stand.hub('new').configurations.put('theirs', configuration(1, { priority: 6 }), '*');
  stand.hub('new').configurations.remove('gone-since');
  const after = configurations();

  const report = await rolledBack(stand, run);
  expect(report).toMatchObject({
    error: null,
    outcome: 'differences',
    ledger: { configurations: { source: 3, filtered: 1, update: 2, delete: 1, applied: 3 } },
    warnings: [{ code: 'CHANGED_SINCE_RUN', count: 1, samples: ['configuration theirs'] }],
  });
  expect(configurations()).toEqual({ ...was, theirs: after['theirs'] });
  const file = await stand.storage.readText('hubferry', `reports/${report.run}.differences.ndjson`);
  expect(file).toBe('{"record":"configuration theirs","difference":"changed since the run"}\n');

  const again = await rolledBack(stand, report);
  expect(again).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(configurations()).toEqual(after);
});

test('a run that was terminated in the middle is undone by what its report says', async () => {
  stand.hub('old').load(fleet);
  stand.hub('new').load(before);
  const was = held();
  const imports = () =>
    stand
      .hub('new')
      .jobs.list()
      .filter(({ type }) => type === 'import').length;
  const earlier = imports();
  stand.hub('new').set({ startDelay: 500 });
  const handle = await stand.migrate({ existing: 'overwrite', extra: 'delete', maxDelete: 5 });
  await until('an import', () => imports() > earlier);
  const { run } = await handle.query(runReport);
  await handle.terminate();
  stand.hub('new').set({ startDelay: 0 });
  const text = await stand.storage.readText('hubferry', `runs/${run}.json`);
  const report = JSON.parse(text ?? '') as RunReport;
  expect(report).toMatchObject({ outcome: 'running', plan: expect.stringMatching(/^[\da-f]{64}$/) });
  const undone = await rolledBack(stand, report);
  expect(undone).toMatchObject({
    error: null,
    outcome: 'verified',
    warnings: [{ code: 'OWNER_TAKEN_OVER' }],
  });
  expect(held()).toEqual(was);
});

test('where nobody knows what a run did, nothing is undone', async () => {
  const run = await migrated();
  const report = await rolledBack(stand, { ...run, run: '20200101-000000-nobody' });
  expect(report).toMatchObject({ outcome: 'failed', error: { code: 'PLAN_NOT_KEPT' } });
  expect(report.jobs.filter(({ type }) => type === 'import')).toEqual([]);
});
