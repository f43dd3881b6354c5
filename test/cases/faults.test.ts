import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(generateFleet({ devices: 120, seed: 1, plain: true }));
});

const SMALL = { settings: { ...FAST, chunkLines: 60 } };
const warningsOf = (report: { warnings: readonly { code: string }[] }) =>
  report.warnings.map(({ code }) => code);
const arrived = () => expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));

describe('an import job', () => {
  it('whose create reply is lost is adopted, not sent twice', async () => {
    stand.hub('new').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 2 });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(warningsOf(report)).toContain('JOB_ADOPTED');
    // 2 imports, and the exports before and after them.
    expect(stand.hub('new').counts()['POST /jobs/create']).toBe(4);
    arrived();
  });

  it.each([
    ['fails half way', { kind: 'failAfter', lines: 20 }],
    ['vanishes half way', { kind: 'vanish', lines: 20 }],
  ] as const)('that %s makes its lines uncertain, until a fresh snapshot tells', async (_, fault) => {
    stand.hub('new').addJobFault({ ...fault, type: 'import' });
    const report = await stand.migrated(SMALL);
    expect(report.error).toBeNull();
    expect(report.outcome).toBe('verified');
    expect(report.ledger).toMatchObject({ create: 120, applied: 120, uncertain: 0, unsent: 0, rejected: 0 });
    expect(warningsOf(report)).toEqual(expect.arrayContaining(['SENDING_STOPPED', 'REPAIR_ROUND']));
    arrived();
  });

  it('that hangs past its deadline is cancelled, and its lines are planned again', async () => {
    stand.hub('new').addJobFault({ kind: 'hang', lines: 20, type: 'import' });
    const report = await stand.migrated({ settings: { ...SMALL.settings, jobDeadline: 2_000 } });
    expect(report.outcome).toBe('verified');
    expect(report.jobs.map(({ status }) => status)).toContain('stuck');
    arrived();
  });

  it('whose lines were rejected for a passing reason is followed by a repair', async () => {
    stand.hub('new').addJobFault({ kind: 'rejectLines', lines: 3, code: 'DeviceNotFound', type: 'import' });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(report.ledger).toMatchObject({ applied: 120, rejected: 0 });
    arrived();
  });

  it('whose lines were rejected for good ends in differences, with our words for the reason', async () => {
    stand.hub('new').addJobFault({ kind: 'rejectLines', lines: 3, code: 'ArgumentInvalid', type: 'import' });
    stand.hub('new').set({ errorLogRepeat: 20 });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('differences');
    expect(report.ledger).toMatchObject({ create: 120, applied: 117, rejected: 3, uncertain: 0, unsent: 0 });
    expect(report.verify).toMatchObject({ match: 117, missing: 3 });
    expect(report.rejected).toHaveLength(3);
    expect(report.rejected[0]).toMatchObject({ code: '400004' });
  });

  it('whose log is cut, so that nobody knows of the missing lines, is followed by a repair', async () => {
    stand.hub('new').addJobFault({ kind: 'rejectLines', lines: 5, code: 'ArgumentInvalid', type: 'import' });
    stand.hub('new').set({ errorLogRepeat: 0 });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(warningsOf(report)).toContain('REPAIR_ROUND');
    arrived();
  });

  it('that is not visible for a while is waited for', async () => {
    for (const name of ['old', 'new']) stand.hub(name).set({ jobLag: 300 });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(warningsOf(report)).toEqual([]);
  });

  it('waits while a stranger holds the slot, and leaves the stranger alone', async () => {
    const stranger = stand.hub('new').occupySlot();
    const handle = await stand.migrate(SMALL);
    await until('a refused create', () => (stand.hub('new').counts()['POST /jobs/create'] ?? 0) >= 2);
    expect(stand.hub('new').jobs.get(stranger)).toMatchObject({ status: 'running' });
    stand.hub('new').releaseSlot();
    const report = await stand.reportOf(handle);
    expect(report.outcome).toBe('verified');
    expect(stand.hub('new').counts()['DELETE /jobs/{id}']).toBeUndefined();
    arrived();
  });
});

