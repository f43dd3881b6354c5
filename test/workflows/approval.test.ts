import { type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { PlanSample } from '../../registry/plan-sample.js';
import type { FleetRecord } from '../../simulator/index.js';
import { approve, type RunReport, runReport } from '../../workflows/messages.js';
import { startEdits } from '../support/edits.js';
import { keys } from '../support/keys.js';
import { essence, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(fleet);
  stand.hub('new').load(before);
});

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'leaf', parent: 'gw', authentication: { type: 'certificateAuthority' } },
  {
    deviceId: 'there',
    authentication: keys(4),
    status: 'disabled',
    statusReason: 'x',
    tags: { a: 1, same: true, deep: { b: `AccountKey=${Buffer.alloc(32, 7).toString('base64')}` } },
  },
  { deviceId: 'there', moduleId: 'm', authentication: keys(5) },
];
const before: FleetRecord[] = [
  { deviceId: 'there', authentication: keys(40), tags: { same: true, gone: [1] } },
  { deviceId: 'extra', authentication: keys(9), tags: { t: 1 } },
];
const options = { existing: 'overwrite', extra: 'delete', maxDelete: 5 } as const;

const held = () => essence(stand.hub('new').dump());

/** The report of a run that waits. */
async function parked(handle: WorkflowHandle): Promise<RunReport> {
  return await until('it is parked', async () => {
    const report = await handle.query(runReport);
    return report.outcome === 'parked' && report;
  });
}

/** Why an approval is not taken. */
async function refusal(handle: WorkflowHandle, hash: string): Promise<string | null | undefined> {
  const error: unknown = await handle
    .executeUpdate(approve, { args: [hash] })
    .catch((reason: unknown) => reason);
  const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
  return cause instanceof ApplicationFailure ? cause.type : 'taken';
}

test('a run with --approve writes nothing until its very plan is approved', async () => {
  const was = held();
  const handle = await stand.migrate({ ...options, approve: true });
  const { plan, run, ledger } = await parked(handle);
  expect(ledger).toMatchObject({ create: 3, update: 1, delete: 1, applied: 0 });
  expect(held()).toEqual(was);
  const stored = async (): Promise<RunReport> =>
    JSON.parse((await stand.storage.readText('hubferry', `runs/${run}.json`)) ?? '') as RunReport;
  await until('that is stored', async () => (await stored()).outcome === 'parked');
  expect(await stored()).toMatchObject({ plan });

  expect(await refusal(handle, '00000000')).toBe('PLAN_OTHER');
  expect(held()).toEqual(was);
  await handle.executeUpdate(approve, { args: [(plan ?? '').slice(0, 8)] });
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified', plan, ledger: { applied: 5 } });
  expect(held()).toEqual(essence(stand.hub('old').dump()));
  // Two of the target before the write: a plan that waited is made again.
  expect(report.jobs.filter(({ type }) => type === 'export').length).toBeGreaterThanOrEqual(4);

  const again = await stand.migrated({ ...options, approve: true });
  expect(again).toMatchObject({ outcome: 'verified', ledger: { create: 0, update: 0, delete: 0 } });
});

test('what the target has become while a run waited makes its plan stale', async () => {
  const handle = await stand.migrate({ ...options, approve: true });
  const { plan } = await parked(handle);
  stand.hub('new').load([
    { deviceId: 'there', authentication: keys(41) },
    { deviceId: 'more', authentication: keys(60) },
  ]);
  const was = held();
  await handle.executeUpdate(approve, { args: [plan ?? ''] });
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'failed', error: { code: 'PLAN_STALE' } });
  expect(held()).toEqual(was);
  expect(await refusal(await stand.migrate({ goal: 'plan' }), '00000000')).toBe('NOT_PARKED');
});

test('edits wait for approval, too', async () => {
  const was = held();
  const handle = await startEdits(stand, [{ id: 'extra', op: 'update', status: 'disabled' }], {
    approve: true,
  });
  const { plan } = await parked(handle);
  expect(held()).toEqual(was);
  await handle.executeUpdate(approve, { args: [plan ?? ''] });
  expect(await stand.reportOf(handle)).toMatchObject({ error: null, outcome: 'verified', plan });
  expect(held()).toMatchObject({ 'extra/': { status: 'disabled' } });
});

