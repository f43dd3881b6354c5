import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { until } from '../support/until.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { asText, jobIdOf } from './client.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;
let containers = 0;
const nextContainer = () => azurite.container(`c-${++containers}`);

beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => {
  stand.hub.clear();
  stand.hub.clearFaults();
  stand.hub.set({ rate: 0, startDelay: 0, visibilityLag: 0, exportLag: 0 });
});

const create = (body: object) => stand.client.ask('POST', '/jobs/create', { body });
const exportTo = (outputBlobContainerUri: string) => create({ type: 'export', outputBlobContainerUri });
const getJob = async (jobId: string) => (await stand.client.ask('GET', `/jobs/${jobId}`)).json;
const lines = (ids: readonly string[]) =>
  ids.map((id) => `${JSON.stringify({ id, status: 'enabled' })}\r\n`).join('');

async function importTo(text: string): Promise<{ jobId: string; log: () => Promise<string> }> {
  const container = await nextContainer();
  await writeBlob(container, 'devices.txt', text);
  const uri = azurite.uri(container);
  const created = await create({ type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri });
  return { jobId: jobIdOf(created), log: () => readBlob(container, 'importErrors.log') };
}

describe('creating a job', () => {
  it('echoes the URIs, while reading it back does not', async () => {
    const uri = azurite.uri(await nextContainer());
    const created = await create({
      type: 'export',
      outputBlobContainerUri: uri,
      excludeKeysInExport: true,
      storageAuthenticationType: 'keyBased',
    });
    expect(created.status).toBe(200);
    expect(created.json).toMatchObject({
      type: 'export',
      status: 'enqueued',
      progress: 0,
      outputBlobContainerUri: uri,
      excludeKeysInExport: true,
      storageAuthenticationType: 'keyBased',
      endTimeUtc: null,
      failureReason: null,
    });
    const ended = await stand.client.ended(jobIdOf(created));
    expect(ended).toMatchObject({ status: 'completed', progress: 100, type: 'export' });
    expect(JSON.stringify(ended)).not.toMatch(/Uri|storageAuthenticationType/);
    expect(Date.parse(asText(ended.endTimeUtc))).toBeGreaterThanOrEqual(
      Date.parse(asText(ended.startTimeUtc)),
    );
  });

  it('refuses containers at once, with the texts of the service', async () => {
    const container = await nextContainer();
    const gone = container.url.replace(/c-\d+$/, 'never-made');
    const refusals: [string, RegExp][] = [
      [azurite.uri(container, 'rd'), /Unauthorized to write to output blob container\.$/],
      [azurite.uri(container, 'rw'), /Unauthorized to delete from output blob container$/],
      [azurite.uri(container).replace(container.url, gone), /write to output|does not exist/],
      ['http://127.0.0.1:9/devstoreaccount1/x?sv=1', /cannot be reached/],
      ['not a uri', /not valid/],
    ];
    for (const [uri, text] of refusals) {
      const answer = await exportTo(uri);
      expect.soft(answer.status, uri).toBe(400);
      expect.soft(answer.headers['iothub-errorcode'], uri).toBe('BlobContainerValidationError');
      expect.soft(asText(answer.json.Message), uri).toMatch(text);
    }
    expect((await stand.client.ask('GET', '/jobs')).text).not.toContain('"failed"');
  });

  it('leaves no probe behind', async () => {
    const container = await nextContainer();
    await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container, 'rwd') });
    const names = [];
    for await (const blob of container.listBlobsFlat()) names.push(blob.name);
    expect(names).toEqual(['devices.txt']);
  });

  it('refuses a missing input blob, or fails later by switch', async () => {
    const uri = azurite.uri(await nextContainer());
    const body = { type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri };
    const refused = await create(body);
    expect(refused.status).toBe(400);
    expect(refused.headers['iothub-errorcode']).toBe('BlobContainerValidationError');
    stand.hub.set({ missingInputBlob: 'failJob' });
    const job = await stand.client.job(body);
    stand.hub.set({ missingInputBlob: 'refuse' });
    expect(job.status).toBe('failed');
    expect(asText(job.failureReason)).toContain('404');
  });

  it('refuses bodies that make no sense', async () => {
    const uri = azurite.uri(await nextContainer());
    const bad: object[] = [
      {},
      { type: 'import', outputBlobContainerUri: uri },
      { type: 'export' },
      { type: 'backup', outputBlobContainerUri: uri },
      { type: 'export', outputBlobContainerUri: 5 },
    ];
    for (const body of bad) {
      const answer = await create(body);
      expect.soft(answer.headers['iothub-errorcode'], JSON.stringify(body)).toBe('ArgumentInvalid');
    }
  });
});

