import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectionStringAt } from '../../demo/azurite.js';
import { defaultSettings, startSimulator } from '../../simulator/index.js';
import { until } from '../support/until.js';
import { type Azurite, readBlob, startAzurite, writeBlob } from './azurite.js';
import { type Answer, asText, type Body, jobIdOf } from './client.js';
import { blobText, nextContainer } from './importing.js';
import { type Stand, startStand } from './stand.js';

const userIdentity =
  '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mover';

let azurite: Azurite;
let stand: Stand;
beforeAll(async () => {
  azurite = await startAzurite();
  stand = await startStand({
    identityStorage: connectionStringAt(azurite.port),
    userIdentities: [userIdentity],
  });
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => {
  stand.sim.clock.reset();
  stand.hub.clear();
  stand.hub.clearFaults();
  stand.hub.set(defaultSettings);
});

const create = (body: object): Promise<Answer> => stand.client.ask('POST', '/jobs/create', { body });
const getJob = async (jobId: string) => (await stand.client.ask('GET', `/jobs/${jobId}`)).json;
const statusOf = async (jobId: string) => asText((await getJob(jobId)).status);
const cancel = (jobId: string) => stand.client.ask('DELETE', `/jobs/${jobId}`);
const exportBody = async () => ({
  type: 'export',
  outputBlobContainerUri: azurite.uri(await nextContainer(azurite)),
});
const codeOf = (answer: Answer) => answer.headers['iothub-errorcode'];
const listed = async () => {
  const { json } = await stand.client.ask('GET', '/jobs');
  return (json as unknown as Body[]).map((job) => asText(job.jobId));
};

describe('secondJob queue', () => {
  it('lets jobs wait for their turn, in order', async () => {
    stand.hub.set({ secondJob: 'queue' });
    stand.hub.occupySlot();
    const first = jobIdOf(await create(await exportBody()));
    const second = jobIdOf(await create(await exportBody()));
    expect((await getJob(first)).status).toBe('enqueued');
    stand.hub.addJobFault({ kind: 'hang' });
    const third = jobIdOf(await create(await exportBody()));
    stand.hub.releaseSlot();
    await until('the third runs', async () => (await statusOf(third)) === 'running');
    const [one, two] = [await getJob(first), await getJob(second)];
    expect([one.status, two.status]).toEqual(['completed', 'completed']);
    expect(Date.parse(asText(one.endTimeUtc))).toBeLessThanOrEqual(Date.parse(asText(two.endTimeUtc)));
    await cancel(third);
  });

  it('lets a waiting job be cancelled, and those behind it go on', async () => {
    stand.hub.set({ secondJob: 'queue', jobWaitingStatus: 'queued' });
    stand.hub.occupySlot();
    const created = await create(await exportBody());
    expect(created.json.status).toBe('queued');
    const waiting = jobIdOf(created);
    const behind = jobIdOf(await create(await exportBody()));
    expect((await cancel(waiting)).status).toBe(204);
    expect((await getJob(waiting)).status).toBe('cancelled');
    expect((await getJob(behind)).status).toBe('queued');
    stand.hub.releaseSlot();
    expect((await stand.client.ended(behind)).status).toBe('completed');
    expect((await getJob(waiting)).status).toBe('cancelled');
  });
});

describe('jobWaitingStatus', () => {
  it.each(['enqueued', 'queued', 'scheduled'] as const)('%s, until the job runs', async (status) => {
    stand.sim.clock.setSpeed(0);
    stand.hub.set({ jobWaitingStatus: status, startDelay: 60_000 });
    const created = await create(await exportBody());
    expect(created.json).toMatchObject({ status, progress: 0, endTimeUtc: null });
    const jobId = jobIdOf(created);
    expect((await getJob(jobId)).status).toBe(status);
    stand.sim.clock.advance(60_000);
    expect((await stand.client.ended(jobId)).status).toBe('completed');
  });

  it('a waiting job can be cancelled and never starts', async () => {
    stand.sim.clock.setSpeed(0);
    stand.hub.set({ jobWaitingStatus: 'scheduled', startDelay: 60_000 });
    const container = await nextContainer(azurite);
    const jobId = jobIdOf(await create({ type: 'export', outputBlobContainerUri: azurite.uri(container) }));
    expect((await cancel(jobId)).status).toBe(204);
    stand.hub.set({ startDelay: 0 });
    stand.sim.clock.advance(60_000);
    expect((await stand.client.job(await exportBody())).status).toBe('completed');
    expect((await getJob(jobId)).status).toBe('cancelled');
    expect(await container.getBlobClient('devices.txt').exists()).toBe(false);
  });
});

describe('jobShowsUris', () => {
  const shown = [
    'outputBlobContainerUri',
    'outputBlobName',
    'storageAuthenticationType',
    'includeConfigurations',
  ];

  it('off: a create repeats what it was asked, reading does not; on: both do', async () => {
    const body = {
      ...(await exportBody()),
      outputBlobName: 'fleet.txt',
      storageAuthenticationType: 'KeyBased',
      includeConfigurations: false,
      jobId: 'mine',
      status: 'completed',
      progress: 77,
      failureReason: 'none',
    };
    const created = await create(body);
    expect(created.json).toMatchObject({
      outputBlobContainerUri: body.outputBlobContainerUri,
      outputBlobName: 'fleet.txt',
      storageAuthenticationType: 'keyBased',
      includeConfigurations: false,
      progress: 0,
      failureReason: null,
    });
    expect(created.json.jobId).not.toBe('mine');
    expect(created.json.status).toBe('enqueued');
    const jobId = jobIdOf(created);
    for (const name of shown) expect.soft(await stand.client.ended(jobId)).not.toHaveProperty(name);
    stand.hub.set({ jobShowsUris: true });
    for (const name of shown) expect.soft(await getJob(jobId)).toHaveProperty(name);
    const list = await stand.client.ask('GET', '/jobs');
    expect(list.text).toContain('sig=');
  });
});

describe('history', () => {
  it('jobOrder: newest or oldest first', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(asText((await stand.client.job(await exportBody())).jobId));
    const ours = async () => (await listed()).filter((jobId) => ids.includes(jobId));
    expect(await ours()).toEqual(ids.toReversed());
    stand.hub.set({ jobOrder: 'oldestFirst' });
    expect(await ours()).toEqual(ids);
  });

  it('forgets a job 30 days after its end, not one that runs', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    const { jobId } = await stand.client.job(await exportBody());
    stand.hub.addJobFault({ kind: 'hang' });
    const running = jobIdOf(await create(await exportBody()));
    clock.advance(30 * 24 * 3_600_000 - 1);
    expect(await listed()).toContain(jobId);
    clock.advance(1);
    expect(await listed()).toContain(running);
    expect(await listed()).not.toContain(jobId);
    const answer = await stand.client.ask('GET', `/jobs/${asText(jobId)}`);
    expect(answer.status).toBe(404);
    expect(codeOf(answer)).toBe('JobNotFound');
    await cancel(running);
  });

  it('jobLag: a new job cannot be read for a while', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.set({ jobLag: 2_000 });
    const jobId = jobIdOf(await create(await exportBody()));
    expect((await stand.client.ask('GET', `/jobs/${jobId}`)).status).toBe(404);
    expect(await listed()).not.toContain(jobId);
    clock.advance(2_000);
    expect((await stand.client.ended(jobId)).status).toBe('completed');
  });

  it('deleteFinishedJob: 500 or 204; unknown ids 500 or 404', async () => {
    const { jobId } = await stand.client.job(await exportBody());
    expect((await cancel(asText(jobId))).status).toBe(500);
    expect((await cancel(randomUUID())).status).toBe(500);
    stand.hub.set({ deleteFinishedJob: 'ok' });
    expect((await cancel(asText(jobId))).status).toBe(204);
    expect((await cancel(randomUUID())).status).toBe(404);
    expect((await getJob(asText(jobId))).status).toBe('completed');
  });
});

