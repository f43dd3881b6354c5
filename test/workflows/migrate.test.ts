import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { generateFleet, type HubSettings, type JobFault, type SimulatedHub } from '../../simulator/index.js';
import type { MigrateInput } from '../../workflows/messages.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject), [{ name: 'old' }, { name: 'new' }], {
    new: ', maxRecords: 2000',
  });
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const plain = (devices: number, seed = 1) => generateFleet({ devices, seed, plain: true });
const importsOf = (report: { jobs: readonly { type: string }[] }) =>
  report.jobs.filter((job) => job.type === 'import');

describe('a migration', () => {
  it('carries a whole fleet to an empty hub, and a second time writes nothing', async () => {
    stand.hub('old').load(generateFleet({ devices: 700, seed: 3 }));
    const report = await stand.migrated();
    expect(report.error).toBeNull();
    expect(report.outcome).toBe('verified');
    expect(report.ledger).toMatchObject({
      desired: 700,
      create: 700,
      applied: 700,
      rejected: 0,
      uncertain: 0,
      unsent: 0,
    });
    expect(report.verify).toEqual({ compared: 700, match: 700, kept: 0, different: 0, missing: 0, extra: 0 });
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
    expect(stand.hub('new').counts()['POST /jobs/create']).toBe(importsOf(report).length + 2);

    stand.hub('new').resetCounters();
    const again = await stand.migrated();
    expect(again.outcome).toBe('verified');
    expect(again.ledger).toMatchObject({ desired: 700, unchanged: 700, create: 0 });
    expect(importsOf(again)).toEqual([]);
    expect(writesOf(stand.hub('new'))).toEqual({});
    expect(writesOf(stand.hub('old'))).toEqual({});
  });

  it('leaves no container but the snapshots, from which the hub can be restored', async () => {
    stand.hub('old').load(plain(60));
    const { run, snapshots } = await stand.migrated();
    const left: string[] = [];
    for await (const name of stand.storage.listContainers(`hf-${run}`)) left.push(name);
    expect(new Set(left)).toEqual(new Set([snapshots.source, snapshots.target]));

    const before = essence(stand.hub('old').dump());
    stand.hub('new').clear();
    const restored = await stand.migrated({ source: { kind: 'snapshot', id: snapshots.source ?? '' } });
    expect(restored.outcome).toBe('verified');
    expect(essence(stand.hub('new').dump())).toEqual(before);
  });

  it.each([50, 350])('costs few hub calls for %i plain devices, whatever their number', async (devices) => {
    stand.hub('old').load(plain(devices));
    const report = await stand.migrated({ settings: { ...FAST, chunkLines: 100 } });
    expect(report.outcome).toBe('verified');
    const counts = ['old', 'new'].flatMap((name) => Object.entries(stand.hub(name).counts()));
    const polls = counts.filter(([route]) => route === 'GET /jobs/{id}').reduce((sum, [, n]) => sum + n, 0);
    const others = counts.filter(([route]) => route !== 'GET /jobs/{id}').reduce((sum, [, n]) => sum + n, 0);
    expect(others).toBeLessThanOrEqual(30 + 4 * report.jobs.length);
    expect(polls).toBeLessThanOrEqual(100 * report.jobs.length);
    // The report tells the same numbers.
    const told = Object.values(report.hubCalls);
    expect(told.reduce((sum, calls) => sum + calls.polls, 0)).toBe(polls);
    expect(told.reduce((sum, calls) => sum + calls.jobs + calls.other, 0)).toBe(others);
  });
});

it('an empty hub may export nothing but a byte order mark', async () => {
  for (const name of ['old', 'new']) stand.hub(name).set({ exportBom: true });
  stand.hub('old').load(plain(5));
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified', ledger: { create: 5, applied: 5 } });
});