test('a plan is carried out from its own snapshot of the source, and only while it is the plan', async () => {
  const planned = await stand.migrated({ ...options, goal: 'plan' });
  expect(planned).toMatchObject({ error: null, outcome: 'planned' });
  stand.hub('old').load([{ deviceId: 'later', authentication: keys(70) }]);
  const plan = { hash: planned.plan ?? '', snapshot: planned.snapshots.source ?? '' };

  const other = await stand.migrated({ ...options, extra: 'keep', planned: plan });
  expect(other).toMatchObject({ outcome: 'failed', error: { code: 'PLAN_STALE' } });
  // Not that records differ: what is due is not what was seen.
  const cautious = await stand.migrated({ planned: plan });
  expect(cautious).toMatchObject({ outcome: 'failed', error: { code: 'PLAN_STALE' } });

  const report = await stand.migrated({ ...options, planned: plan });
  expect(report).toMatchObject({ error: null, outcome: 'verified', plan: planned.plan });
  expect(report.snapshots.source).toBe(plan.snapshot);
  expect(held()).not.toHaveProperty('later/');
  expect(await stand.migrated({ ...options, planned: plan })).toMatchObject({
    error: { code: 'PLAN_STALE' },
  });
});

test('a plan shows changes field by field, without keys, and says what it leaves to others', async () => {
  stand.hub('old').load([{ deviceId: 'gw', moduleId: '$edgeAgent', desired: { schemaVersion: '1.1' } }]);
  const configuration = { content: { deviceContent: { 'properties.desired.none': 1 } }, priority: 7 };
  stand.hub('old').configurations.put('made', { ...configuration, targetCondition: "tags.site='none'" });
  const { snapshots, kinds, found, warnings } = await stand.migrated({ ...options, goal: 'plan' });
  expect(kinds).toEqual({
    device: { create: 1, update: 1, delete: 1 },
    edge: { create: 1 },
    module: { create: 1 },
  });
  expect(found).toEqual({
    device: { missing: 1, different: 1, extra: 1 },
    edge: { missing: 1 },
    module: { missing: 1 },
  });
  const text = (await stand.storage.readText(snapshots.target ?? '', 'plan-samples.json')) ?? '';
  const samples = JSON.parse(text) as PlanSample[];
  const changes = Object.fromEntries(
    samples.map(({ change, kind, record, fields }) => [`${change} ${kind} ${record}`, fields]),
  );
  expect(changes).toMatchObject({
    'create edge gw': expect.arrayContaining([{ field: 'status', before: null, after: 'enabled' }]),
    'create device leaf': expect.arrayContaining([
      { field: 'authentication.type', before: null, after: 'certificateAuthority' },
      { field: 'parent', before: null, after: 'gw' },
    ]),
    'create module there/m': [{ field: 'authentication.type', before: null, after: 'sas' }],
    'update device there': [
      { field: 'status', before: 'enabled', after: 'disabled' },
      { field: 'statusReason', before: null, after: 'x' },
      { field: 'authentication.primaryKey', before: 'a key', after: 'another key' },
      { field: 'authentication.secondaryKey', before: 'a key', after: 'another key' },
      { field: 'tags.gone', before: '[1]', after: null },
      { field: 'tags.a', before: null, after: '1' },
      { field: 'tags.deep', before: null, after: '{"b":"AccountKey=***"}' },
    ],
    'create system modules gw': expect.arrayContaining([
      { field: '$edgeAgent', before: null, after: '{"schemaVersion":"1.1"}' },
    ]),
    'create configuration made': [
      { field: 'targetCondition', before: null, after: `"tags.site='none'"` },
      { field: 'priority', before: null, after: '7' },
      { field: 'content', before: null, after: '{"deviceContent":{"properties.desired.none":1}}' },
    ],
    'delete device extra': expect.arrayContaining([{ field: 'tags.t', before: '1', after: null }]),
  });
  expect(text).not.toMatch(/[A-Za-z0-9+/]{42}/);
  expect(warnings.map(({ code, count }) => [code, count])).toEqual([
    ['CONNECTION_STRINGS_CHANGE', 2],
    ['CERTIFICATE_AUTHORITIES', 1],
    ['REPORTED_LEFT_BEHIND', 3],
  ]);
});

test('an import of somebody else that runs on the target is told of', async () => {
  const job = stand.hub('new').occupySlot('import');
  const handle = await stand.migrate({ ...options, goal: 'plan' });
  await until('a refused create', () => (stand.hub('new').counts()['POST /jobs/create'] ?? 0) >= 1);
  stand.hub('new').releaseSlot();
  const { warnings } = await stand.reportOf(handle);
  const samples = [expect.stringContaining(`import job ${job} on new.localhost`)];
  expect(warnings).toContainEqual({ code: 'OTHER_WRITERS', count: 1, samples });
});