describe('the slot', () => {
  it('takes one job at a time and says so in the service’s own words', async () => {
    const uri = azurite.uri(await nextContainer());
    stand.hub.set({ startDelay: 3_600_000 });
    const answers = await Promise.all([exportTo(uri), exportTo(uri)]);
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([200, 403]);
    const refused = await exportTo(uri);
    expect(refused.status).toBe(403);
    expect(refused.headers['iothub-errorcode']).toBe('JobQuotaExceeded');
    expect(refused.json.ExceptionMessage).toBe('');
    expect(refused.json.Message).toMatch(
      /^ErrorCode:JobQuotaExceeded;Error: 403 ErrorCode: JobQuotaExceeded\nMessage: Job quota has been exceeded\nTimestamp: .+\nTracking ID: $/,
    );
    const first = answers.find((answer) => answer.status === 200);
    const jobId = asText(first?.json.jobId);
    expect((await getJob(jobId)).status).toBe('enqueued');
    expect(
      (await stand.client.ask('DELETE', `/jobs/${jobId}`, { headers: { 'if-match': `"${jobId}"` } })).status,
    ).toBe(204);
    expect((await getJob(jobId)).status).toBe('cancelled');
    stand.hub.set({ startDelay: 0 });
    expect((await stand.client.job({ type: 'export', outputBlobContainerUri: uri })).status).toBe(
      'completed',
    );
  });

  it('can be held by a stranger', async () => {
    const uri = azurite.uri(await nextContainer());
    const jobId = stand.hub.occupySlot('import');
    expect((await exportTo(uri)).status).toBe(403);
    expect((await stand.client.ask('GET', '/jobs')).json[0]).toMatchObject({
      jobId,
      type: 'import',
      status: 'running',
    });
    stand.hub.releaseSlot();
    expect((await getJob(jobId)).status).toBe('completed');
    await stand.client.job({ type: 'export', outputBlobContainerUri: uri });
  });

  it('of one hub is not that of another, and a refused create does not keep it', async () => {
    stand.sim.hub('b').occupySlot();
    const container = await nextContainer();
    expect((await exportTo(azurite.uri(container, 'r'))).status).toBe(400);
    await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container) });
    stand.sim.hub('b').releaseSlot();
  });
});

describe('a job', () => {
  it('runs at the configured rate, shows progress, and keeps what it did when cancelled', async () => {
    stand.hub.set({ rate: 500 });
    const ids = Array.from({ length: 2000 }, (_, n) => `d${n}`);
    const { jobId } = await importTo(lines(ids));
    await until('some progress', async () => Number((await getJob(jobId)).progress) >= 5);
    expect((await getJob(jobId)).status).toBe('running');
    await stand.client.ask('DELETE', `/jobs/${jobId}`);
    const cancelled = await getJob(jobId);
    expect(cancelled.status).toBe('cancelled');
    const applied = stand.hub.store.deviceCount;
    expect(applied).toBeGreaterThan(50);
    expect(applied).toBeLessThan(2000);
    expect((await stand.client.ask('DELETE', `/jobs/${jobId}`)).status).toBe(500);
    expect((await stand.client.ask('DELETE', '/jobs/unknown')).status).toBe(500);
    expect((await stand.client.ask('GET', '/jobs/unknown')).headers['iothub-errorcode']).toBe('JobNotFound');
  });

  it('takes about as long as the rate says', async () => {
    stand.hub.load(generateFleet({ devices: 300, seed: 2, plain: true }));
    stand.hub.set({ rate: 600 });
    const began = performance.now();
    await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(await nextContainer()) });
    const seconds = (performance.now() - began) / 1000;
    expect(seconds).toBeGreaterThan(0.4);
    expect(seconds).toBeLessThan(5);
  });

  it('is invisible to GET and exports for a while when told to', async () => {
    stand.hub.load([{ deviceId: 'old', tags: { v: 1 } }, { deviceId: 'gone' }]);
    stand.hub.set({ visibilityLag: 3_600_000, exportLag: 3_600_000 });
    const { jobId } = await importTo(
      `${lines(['new'])}${JSON.stringify({ id: 'old', status: 'enabled', importMode: 'updateTwin', tags: { v: 2 } })}\n` +
        `${JSON.stringify({ id: 'gone', status: 'enabled', importMode: 'delete' })}\n`,
    );
    await stand.client.ended(jobId);
    const get = (path: string) => stand.client.ask('GET', path);
    const container = await nextContainer();
    const exportIds = async () => {
      await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container) });
      return [...(await readBlob(container, 'devices.txt')).matchAll(/"id":"(\w+)"/g)].map(
        (match) => match[1],
      );
    };
    expect((await get('/devices/new')).status).toBe(404);
    expect((await get('/devices/gone')).status).toBe(200);
    expect((await get('/twins/old')).json.tags).toEqual({ v: 1 });
    expect(await exportIds()).toEqual(['old', 'gone']);
    stand.hub.set({ visibilityLag: 0, exportLag: 0 });
    expect((await get('/devices/new')).status).toBe(200);
    expect((await get('/devices/gone')).status).toBe(404);
    expect((await get('/twins/old')).json.tags).toEqual({ v: 2 });
    expect(await exportIds()).toEqual(['old', 'new']);
  });

  it('is listed newest first', async () => {
    const uri = azurite.uri(await nextContainer());
    const first = await stand.client.job({ type: 'export', outputBlobContainerUri: uri });
    const second = await stand.client.job({ type: 'export', outputBlobContainerUri: uri });
    const list = (await stand.client.ask('GET', '/jobs')).text;
    expect(list.indexOf(asText(second.jobId))).toBeLessThan(list.indexOf(asText(first.jobId)));
  });
});