describe('jobsPolicy', () => {
  it('registryReadWrite by default, iothubowner by switch', async () => {
    const status = async () =>
      (await stand.client.ask('GET', '/jobs', { policy: 'registryReadWrite' })).status;
    expect(await status()).toBe(200);
    expect((await stand.client.ask('GET', '/jobs', { policy: 'registryRead' })).status).toBe(401);
    stand.hub.set({ jobsPolicy: 'owner' });
    expect(await status()).toBe(401);
    expect((await stand.client.ask('GET', '/jobs')).status).toBe(200);
  });
});

describe('missingInputBlob', () => {
  it('failJob: the blob may miss, not the right to read it', async () => {
    stand.hub.set({ missingInputBlob: 'failJob' });
    const container = await nextContainer(azurite);
    const body = {
      type: 'import',
      inputBlobContainerUri: azurite.uri(container),
      outputBlobContainerUri: azurite.uri(container),
    };
    expect(await stand.client.job(body)).toMatchObject({
      status: 'failed',
      failureReason: expect.stringMatching(/^Storage error 404/) as unknown,
    });
    const answer = await create({ ...body, inputBlobContainerUri: azurite.uri(container, 'w') });
    expect(answer.json.Message).toEqual(
      expect.stringMatching(/^ErrorCode:BlobContainerValidationError;Unauthorized to read/),
    );
  });
});

