import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Finding } from '../../activities/check.js';
import { storageOf } from '../../config/index.js';
import { generateFleet } from '../../simulator/index.js';
import { StorageGate } from '../crash/storage-gate.js';
import { storageOfFile } from '../support/services.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, testRun } from '../support/stand.js';
import { until } from '../support/until.js';

const HOME = `home-${process.pid}`;
const OLD = `jobs-old-${process.pid}`;
const NEW = `jobs-new-${process.pid}`;

/** Making, deleting and listing containers: nobody may who has roles only in containers made beforehand. */
const OF_THE_ACCOUNT = [/^(?:PUT|DELETE) \/[^/?]+\?restype=container$/, /^GET \/\?.*comp=list/];

const services = sharedServices(inject);
let gate: StorageGate;
let through: string;
let service: BlobServiceClient;

beforeAll(async () => {
  service = BlobServiceClient.fromConnectionString(storageOfFile(services));
  const opened = await StorageGate.open(storageOfFile(services));
  gate = opened.gate;
  through = opened.connectionString;
  for (const request of OF_THE_ACCOUNT) gate.refuse(request, 403);
});
afterAll(() => gate.close());

/** What `check` finds at storage and at both hubs. */
async function checked(stand: TestStand): Promise<Finding[]> {
  const hosts = [...stand.config.hubs.values()].map(({ host }) => host);
  return (await stand.client.workflow.execute('check', {
    workflowId: `check/${testRun()}`,
    taskQueue: stand.taskQueue,
    args: [{ account: storageOf(stand.config).account, settings: FAST, hosts }],
  })) as Finding[];
}

describe('where no containers may be made', () => {
  let stand: TestStand;
  beforeAll(async () => {
    for (const name of [HOME, OLD, NEW]) await service.createContainer(name);
    stand = await openTestStand(
      { ...services, storageConnectionStrings: [through] },
      [{ name: 'old' }, { name: 'new' }],
      { old: `, container: ${OLD}`, new: `, container: ${NEW}` },
      `, container: ${HOME}`,
    );
  });
  afterAll(async () => {
    await stand.close();
    for (const name of [HOME, OLD, NEW]) await service.deleteContainer(name);
  });
  beforeEach(() => {
    stand.reset();
    stand.hub('old').load(generateFleet({ devices: 120, seed: 5, plain: true }));
  });

  const blobsOf = async (container: string): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of service.getContainerClient(container).listBlobsFlat()) names.push(name);
    return names;
  };
  const arrived = (): void =>
    expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
  const SMALL = { ...FAST, chunkLines: 60 };

  it('check says what is there', async () => {
    const found = await checked(stand);
    expect(found.filter(({ ok }) => !ok)).toEqual([]);
    expect(found.map(({ detail }) => detail)).toEqual(
      expect.arrayContaining([
        `all is kept in ${HOME}, which can be written`,
        `${OLD} can be written and granted`,
        `${NEW} can be written and granted`,
      ]),
    );
    expect(await blobsOf(NEW)).toEqual([]);
  });

  it('a registry is migrated, restored from its snapshot, and the second run is a no-op', async () => {
    stand.hub('old').load(generateFleet({ devices: 60, seed: 6 }));
    const report = await stand.migrated({ settings: SMALL });
    expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
    expect(report.jobs.filter(({ type }) => type === 'import').length).toBeGreaterThan(1);
    arrived();

    // Nothing is left with the hubs, and nothing of the run but its snapshots and reports.
    for (const container of [OLD, NEW]) expect(await blobsOf(container)).toEqual([]);
    const { source, target } = report.snapshots;
    const folders = new Set((await blobsOf(HOME)).map((name) => name.split('/')[0]));
    expect(folders).toEqual(new Set([source, target, 'hubferry']));
    expect(await stand.storage.readText('hubferry', `runs/${report.run}.json`)).toContain('"verified"');

    const again = await stand.migrated({ settings: SMALL });
    expect(again).toMatchObject({ outcome: 'verified', ledger: { create: 0, update: 0 } });
    expect(again.jobs.map(({ type }) => type)).not.toContain('import');

    stand.hub('new').clear();
    const restored = await stand.migrated({
      settings: SMALL,
      source: { kind: 'snapshot', id: source ?? '' },
    });
    expect(restored).toMatchObject({ error: null, outcome: 'verified' });
    arrived();
  });

  it('an error log that was left behind is never taken for the next job’s', async () => {
    const stale = {
      deviceId: [...stand.hub('old').dump()][0]?.deviceId,
      errorCode: 400_004,
      errorStatus: 'x',
    };
    await service
      .getContainerClient(NEW)
      .getBlockBlobClient('importErrors.log')
      .upload(JSON.stringify(stale), JSON.stringify(stale).length);
    // Where a log is there already, this hub goes on writing it; and where nothing fails it writes none.
    stand.hub('new').set({ errorLogExisting: 'append', errorLogClean: 'none' });
    stand.hub('new').addJobFault({ kind: 'rejectLines', lines: 3, code: 'ArgumentInvalid', type: 'import' });
    const report = await stand.migrated({ settings: SMALL });
    // Of the two chunks the first has a log, with three lines and not four; the second has none.
    expect(report).toMatchObject({ outcome: 'differences', ledger: { applied: 117, rejected: 3 } });
    expect(report.rejected).toHaveLength(3);
    expect(await blobsOf(NEW)).toEqual([]);
  });

  it('a job whose create reply is lost is adopted, by what it wrote', async () => {
    stand.hub('new').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 2 });
    const report = await stand.migrated({ settings: SMALL });
    expect(report.outcome).toBe('verified');
    expect(report.warnings.map(({ code }) => code)).toEqual(['JOB_ADOPTED']);
    expect(stand.hub('new').counts()['POST /jobs/create']).toBe(4);
    arrived();
  });

  it('the container is not touched while the slot is somebody else’s', async () => {
    stand.hub('new').occupySlot();
    const text = 'of the one who has the slot';
    const log = service.getContainerClient(NEW).getBlockBlobClient('importErrors.log');
    await log.upload(text, text.length);
    const handle = await stand.migrate({ settings: SMALL });
    await until('a look at the slot', () => (stand.hub('new').counts()['GET /jobs'] ?? 0) > 2);
    expect(await log.exists()).toBe(true);
    expect(stand.hub('new').counts()['POST /jobs/create']).toBeUndefined();
    stand.hub('new').releaseSlot();
    expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'verified' });
    expect(await log.exists()).toBe(false);
  });
});

describe('where no containers may be made, and none is named', () => {
  let stand: TestStand;
  beforeAll(async () => {
    stand = await openTestStand({ ...services, storageConnectionStrings: [through] });
  });
  afterAll(() => stand.close());

  it('check says so, and how to go on', async () => {
    const [first, ...others] = await checked(stand);
    expect(first).toMatchObject({
      check: 'reach',
      ok: false,
      code: 'CONTAINERS_NOT_ALLOWED',
      hint: expect.stringContaining('storage.container'),
    });
    expect(others.every(({ ok }) => ok)).toBe(true);
  });

  it('a run ends before it begins', async () => {
    stand.hub('old').reset();
    const report = await stand.migrated();
    expect(report).toMatchObject({ outcome: 'failed', error: { code: 'CONTAINERS_NOT_ALLOWED' } });
    expect(stand.hub('old').counts()).toEqual({});
  });
});