describe('job faults', () => {
  const ids = ['a', 'b', 'c', 'd'];

  it('failAfter: failed after so many lines, which stay', async () => {
    stand.hub.addJobFault({ type: 'import', kind: 'failAfter', lines: 2, reason: 'broken' });
    const exported = await stand.client.job({
      type: 'export',
      outputBlobContainerUri: azurite.uri(await nextContainer()),
    });
    expect(exported.status).toBe('completed');
    const { jobId } = await importTo(lines(ids));
    expect(await stand.client.ended(jobId)).toMatchObject({ status: 'failed', failureReason: 'broken' });
    expect(stand.hub.store.deviceCount).toBe(2);
  });

  it('hang: running until cancelled', async () => {
    stand.hub.addJobFault({ kind: 'hang', lines: 3 });
    const { jobId } = await importTo(lines(ids));
    await until('three devices', () => stand.hub.store.deviceCount === 3);
    expect((await getJob(jobId)).status).toBe('running');
    await stand.client.ask('DELETE', `/jobs/${jobId}`);
    expect((await getJob(jobId)).status).toBe('cancelled');
  });

  it('vanish: as if it had never been, and the slot is free', async () => {
    stand.hub.addJobFault({ kind: 'vanish', lines: 1 });
    const { jobId } = await importTo(lines(ids));
    await until(
      'the job is gone',
      async () => (await stand.client.ask('GET', `/jobs/${jobId}`)).status === 404,
    );
    expect(stand.hub.store.deviceCount).toBe(1);
    await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(await nextContainer()) });
  });

  it('cutOutput: completed with a file cut short', async () => {
    stand.hub.load([{ deviceId: 'x' }, { deviceId: 'y' }]);
    stand.hub.addJobFault({ kind: 'cutOutput', bytes: 25 });
    const container = await nextContainer();
    const job = await stand.client.job({ type: 'export', outputBlobContainerUri: azurite.uri(container) });
    expect(job.status).toBe('completed');
    expect(await readBlob(container, 'devices.txt')).toMatch(/^\{"id":"x","eTag":".{7}$/);
  });

  it('rejectLines: the first lines are refused with a code', async () => {
    stand.hub.addJobFault({ kind: 'rejectLines', lines: 2, code: 'IotHubQuotaExceeded' });
    const { jobId, log } = await importTo(lines(ids));
    expect((await stand.client.ended(jobId)).status).toBe('completed');
    expect((await log()).match(/403002/g)).toHaveLength(2);
    expect(stand.hub.store.deviceCount).toBe(2);
  });

  it('times: for as many jobs as asked', async () => {
    stand.hub.addJobFault({ kind: 'failAfter', lines: 0, times: 2 });
    const uri = azurite.uri(await nextContainer());
    const statuses = [];
    for (let n = 0; n < 3; n++) {
      statuses.push((await stand.client.job({ type: 'export', outputBlobContainerUri: uri })).status);
    }
    expect(statuses).toEqual(['failed', 'failed', 'completed']);
  });
});