describe('what a run may write', () => {
  it('nothing, when a record on the target differs under --existing fail', async () => {
    stand.hub('old').load(plain(20));
    stand.hub('new').load(plain(20, 2));
    const report = await stand.migrated();
    expect(report.error).toMatchObject({ code: 'TARGET_DIFFERS' });
    expect(report.warnings).toContainEqual(expect.objectContaining({ code: 'TARGET_DIFFERS', count: 20 }));
    expect(stand.hub('new').counts()['POST /jobs/create']).toBe(1);
    expect(writesOf(stand.hub('new'))).toEqual({});
  });

  it('only what is missing, under --existing skip; extras stay', async () => {
    stand.hub('old').load(plain(30));
    stand.hub('new').load(plain(10, 2));
    stand.hub('new').load(generateFleet({ devices: 5, seed: 1, plain: true, prefix: 'extra-' }));
    const others = essence(stand.hub('new').dump());
    const report = await stand.migrated({ existing: 'skip' });
    expect(report.outcome).toBe('verified');
    expect(report.ledger).toMatchObject({ desired: 30, kept: 10, create: 20, applied: 20 });
    expect(report.verify).toMatchObject({ match: 20, kept: 10, different: 0, missing: 0, extra: 5 });
    expect(essence(stand.hub('new').dump())).toMatchObject(others);
  });

  it('nothing, when the target has no room', async () => {
    stand.hub('old').load(plain(2001));
    const report = await stand.migrated();
    expect(report.error).toMatchObject({ code: 'TARGET_FULL' });
    expect(writesOf(stand.hub('new'))).toEqual({});
    expect(importsOf(report)).toEqual([]);
  });

  it('nothing for the goal plan, which finds the same plan as the migration after it', async () => {
    stand.hub('old').load(plain(40));
    const planned = await stand.migrated({ goal: 'plan' });
    expect(planned.outcome).toBe('planned');
    expect(planned.ledger).toMatchObject({ create: 40, applied: 0, unsent: 40 });
    expect(importsOf(planned)).toEqual([]);
    const report = await stand.migrated();
    expect(report.plan).toBe(planned.plan);
  });

  it.each<[string, string, MigrateInput['existing'], (target: SimulatedHub) => void]>([
    ['holds records of the plan', 'PLAN_STALE', 'skip', (target) => void target.load(plain(6))],
    [
      'has a record changed that was equal',
      'TARGET_DIFFERS',
      'fail',
      (target) => {
        const [equal] = target.dump();
        if (equal) target.load([{ ...equal, tags: { changed: true } }]);
      },
    ],
  ])(
    'nothing, when the target %s since a plan that had to be made again',
    async (_what, code, existing, change) => {
      stand.hub('old').load(plain(40));
      const target = stand.hub('new');
      target.load(plain(3));
      const jobs = target.jobs.list().length;
      const handle = await stand.migrate({ existing, settings: { ...FAST, planMaxAge: 0 } });
      await until('the first export of the target', () => {
        const now = target.jobs.list();
        return now.length === jobs + 1 && now.every(({ status }) => status === 'completed');
      });
      change(target);
      const report = await stand.reportOf(handle);
      expect(report.error).toMatchObject({ code });
      expect(importsOf(report)).toEqual([]);
    },
  );
});

describe('records the target would not take', () => {
  const fleet = () => {
    const edge = (deviceId: string, parent?: string) => ({
      deviceId,
      iotEdge: true,
      ...(parent ? { parent } : {}),
    });
    stand
      .hub('old')
      .load([
        edge('top'),
        { ...edge('middle', 'top'), statusReason: 'x'.repeat(129) },
        edge('deep', 'middle'),
        { deviceId: 'leaf-of-middle', parent: 'middle' },
        { deviceId: 'leaf-of-deep', parent: 'deep' },
        { deviceId: 'deep', moduleId: 'of-deep' },
        { deviceId: 'stale', deviceScope: 'ms-azure-iot-edge://gone-1234' },
        ...plain(5),
      ]);
  };

  it('are refused with a code, and the rest arrives', async () => {
    fleet();
    const report = await stand.migrated();
    expect(report.error).toBeNull();
    expect(report.outcome).toBe('differences');
    expect(report.ledger).toMatchObject({ refused: 5, desired: 7, applied: 7 });
    expect(report.verify).toMatchObject({ match: 7, missing: 0 });
    const codes = Object.fromEntries(report.rejected.map(({ record, code }) => [record, code]));
    expect(codes).toEqual({
      middle: 'STATUS_REASON_TOO_LONG',
      deep: 'PARENT_REFUSED',
      'leaf-of-middle': 'PARENT_REFUSED',
      'leaf-of-deep': 'PARENT_REFUSED',
      'deep/of-deep': 'DEVICE_REFUSED',
    });
    expect(report.warnings).toContainEqual({ code: 'STALE_PARENT', count: 1, samples: ['stale'] });
    expect(essence(stand.hub('new').dump())['stale/']).toMatchObject({ parent: null });
  });

  it('stop the run before the first write under --strict', async () => {
    fleet();
    const report = await stand.migrated({ strict: true });
    expect(report.error).toMatchObject({ code: 'REFUSED_UNDER_STRICT' });
    expect(importsOf(report)).toEqual([]);
    expect(writesOf(stand.hub('new'))).toEqual({});
  });
});

