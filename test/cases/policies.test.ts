import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type FleetRecord, generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { keys } from '../support/keys.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const plain = (devices: number) => generateFleet({ devices, seed: 1, plain: true });
const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);
const keysOf = (name: 'old' | 'new') => Object.keys(essence(hub(name).dump())).toSorted();
/** The ETags of every record of the target that is no system module: any write moves one. */
const eTags = (): Map<string, string> =>
  new Map(
    [...hub('new').dump()]
      .filter(({ moduleId }) => moduleId?.startsWith('$') !== true)
      .map(({ deviceId, moduleId, etag, twinEtag, generationId }) => [
        moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`,
        `${etag} ${twinEtag} ${generationId}`,
      ]),
  );

/** A fleet, and what an older state of it may have looked like: each record differs in another way. */
const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'below', iotEdge: true, parent: 'gw', authentication: keys(2), statusReason: 'new' },
  { deviceId: 'promoted', iotEdge: true, parent: 'gw', authentication: keys(3) },
  { deviceId: 'leaf', parent: 'promoted', authentication: keys(4) },
  { deviceId: 'detached', authentication: keys(5) },
  { deviceId: 'demoted', authentication: keys(6) },
  { deviceId: 'status', status: 'disabled', statusReason: 'broken', authentication: keys(7) },
  { deviceId: 'keys', authentication: keys(8) },
  { deviceId: 'cert', authentication: { type: 'certificateAuthority' } },
  { deviceId: 'tags', authentication: keys(9), tags: { a: 1, b: { c: 2 } } },
  { deviceId: 'desired', authentication: keys(10), desired: { level: 2 } },
  { deviceId: 'all', authentication: keys(11), status: 'disabled', tags: { x: 1 }, desired: { y: 1 } },
  { deviceId: 'module', authentication: keys(12) },
  { deviceId: 'module', moduleId: 'm', authentication: keys(13), desired: { z: 1 } },
  { deviceId: 'module', moduleId: 'twin', authentication: keys(14), tags: { t: 1 } },
  { deviceId: 'equal', authentication: keys(15), tags: { same: true } },
  { deviceId: 'missing', authentication: keys(16) },
];
const older: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'below', iotEdge: true, authentication: keys(2) },
  { deviceId: 'promoted', authentication: keys(3) },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(4) },
  { deviceId: 'detached', parent: 'gw', authentication: keys(5) },
  { deviceId: 'demoted', iotEdge: true, authentication: keys(6) },
  { deviceId: 'status', authentication: keys(7) },
  { deviceId: 'keys', authentication: keys(80) },
  { deviceId: 'cert', authentication: keys(90) },
  { deviceId: 'tags', authentication: keys(9), tags: { a: 1, b: { c: 3, d: 4 }, gone: true } },
  { deviceId: 'desired', authentication: keys(10), desired: { level: 1, extra: [1] } },
  { deviceId: 'all', authentication: keys(110), tags: { x: 0 }, desired: { y: 0 } },
  { deviceId: 'module', authentication: keys(12) },
  { deviceId: 'module', moduleId: 'm', authentication: keys(130), desired: { z: 0 } },
  { deviceId: 'module', moduleId: 'twin', authentication: keys(14), tags: { t: 2, u: 3 } },
  { deviceId: 'equal', authentication: keys(15), tags: { same: true } },
];
const extra: FleetRecord[] = [
  { deviceId: 'stranger', authentication: keys(20) },
  { deviceId: 'stranger', moduleId: 'm', authentication: keys(21) },
  { deviceId: 'equal', moduleId: 'more', authentication: keys(22) },
];

/** An import job is there and has not begun: the plan is made, and nothing is written yet. */
async function anImportWaits(): Promise<void> {
  await until('an import that waits', () =>
    hub('new')
      .jobs.list()
      .some(({ type, status }) => type === 'import' && status === 'enqueued'),
  );
}

describe('--existing overwrite', () => {
  it('makes equal whatever differs, and a second time writes nothing', async () => {
    hub('old').load(fleet);
    hub('new').load([...older, ...extra]);
    const report = await stand.migrated({ existing: 'overwrite' });
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(report.ledger).toMatchObject({
      desired: 17,
      unchanged: 3,
      create: 1,
      update: 13,
      delete: 0,
      applied: 14,
    });
    expect(report.verify).toMatchObject({ match: 17, different: 0, extra: 3 });
    const theirs = essence(hub('new').dump());
    expect(theirs).toMatchObject(essence(hub('old').dump()));
    expect(Object.keys(theirs)).toHaveLength(20);

    hub('new').resetCounters();
    const again = await stand.migrated({ existing: 'overwrite' });
    expect(again).toMatchObject({ outcome: 'verified', ledger: { unchanged: 17, create: 0, update: 0 } });
    expect(again.jobs.filter(({ type }) => type === 'import')).toEqual([]);
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('writes what the plan says, record by record, and nothing else', async () => {
    hub('old').load(fleet);
    hub('new').load([...older, ...extra]);
    const before = eTags();
    hub('new').resetCounters();
    const report = await stand.migrated({ existing: 'overwrite', extra: 'delete', maxDelete: 3 });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    const after = eTags();
    const written = [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
      const [was, is] = [before.get(key), after.get(key)];
      if (was === is) return [];
      const kind = was === undefined ? 'create' : is === undefined ? 'delete' : 'update';
      // A device takes its modules along.
      return kind === 'delete' && key === 'stranger/m' ? [] : [`${kind} ${key}`];
    });
    const kept = await stand.storage.readText('hubferry', `plans/${report.run}.ndjson`);
    const planned = (kept ?? '')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => JSON.parse(line) as { kind: string; key: string })
      .map(({ kind, key }) => `${kind} ${key}`);
    expect(written.toSorted()).toEqual(planned.toSorted());
    expect(writesOf(hub('new'))).toEqual({});
    const sent = report.jobs.filter(({ type }) => type === 'import').map(({ lines }) => lines);
    const foreseen = report.work?.waves.map(({ lines }) => lines);
    expect(sent).toEqual(foreseen);
  });

  it('leaves alone what somebody else writes between the plan and the import, and names it', async () => {
    hub('old').load(fleet);
    hub('new').load(older);
    hub('new').set({ startDelay: 1500 });
    const handle = await stand.migrate({ existing: 'overwrite' });
    await anImportWaits();
    const foreign = [
      { deviceId: 'status', authentication: keys(7), statusReason: 'somebody else' },
      { deviceId: 'desired', authentication: keys(10), desired: { level: 7 }, twinVersion: 9 },
    ];
    hub('new').load(foreign);
    hub('new').set({ startDelay: 0 });
    const report = await stand.reportOf(handle);
    expect(report).toMatchObject({ error: null, outcome: 'differences' });
    expect(report.warnings).toContainEqual({
      code: 'CHANGED_BY_OTHERS',
      count: 2,
      samples: expect.arrayContaining(['status', 'desired']) as unknown,
    });
    expect(report.verify).toMatchObject({ match: 15, different: 2 });
    expect(hub('new').record('status')).toMatchObject({ status: 'enabled', statusReason: 'somebody else' });
    expect(hub('new').record('desired')).toMatchObject({ desired: { level: 7 } });
  });
});

describe('--extra delete', () => {
  it('deletes what only the target has, after all the rest has arrived', async () => {
    hub('old').load(fleet);
    hub('new').load([...older, ...extra, ...plain(20)]);
    const report = await stand.migrated({ existing: 'overwrite', extra: 'delete', maxDelete: 100 });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(report.ledger).toMatchObject({ create: 1, update: 13, delete: 22, applied: 36 });
    expect(report.verify).toMatchObject({ match: 17, extra: 0 });
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
    const imports = report.jobs.filter(({ type }) => type === 'import');
    expect(imports.at(-1)).toMatchObject({ lines: 22 });
  });

  it('ends before any write when the plan deletes more than is allowed', async () => {
    hub('old').load(plain(10));
    hub('new').load([...plain(10), ...extra.slice(0, 1)]);
    const many = await stand.migrated({ extra: 'delete', maxDelete: 0 });
    expect(many.error).toMatchObject({ code: 'TOO_MANY_DELETES' });
    expect(many.error?.message).toContain('stranger');
    expect(keysOf('new')).toHaveLength(11);
    // A tenth of 11 records is one.
    const one = await stand.migrated({ extra: 'delete' });
    expect(one).toMatchObject({ outcome: 'verified', ledger: { delete: 1, applied: 1 } });
    expect(keysOf('new')).toEqual(keysOf('old'));
  });

  it('deletes nothing while something is missing or different', async () => {
    hub('old').load(plain(10));
    hub('new').load(extra.slice(0, 1));
    hub('new').addJobFault({ kind: 'rejectLines', lines: 1, code: 'ArgumentInvalid', type: 'import' });
    const report = await stand.migrated({
      extra: 'delete',
      maxDelete: 5,
      settings: { ...FAST, repairRounds: 0 },
    });
    expect(report).toMatchObject({ outcome: 'differences', ledger: { applied: 9, rejected: 1, unsent: 1 } });
    expect(report.warnings).toContainEqual({ code: 'NOT_DELETED', count: 1, samples: ['stranger'] });
    expect(hub('new').record('stranger')).toBeDefined();
  });

  it('leaves alone what somebody else changed since the plan', async () => {
    hub('old').load(plain(3));
    hub('new').load([...plain(3), ...extra.slice(0, 1), { deviceId: 'other', authentication: keys(30) }]);
    hub('new').set({ startDelay: 1500 });
    const handle = await stand.migrate({ extra: 'delete', maxDelete: 9 });
    await anImportWaits();
    hub('new').load([{ deviceId: 'stranger', authentication: keys(20), statusReason: 'in use again' }]);
    hub('new').set({ startDelay: 0 });
    const report = await stand.reportOf(handle);
    expect(report).toMatchObject({ error: null, outcome: 'differences', ledger: { applied: 1 } });
    expect(hub('new').record('stranger')).toMatchObject({ statusReason: 'in use again' });
    expect(hub('new').record('other')).toBeUndefined();
  });
});