describe('an export job', () => {
  it('that fails is answered by a fresh one', async () => {
    stand.hub('old').addJobFault({ kind: 'failAfter', lines: 10, type: 'export' });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(warningsOf(report)).toContain('EXPORT_REPEATED');
  });

  it('that delivers fewer devices than the hub counts is taken again', async () => {
    const whole = await stand.migrated({ goal: 'plan', ...SMALL });
    const text = (await stand.storage.readText(whole.snapshots.source ?? '', 'devices.txt')) ?? '';
    const bytes = Buffer.byteLength(text.split('\n').slice(0, 50).join('\n')) + 1;
    stand.hub('old').addJobFault({ kind: 'cutOutput', bytes, type: 'export' });
    stand.hub('old').resetCounters();
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    expect(report.ledger.source).toBe(120);
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(2);
  });

  it('that is damaged takes the other hub’s down, and leaves nothing in storage', async () => {
    stand.hub('old').addJobFault({ kind: 'cutOutput', bytes: 5_000, type: 'export' });
    stand.hub('new').addJobFault({ kind: 'hang', type: 'export' });
    const report = await stand.migrated(SMALL);
    expect(report).toMatchObject({ outcome: 'failed', error: { code: 'SNAPSHOT_CUT' } });
    expect(stand.hub('new').jobs.list()[0]).toMatchObject({ status: 'cancelled' });
    const left: string[] = [];
    for await (const name of stand.storage.listContainers(`hf-${report.run}`)) left.push(name);
    expect(left).toEqual([]);
  });

  it('that ends inside a line is damage: nothing is written', async () => {
    stand.hub('old').addJobFault({ kind: 'cutOutput', bytes: 5_000, type: 'export' });
    const report = await stand.migrated(SMALL);
    expect(report.error).toMatchObject({ code: 'SNAPSHOT_CUT' });
    expect(report.jobs.filter(({ type }) => type === 'import')).toEqual([]);
  });
});

describe('the service', () => {
  it('may show what a job did late', async () => {
    // Longer than the first look takes to come, shorter than two: with a longer one two looks would agree on too little.
    stand.hub('new').set({ exportLag: 600 });
    const report = await stand.migrated({ settings: { ...SMALL.settings, settle: 300 } });
    expect(report.outcome).toBe('verified');
    expect(warningsOf(report)).not.toContain('REPAIR_ROUND');
  });

  it('may show what a job did later than it is looked for, and a rejection may be overtaken by a success', async () => {
    // The device is not visible when its modules come; by the repair round it is.
    stand.hub('old').load([{ deviceId: 'device-000001', moduleId: 'm', desired: { a: 1 } }]);
    stand.hub('new').addJobFault({ kind: 'rejectLines', lines: 61, type: 'import', times: 2 });
    stand.hub('new').set({ exportLag: 300 });
    const report = await stand.migrated(SMALL);
    expect(report).toMatchObject({
      outcome: 'verified',
      rejected: [],
      ledger: { applied: 121, rejected: 0 },
    });
    arrived();
  });

  it('may throttle, fail and drop connections for a while', async () => {
    const busy = stand.hub('new');
    busy.addFault({
      kind: 'status',
      status: 429,
      code: 'ThrottlingBacklogTimeout',
      route: 'POST /jobs/create',
      times: 2,
    });
    busy.addFault({
      kind: 'status',
      status: 503,
      code: 'ServiceUnavailable',
      route: 'GET /jobs/{id}',
      times: 2,
    });
    busy.addFault({ kind: 'drop', route: 'GET /jobs', times: 1 });
    // A 404 that says nothing of what was asked for.
    for (const route of ['GET /jobs/{id}', 'GET /configurations'])
      busy.addFault({ kind: 'status', code: 'IotHubFailingOver', route });
    const report = await stand.migrated(SMALL);
    expect(report.outcome).toBe('verified');
    arrived();
    // Calls that failed are counted too.
    const sum = (counts: object): number =>
      Object.values(counts).reduce((all: number, n) => all + Number(n), 0);
    expect(sum(report.hubCalls[busy.hostName] ?? {})).toBe(sum(busy.counts()));
  });

  it('may lose a run’s cancellation nothing: the hub’s job is cancelled, and nothing is left in storage', async () => {
    stand.hub('new').addJobFault({ kind: 'hang', lines: 20, type: 'import' });
    const handle = await stand.migrate(SMALL);
    const job = await until('the import', () =>
      stand
        .hub('new')
        .jobs.list()
        .find(({ type, status }) => type === 'import' && status === 'running'),
    );
    await handle.cancel();
    await expect(stand.reportOf(handle)).rejects.toThrow();
    expect(stand.hub('new').jobs.get(job['jobId'] as string)).toMatchObject({ status: 'cancelled' });
    const { memo: _memo, runId: _runId, ...description } = await handle.describe();
    expect(description.status.name).toBe('CANCELLED');
  });
});