describe('edge devices', () => {
  /** Five levels, one edge device below the other, each with a leaf and a module; two branches. */
  const tower = ['a', 'b'].flatMap((branch) =>
    Array.from({ length: 5 }, (_, level) => {
      const above = level === 0 ? {} : { parent: `${branch}${level - 1}` };
      return [
        { deviceId: `${branch}${level}`, iotEdge: true, ...above },
        { deviceId: `${branch}${level}-leaf`, parent: `${branch}${level}` },
        { deviceId: `${branch}${level}`, moduleId: 'm', desired: { level } },
      ];
    }).flat(),
  );

  it.each<[string, Partial<HubSettings>]>([
    ['', {}],
    [', also where an import ignores parentScopes', { importParentScopes: 'ignore' }],
    [', also where an export does not tell them', { exportParentScopes: false }],
  ])('keep their places at any depth%s', async (_where, settings) => {
    for (const name of ['old', 'new']) stand.hub(name).set(settings);
    stand.hub('old').load(tower);
    const report = await stand.migrated();
    expect(report).toMatchObject({ outcome: 'verified', rejected: [], ledger: { applied: 30 } });
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
    expect(await stand.migrated()).toMatchObject({ outcome: 'verified', ledger: { create: 0 } });
  });

  const family = [
    { deviceId: 'gw', iotEdge: true },
    { deviceId: 'other', iotEdge: true },
    { deviceId: 'child', iotEdge: true, parent: 'gw' },
    { deviceId: 'leaf', parent: 'gw' },
    { deviceId: 'leaf', moduleId: 'm', desired: { a: 1 } },
  ];

  it('get their parents by REST where an import ignores parentScopes', async () => {
    stand.hub('new').set({ importParentScopes: 'ignore' });
    stand.hub('old').load([
      { deviceId: 'gw', iotEdge: true },
      { deviceId: 'child-1', iotEdge: true, parent: 'gw' },
      { deviceId: 'child-2', iotEdge: true, parent: 'gw', statusReason: 'kept' },
      { deviceId: 'leaf', parent: 'gw' },
    ]);
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
    expect(writesOf(stand.hub('new'))).toEqual({ 'PUT /devices/{id}': 2 });
  });

  it('whose update is answered by silence are read again, and not updated twice', async () => {
    stand.hub('new').set({ importParentScopes: 'ignore' });
    stand.hub('new').addFault({ kind: 'loseReply', route: 'PUT /devices/{id}' });
    stand.hub('old').load(family);
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    expect(writesOf(stand.hub('new'))).toEqual({ 'PUT /devices/{id}': 1 });
  });

  it('whose update the hub refuses do not stop the others', async () => {
    stand.hub('new').set({ importParentScopes: 'ignore' });
    stand.hub('new').addFault({ kind: 'status', status: 400, route: 'PUT /devices/{id}' });
    stand.hub('old').load([...family, { deviceId: 'child-2', iotEdge: true, parent: 'gw' }]);
    const report = await stand.migrated();
    expect(report).toMatchObject({ outcome: 'differences', error: null, fields: { parent: 1 } });
    expect(report.verify).toMatchObject({ match: 5, different: 1, missing: 0 });
    expect(report.warnings).toContainEqual({
      code: 'RECORDS_DIFFERENT',
      count: 1,
      samples: [expect.stringMatching(/^child/)],
    });
  });

  it.each<[string, Partial<HubSettings>]>([
    ['by query', {}],
    ['by id, where a query lags', { queryLag: 60_000 }],
  ])('have their parents read %s where an export does not tell them', async (_how, settings) => {
    for (const name of ['old', 'new']) stand.hub(name).set({ exportParentScopes: false, ...settings });
    stand.hub('old').load(family);
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
    expect(await stand.migrated()).toMatchObject({
      outcome: 'verified',
      ledger: { unchanged: 5, create: 0 },
    });
    // And a parent that is really another is seen.
    const child = stand.hub('new').record('child');
    if (child) stand.hub('new').load([{ ...child, parent: 'other' }]);
    expect(await stand.migrated()).toMatchObject({
      error: { code: 'TARGET_DIFFERS' },
      fields: { parent: 1 },
    });
  });

  it.each<[string, JobFault]>([
    ['is there', { kind: 'doubtLines', lines: 1, type: 'import' }],
    ['is not there, for a reason that passes', { kind: 'rejectLines', lines: 1, type: 'import' }],
  ])('that the hub logs as rejected keep their children, when the first %s', async (_what, fault) => {
    stand.hub('old').load(family);
    stand.hub('new').addJobFault(fault);
    const report = await stand.migrated();
    expect(report).toMatchObject({ outcome: 'verified', rejected: [], ledger: { applied: 5, rejected: 0 } });
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
  });

  it('are read one by one under a throttle, without beginning anew', async () => {
    stand.hub('new').set({ queryLag: 60_000 });
    stand.hub('old').load(Array.from({ length: 6 }, (_, n) => ({ deviceId: `gw-${n}`, iotEdge: true })));
    stand.hub('new').addFault({ kind: 'status', status: 429, route: 'GET /devices/{id}', times: 2 });
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    // Two that were refused, and six each for the new scopes and for the parents of the snapshot that verifies.
    expect(stand.hub('new').counts()['GET /devices/{id}']).toBe(14);
  });

  it('that a query shows late are asked for one by one', async () => {
    stand.hub('new').set({ queryLag: 60_000 });
    stand.hub('old').load([
      { deviceId: 'gw', iotEdge: true },
      { deviceId: 'leaf', parent: 'gw' },
    ]);
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    expect(stand.hub('new').counts()['GET /devices/{id}']).toBe(1);
  });

  it('that were there already serve new children', async () => {
    stand.hub('old').load([
      { deviceId: 'gw', iotEdge: true },
      { deviceId: 'leaf', parent: 'gw' },
    ]);
    await stand.migrated();
    stand.hub('old').load([{ deviceId: 'late', parent: 'gw' }]);
    const report = await stand.migrated();
    expect(report.outcome).toBe('verified');
    expect(report.ledger).toMatchObject({ unchanged: 2, create: 1 });
    expect(essence(stand.hub('new').dump())['late/']).toMatchObject({ parent: 'gw' });
  });
});

