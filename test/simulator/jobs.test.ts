import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { checkJobFault } from '../../simulator/jobs/job-faults.js';
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
  stand.sim.clock.reset();
  stand.hub.clear();
  stand.hub.clearFaults();
  stand.hub.set({ rate: 0, startDelay: 0, visibilityLag: 0, exportLag: 0 });
});

const create = (body: object) => stand.client.ask('POST', '/jobs/create', { body });
const exportTo = (outputBlobContainerUri: string) => create({ type: 'export', outputBlobContainerUri });
const getJob = async (jobId: string) => (await stand.client.ask('GET', `/jobs/${jobId}`)).json;
const statusOf = async (jobId: string) => asText((await getJob(jobId)).status);
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
      { type: 'scheduleUpdateTwin', outputBlobContainerUri: uri },
      { type: 'unknown', outputBlobContainerUri: uri },
      { type: 7, outputBlobContainerUri: uri },
      { type: 'export', outputBlobContainerUri: uri, excludeKeysInExport: 'yes' },
      { type: 'export', outputBlobContainerUri: uri, storageAuthenticationType: 'magic' },
      { type: 'export', outputBlobContainerUri: uri, identity: 'me' },
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

  it('takes its simulated time when the clock is fast', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(100);
    stand.hub.load(generateFleet({ devices: 700, seed: 2, plain: true }));
    stand.hub.set({ rate: 70, startDelay: 5_000 });
    const job = await stand.client.job({
      type: 'export',
      outputBlobContainerUri: azurite.uri(await nextContainer()),
    });
    clock.reset();
    const seconds = (Date.parse(asText(job.endTimeUtc)) - Date.parse(asText(job.startTimeUtc))) / 1000;
    expect(seconds).toBeGreaterThan(14.4);
    // Ten seconds of the machine.
    expect(seconds).toBeLessThan(1_000);
  });

  it('goes as far as a clock that stands still is moved, line by line', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.load(generateFleet({ devices: 200, seed: 2, plain: true }));
    stand.hub.set({ rate: 20, startDelay: 1_000 });
    const created = await exportTo(azurite.uri(await nextContainer()));
    const jobId = jobIdOf(created);
    clock.advance(999);
    expect(await getJob(jobId)).toMatchObject({ status: 'enqueued', progress: 0 });
    clock.advance(1);
    await until('running', async () => (await statusOf(jobId)) === 'running');
    const progress = async () => Number((await getJob(jobId)).progress);
    // 20 records in a second of 200 in all; the jumps are used up, not lost.
    for (const [ms, percent] of [
      [1_000, 10],
      [5_000, 60],
    ] as const) {
      clock.advance(ms);
      await until(`${percent} percent`, async () => (await progress()) === percent);
      expect(await progress()).toBe(percent);
    }
    clock.advance(5_000);
    const ended = await stand.client.ended(jobId);
    expect(ended.status).toBe('completed');
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

  it('finishLate: the work is done, the job runs on, and may still be cancelled', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.addJobFault({ kind: 'finishLate', ms: 60_000, times: 2 });
    const { jobId, log } = await importTo(lines(ids));
    await until('all is done', () => stand.hub.store.deviceCount === 4);
    await until('the log is there', async () => (await log().catch(() => 'none')) === '');
    expect(await getJob(jobId)).toMatchObject({ status: 'running', progress: 99, endTimeUtc: null });
    expect((await exportTo(azurite.uri(await nextContainer()))).status).toBe(403);
    const ended = await until('completed', async () => {
      clock.advance(5_000);
      return (await statusOf(jobId)) === 'completed' && getJob(jobId);
    });
    expect(Date.parse(asText(ended.endTimeUtc)) - Date.parse(asText(ended.startTimeUtc))).toBeGreaterThan(
      59_999,
    );
    const second = await importTo(lines(['e']));
    await until('the device', () => stand.hub.store.deviceCount === 5);
    await stand.client.ask('DELETE', `/jobs/${second.jobId}`);
    expect((await getJob(second.jobId)).status).toBe('cancelled');
  });

  it('refuseStorage: at the create, or after so many lines', async () => {
    stand.hub.addJobFault({ kind: 'refuseStorage' });
    stand.hub.addJobFault({ kind: 'refuseStorage', lines: 2 });
    const container = await nextContainer();
    await writeBlob(container, 'devices.txt', lines(ids));
    const uri = azurite.uri(container);
    const body = { type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri };
    const refused = await create(body);
    expect(refused.status).toBe(400);
    expect(refused.headers['iothub-errorcode']).toBe('BlobContainerValidationError');
    expect(refused.json.Message).toBe(
      'ErrorCode:BlobContainerValidationError;Unauthorized to write to output blob container.',
    );
    expect(await stand.client.job(body)).toMatchObject({
      status: 'failed',
      failureReason: 'Storage error 403 AuthorizationFailure',
    });
    expect(stand.hub.store.deviceCount).toBe(2);
    expect((await stand.client.job({ ...body })).status).toBe('completed');
  });

  it('occupySlot: the next create finds a stranger in the slot, for as long as asked', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.addJobFault({ kind: 'occupySlot', ms: 30_000 });
    const uri = azurite.uri(await nextContainer());
    expect((await exportTo(uri)).headers['iothub-errorcode']).toBe('JobQuotaExceeded');
    const { json } = await stand.client.ask('GET', '/jobs');
    const [stranger] = json as unknown as [{ jobId: string }];
    expect(stranger).toMatchObject({ status: 'running', type: 'export' });
    clock.advance(29_000);
    expect((await exportTo(uri)).status).toBe(403);
    clock.advance(1_000);
    await until('the stranger is gone', async () => (await statusOf(stranger.jobId)) === 'completed');
    clock.reset();
    stand.hub.addJobFault({ kind: 'occupySlot' });
    expect((await exportTo(uri)).status).toBe(403);
    stand.hub.releaseSlot();
    expect((await stand.client.job({ type: 'export', outputBlobContainerUri: uri })).status).toBe(
      'completed',
    );
  });

  it('lateErrorLog: not there at the end of the job, but later', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.addJobFault({ kind: 'lateErrorLog', ms: 5_000 });
    const { jobId, log } = await importTo(`${lines(ids)}broken\n`);
    await stand.client.ended(jobId);
    await expect(log()).rejects.toThrow();
    clock.advance(5_000);
    await until('the log', async () => (await log().catch(() => '')).includes('400012'));
  });

  it('noErrorLog: never there; exports leave it to the next import', async () => {
    stand.hub.addJobFault({ kind: 'noErrorLog' });
    const outputBlobContainerUri = azurite.uri(await nextContainer());
    await stand.client.job({ type: 'export', outputBlobContainerUri });
    const { jobId, log } = await importTo(`${lines(ids)}broken\n`);
    expect((await stand.client.ended(jobId)).status).toBe('completed');
    await expect(log()).rejects.toThrow();
  });

  it('doubtLines: the first lines are applied and logged all the same', async () => {
    stand.hub.addJobFault({ kind: 'doubtLines', lines: 1 });
    const { jobId, log } = await importTo(lines(ids));
    await stand.client.ended(jobId);
    expect(await log()).toBe('{"deviceId":"a","errorCode":409001,"errorStatus":"a"}\r\n');
    expect(stand.hub.store.deviceCount).toBe(4);
  });

  it('are used in the order in which they were added', async () => {
    stand.hub.addJobFault({ kind: 'failAfter', lines: 0 });
    stand.hub.addJobFault({ kind: 'refuseStorage' });
    const uri = azurite.uri(await nextContainer());
    expect((await stand.client.job({ type: 'export', outputBlobContainerUri: uri })).status).toBe('failed');
    expect((await exportTo(uri)).status).toBe(400);
    expect(stand.hub.jobs.faults.list()).toEqual([]);
  });

  it('that come from outside are checked field by field', () => {
    const good: object[] = [
      { kind: 'failAfter', lines: 2, reason: 'x', type: 'import', times: 3 },
      { kind: 'hang' },
      { kind: 'finishLate', ms: 5 },
      { kind: 'vanish', lines: 0 },
      { kind: 'cutOutput', bytes: 1 },
      { kind: 'refuseStorage' },
      { kind: 'occupySlot', ms: 1 },
      { kind: 'lateErrorLog', ms: 1 },
      { kind: 'noErrorLog', type: 'import' },
      { kind: 'doubtLines', lines: 1, code: 'ServerBusy' },
      { kind: 'rejectLines', lines: 1 },
    ];
    for (const fault of good) expect(checkJobFault(fault)).toBe(fault);
    const bad: [unknown, RegExp][] = [
      [null, /not an object/],
      [{ kind: 'burn' }, /unknown kind "burn"/],
      [{ kind: 'failAfter' }, /'lines' must be a count/],
      [{ kind: 'failAfter', lines: 1, reason: 5 }, /'reason' must be text/],
      [{ kind: 'finishLate', ms: -1 }, /'ms' must be a count/],
      [{ kind: 'hang', lines: 1.5 }, /'lines' must be a count/],
      [{ kind: 'hang', times: 'x' }, /'times' must be a count/],
      [{ kind: 'hang', line: 1 }, /'hang' has no 'line'/],
      [{ kind: 'rejectLines', lines: 1, code: 'Nope' }, /unknown code "Nope"/],
      [{ kind: 'hang', type: 'both' }, /'type' must be import or export/],
      [{ kind: 'noErrorLog', type: 'export' }, /'noErrorLog' is for imports only/],
    ];
    for (const [fault, text] of bad) expect.soft(() => checkJobFault(fault)).toThrow(text);
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
