import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it, vi } from 'vitest';
import type { Edit } from '../../registry/edit.js';
import type { SimulatedHub } from '../../simulator/index.js';
import {
  cancel,
  type DrillInput,
  hubQueueIdOf,
  type InLine,
  line,
  resume,
  writerIdOf,
} from '../../workflows/messages.js';
import { startEdits } from '../support/edits.js';
import { keys } from '../support/keys.js';
import { endWriters, parked, steppedThrough } from '../support/parking.js';
import {
  essence,
  FAST,
  openTestStand,
  sharedServices,
  startRollback,
  type TestStand,
  testRun,
} from '../support/stand.js';

/** Each of them is a run or more, and rests in between. */
vi.setConfig({ testTimeout: 400_000 });

let stand: TestStand;
beforeAll(async () => {
  const names = ['old', 'new', 'scratch'];
  stand = await openTestStand(
    sharedServices(inject),
    names.map((name) => ({ name })),
    { scratch: ', role: scratch' },
  );
});
afterAll(() => stand.close());
afterEach(() => endWriters(stand, 'new', 'scratch'));
beforeEach(() => {
  stand.failEach(null);
  stand.reset();
  stand
    .hub('old')
    .load([
      { deviceId: 'gw', iotEdge: true, authentication: keys(90) },
      { deviceId: 'leaf', parent: 'gw', authentication: keys(91) },
      ...Array.from({ length: 18 }, (_, n) => ({ deviceId: `d${n}`, authentication: keys(n) })),
    ]);
});

const host = (name: string): string => stand.config.hubs.get(name)?.host ?? '';
const target = (): SimulatedHub => stand.hub('new');
const imports = () =>
  target()
    .jobs.list()
    .filter(({ type }) => type === 'import');
const arrived = () => expect(essence(target().dump())).toEqual(essence(stand.hub('old').dump()));
const CHUNKS = { settings: { ...FAST, chunkLines: 6 } };

it('a run with edge devices rests at each step, once, and sends no chunk twice', async () => {
  const before = imports().length;
  const { report, failed } = await steppedThrough(stand, () => stand.migrate(CHUNKS));
  expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 20 }, warnings: [] });
  expect([...failed]).toEqual(expect.arrayContaining(['listEdges', 'readEdgeScopes']));
  // One of edge devices, four of the others.
  expect(imports().length - before).toBe(5);
  arrived();
});

it('so do edits, and the rollback of them', async () => {
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified' });
  const held = essence(target().dump());
  const edits: Edit[] = [
    { id: 'd1', op: 'update', status: 'disabled', statusReason: 'spare' },
    { id: 'd2', op: 'delete' },
  ];
  const { report: edited, failed } = await steppedThrough(stand, () => startEdits(stand, edits));
  expect(edited).toMatchObject({ error: null, outcome: 'verified' });
  expect([...failed]).toEqual(expect.arrayContaining(['applyEdits', 'stageChunk']));
  // What a rollback asks before anything else is told at once.
  const back = await steppedThrough(stand, () => startRollback(stand, edited), ['readManifest']);
  expect(back.report).toMatchObject({ error: null, outcome: 'verified' });
  expect([...back.failed]).toEqual(expect.arrayContaining(['undo', 'readErrorLog']));
  expect(essence(target().dump())).toEqual(held);
});

it('so does a drill, until it empties its scratch hub', async () => {
  const input: DrillInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host: host('old') },
    target: { host: host('scratch') },
    objectives: { rto: null, rpo: null },
  };
  const start = () =>
    stand.client.workflow.start('drill', {
      workflowId: writerIdOf(host('scratch')),
      taskQueue: stand.taskQueue,
      args: [input],
    });
  const cleaning = ['undo', 'planConfigurationsUndo', 'undoConfigurations', 'settleDrill', 'contentsOf'];
  const { report, rests } = await steppedThrough(stand, start, ['guardScratch', ...cleaning]);
  expect(report).toMatchObject({ error: null, outcome: 'verified', cleaned: true, verify: { match: 20 } });
  expect(rests).toBeGreaterThan(8);
  expect([...stand.hub('scratch').dump()]).toEqual([]);
});

it('a hub that is unavailable for longer than its patience lets a run rest', async () => {
  const staged = stand.hold('stageChunk');
  const handle = await stand.migrate({ settings: { ...FAST, patience: 1 } });
  await staged.reached;
  target().addFault({ kind: 'status', status: 503, route: '*', times: 1_000 });
  staged.release();
  await parked(handle, 'HUB_UNAVAILABLE');
  target().clearFaults();
  await handle.executeUpdate(resume);
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'verified', warnings: [] });
});

it('a slot that others hold for longer than a job may take lets a run rest, without a place in the line', async () => {
  stand.hub('old').occupySlot();
  const handle = await stand.migrate({ settings: { ...FAST, jobDeadline: 1_000 } });
  const { source } = await parked(handle, 'HUB_SLOT_TAKEN');
  expect(await stand.client.workflow.getHandle(hubQueueIdOf(source)).query<readonly InLine[]>(line)).toEqual(
    [],
  );
  stand.hub('old').releaseSlot();
  await handle.executeUpdate(resume);
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'verified' });
});

it('exports that fail again and again let a run rest', async () => {
  stand.hub('old').addJobFault({ kind: 'failAfter', lines: 1, type: 'export', times: 3 });
  const handle = await stand.migrate();
  const { parked: rests } = await parked(handle, 'JOB_FAILED');
  expect(rests?.why).toContain('the last one: failed');
  await handle.executeUpdate(resume);
  const report = await stand.reportOf(handle);
  expect(report.outcome).toBe('verified');
  expect(report.warnings).toMatchObject([{ code: 'EXPORT_REPEATED', count: 3 }]);
});

it('a run that rests for a fault can be cancelled, and what was sent is known', async () => {
  const log = stand.hold('readErrorLog');
  const handle = await stand.migrate(CHUNKS);
  await log.reached;
  target().addFault({ kind: 'status', status: 401, route: 'POST /jobs/create', times: 1_000 });
  log.release();
  await parked(handle, 'HUB_UNAUTHORIZED');
  await handle.executeUpdate(cancel, { args: [{ now: false }] });
  expect(await stand.reportOf(handle)).toMatchObject({
    outcome: 'cancelled',
    error: null,
    ledger: { create: 20, applied: 1, uncertain: 6, unsent: 13 },
  });
});