describe('verify', () => {
  it('counts differences by field and writes nothing', async () => {
    stand.hub('old').load(plain(6));
    const [first, second, third] = [...stand.hub('old').dump()];
    if (!first || !second || !third) throw new Error('no fleet');
    stand
      .hub('new')
      .load([
        { ...first, statusReason: 'other', tags: { other: 1 } },
        { ...second, status: 'disabled' },
        third,
        { deviceId: 'extra' },
      ]);
    stand.hub('new').resetCounters();
    const report = await stand.migrated({ goal: 'verify' });
    expect(report.outcome).toBe('differences');
    expect(report.verify).toEqual({ compared: 6, match: 1, kept: 0, different: 2, missing: 3, extra: 1 });
    expect(report.fields).toEqual({ statusReason: 1, tags: 1, status: 1 });
    expect(writesOf(stand.hub('new'))).toEqual({});
    expect(report.snapshots).toEqual({ source: null, target: null });
    const file = await stand.storage.readText('hubferry', `reports/${report.run}.differences.ndjson`);
    const lines = (file ?? '').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
      expect.arrayContaining([
        { record: first.deviceId, difference: 'different', fields: ['statusReason', 'tags'] },
        { record: second.deviceId, difference: 'different', fields: ['status'] },
        { record: 'extra', difference: 'extra' },
      ]),
    );
    expect(lines).toHaveLength(6);
    expect(report.differences).toBe(`hubferry/reports/${report.run}.differences.ndjson`);
  });

  it('leaves no file of differences where there are none', async () => {
    for (const name of ['old', 'new']) stand.hub(name).load(plain(3));
    const report = await stand.migrated({ goal: 'verify' });
    expect(report).toMatchObject({ outcome: 'verified', verify: { match: 3 } });
    expect(report.differences).toBeUndefined();
  });
});