describe('basicTierJobs', () => {
  it('refuse: no jobs in B1 to B3, in other tiers as ever', async () => {
    stand.hub.set({ tier: 'B1' });
    expect((await stand.client.job(await exportBody())).status).toBe('completed');
    stand.hub.set({ basicTierJobs: 'refuse' });
    const answers = [
      await create(await exportBody()),
      await stand.client.ask('GET', '/jobs'),
      await stand.client.ask('GET', '/jobs/x'),
      await cancel('x'),
    ];
    for (const answer of answers) {
      expect.soft(answer.status).toBe(403);
      expect.soft(codeOf(answer)).toBe('OperationNotAvailableInCurrentTier');
    }
    stand.hub.set({ tier: 'S1' });
    expect((await stand.client.ask('GET', '/jobs')).status).toBe(200);
  });
});

describe('identityBased jobs', () => {
  it('jobIdentity refuse: the hub has no identity', async () => {
    const answer = await create({ ...(await exportBody()), storageAuthenticationType: 'IdentityBased' });
    expect(answer.status).toBe(400);
    expect(codeOf(answer)).toBe('ManagedIdentityNotEnabled');
  });

  it('accept: export and import through containers without signature', async () => {
    stand.hub.set({ jobIdentity: 'accept' });
    stand.hub.load([{ deviceId: 'd' }]);
    const container = await nextContainer(azurite);
    const exported = await create({
      type: 'export',
      outputBlobContainerUri: container.url,
      storageAuthenticationType: 'IdentityBased',
      identity: { userAssignedIdentity: userIdentity.toUpperCase() },
    });
    expect(exported.json).toMatchObject({
      outputBlobContainerUri: container.url,
      storageAuthenticationType: 'identityBased',
    });
    const ended = await stand.client.ended(jobIdOf(exported));
    expect(ended.status).toBe('completed');
    expect(ended).not.toHaveProperty('identity');
    expect(await readBlob(container, 'devices.txt')).toContain('"id":"d"');
    await writeBlob(container, 'in.txt', blobText([{ id: 'e' }]));
    const imported = await stand.client.job({
      type: 'import',
      inputBlobContainerUri: `${container.url}/`,
      inputBlobName: 'in.txt',
      outputBlobContainerUri: container.url,
      storageAuthenticationType: 'identityBased',
    });
    expect(imported.status).toBe('completed');
    expect(stand.hub.record('e')).toBeDefined();
  });

  it('accept: unknown identities, other accounts and missing containers are refused', async () => {
    stand.hub.set({ jobIdentity: 'accept' });
    const container = await nextContainer(azurite);
    const refused = async (uri: string, identity?: object) =>
      create({
        type: 'export',
        outputBlobContainerUri: uri,
        storageAuthenticationType: 'identityBased',
        ...(identity === undefined ? {} : { identity }),
      });
    const unknown = await refused(container.url, { userAssignedIdentity: '/subscriptions/s/other' });
    expect(unknown.status).toBe(400);
    expect(codeOf(unknown)).toBe('ArgumentInvalid');
    const uris = [
      container.url.replace('devstoreaccount1', 'another'),
      container.url.replace(/c-[\d-]+$/, 'never-made'),
      `${container.url}/folder`,
    ];
    for (const uri of uris) {
      const answer = await refused(uri);
      expect.soft(codeOf(answer), uri).toBe('BlobContainerValidationError');
    }
  });

  it('identityRoleDelay: a container that nobody used before answers 400008 at first', async () => {
    const { clock } = stand.sim;
    clock.setSpeed(0);
    stand.hub.set({ jobIdentity: 'accept', identityRoleDelay: 30_000 });
    const container = await nextContainer(azurite);
    const body = {
      type: 'export',
      outputBlobContainerUri: container.url,
      storageAuthenticationType: 'identityBased',
    };
    expect(codeOf(await create(body))).toBe('BlobContainerValidationError');
    clock.advance(29_999);
    expect(codeOf(await create(body))).toBe('BlobContainerValidationError');
    clock.advance(1);
    expect((await stand.client.job(body)).status).toBe('completed');
  });

  it('identityStorage must be a connection string', async () => {
    await expect(startSimulator({ hubs: [{ name: 'x', identityStorage: 'nonsense' }] })).rejects.toThrow(
      /identityStorage must be the connection string/,
    );
  });
});
