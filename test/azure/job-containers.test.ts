import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OwnContainers, PreparedContainer } from '../../azure/job-containers.js';
import { type GrantedAccess, openStorage, type Storage } from '../../azure/storage.js';
import { type Azurite, startAzurite, storageAt } from './azurite.js';

const HUB = 'jobs-of-new';
const JOB = 'hf-20260101-000000-abcdef-0001-1';
const NEXT = 'hf-20260101-000000-abcdef-0002-1';
const hour = (): Date => new Date(Date.now() + 3_600_000);

let azurite: Azurite;
let service: BlobServiceClient;
let storage: Storage;
let jobs: PreparedContainer;

beforeAll(async () => {
  azurite = await startAzurite();
  const config = storageAt(azurite.port);
  service = BlobServiceClient.fromConnectionString(config.connectionString);
  storage = openStorage({ ...config, account: `${config.account}/home`, container: 'home' });
});
afterAll(() => azurite.stop());
beforeEach(async () => {
  for (const name of ['home', HUB]) {
    await service.getContainerClient(name).deleteIfExists();
    await service.createContainer(name);
  }
  jobs = new PreparedContainer(storage, storage.access, HUB);
});

async function blobsOf(container: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of service.getContainerClient(container).listBlobsFlat()) names.push(name);
  return names;
}

/** What a hub does with a URI that it was given. */
async function hub(uri: string, method: 'GET' | 'PUT', blob: string, body?: string): Promise<number> {
  const headers = { 'x-ms-blob-type': 'BlockBlob' };
  const at = uri.replace('?', `/${blob}?`);
  const answer = await fetch(at, { method, headers, ...(body === undefined ? {} : { body }) });
  await answer.arrayBuffer();
  return answer.status;
}

describe('folders of one container that stand for containers', () => {
  it('are made, filled, listed and deleted, and no container is', async () => {
    expect(await storage.createContainer(JOB)).toBe(false);
    expect(await storage.containerExists(JOB)).toBe(false);
    const blobs = Array.from({ length: 40 }, (_unused, index) => `part/${index}`);
    for (const blob of blobs) await storage.writeText(JOB, blob, blob);
    await storage.writeText('hubferry', 'runs/a.json', '{}');
    await storage.writeText(NEXT, 'a', '');

    const found: string[] = [];
    for await (const { name } of storage.list(JOB, 'part/1')) found.push(name);
    expect(found).toEqual(blobs.filter((blob) => blob.startsWith('part/1')).toSorted());
    const containers: string[] = [];
    for await (const name of storage.listContainers('hf-20260101-')) containers.push(name);
    expect(containers).toEqual([JOB, NEXT]);
    expect(await storage.readText(JOB, 'part/7')).toBe('part/7');
    expect(await blobsOf('home')).toContain(`${JOB}/part/7`);

    await storage.deleteContainer(JOB);
    expect(await storage.containerExists(JOB)).toBe(false);
    expect(await blobsOf('home')).toEqual([`${NEXT}/a`, 'hubferry/runs/a.json']);
  });

  it('need the one container', async () => {
    await service.deleteContainer('home');
    await expect(storage.createContainer(JOB)).rejects.toMatchObject({
      code: 'STORAGE_CONTAINER_MISSING',
      message: `${storage.account} has no container home`,
    });
  });
});

describe('what a hub may do with the container of a job', () => {
  /** Who is granted what, without a storage account that would say more. */
  const granted: string[] = [];
  const access: GrantedAccess = {
    revocable: true,
    hubIdentity: false,
    expiry: (now) => now,
    grant: async (_container, name, permissions) => {
      granted.push(`${name.replace(/-.*/, '')}: ${permissions}`);
      return 'uri';
    },
    extend: async () => undefined,
    revoke: async () => undefined,
  };

  it.each([
    ['export', ['output: rwd']],
    ['import', ['output: rwd', 'input: r']],
  ] as const)('an %s: no more than the service asks for', async (type, rights) => {
    await storage.writeText(JOB, 'devices.txt', 'lines');
    for (const one of [new OwnContainers(storage, access), new PreparedContainer(storage, access, HUB)]) {
      granted.length = 0;
      await one.open(JOB, type, hour());
      expect(granted).toEqual(rights);
    }
  });
});

describe('a container made beforehand for the jobs of a hub', () => {
  it('holds what a job reads, gives what it wrote, and is empty again', async () => {
    await storage.writeText(JOB, 'devices.txt', 'lines');
    const { input, output, blobName = '' } = await jobs.open(JOB, 'import', hour());
    expect(await hub(input, 'GET', blobName)).toBe(200);
    expect(await hub(input, 'PUT', blobName, 'x')).toBe(403);
    expect(await jobs.wrote(JOB, 'import')).toBe(false);
    expect(await hub(output, 'PUT', 'importErrors.log', 'errors')).toBe(201);
    expect(await jobs.wrote(JOB, 'import')).toBe(true);

    await jobs.close(JOB, 'import');
    expect(await storage.readText(JOB, 'importErrors.log')).toBe('errors');
    expect(await blobsOf(HUB)).toEqual([]);
    expect(await hub(input, 'GET', 'x')).toBe(403);

    const { output: next, blobName: nextName = '' } = await jobs.open(NEXT, 'export', hour());
    expect(await hub(next, 'PUT', nextName, 'registry')).toBe(201);
    expect(await jobs.wrote(NEXT, 'export')).toBe(true);
    // The access of an earlier job does not come back with that of the next.
    for (const uri of [input, output]) expect(await hub(uri, 'GET', nextName)).toBe(403);
    await jobs.close(NEXT, 'export');
    expect(await storage.readText(NEXT, 'devices.txt')).toBe('registry');
    expect(await blobsOf(HUB)).toEqual([]);
  });

  it('is cleared of what an earlier job left, and of nothing else', async () => {
    await storage.writeText(HUB, 'importErrors.log', 'of somebody else');
    await storage.writeText(HUB, 'hf-dead/devices.txt', 'x');
    await storage.writeText(HUB, 'README.txt', 'yours');
    const mine = { id: 'mine', accessPolicy: { expiresOn: hour(), permissions: 'r' } };
    await service.getContainerClient(HUB).setAccessPolicy(undefined, [mine]);
    await storage.writeText(JOB, 'devices.txt', 'lines');
    await jobs.open(JOB, 'import', hour());
    expect(await jobs.wrote(JOB, 'import')).toBe(false);
    expect(await blobsOf(HUB)).toEqual(['README.txt', `${JOB}/devices.txt`, 'hubferry-job.json']);

    await jobs.extend(JOB, new Date(Date.now() + 7_200_000));
    await jobs.close(JOB, 'import');
    expect(await storage.readText(JOB, 'importErrors.log')).toBeNull();
    expect(await blobsOf(HUB)).toEqual(['README.txt']);
    const { signedIdentifiers } = await service.getContainerClient(HUB).getAccessPolicy();
    expect(signedIdentifiers).toMatchObject([mine]);
  });

  it('says whose job it holds, and is cleared of one that nobody closes any more', async () => {
    expect(await jobs.holder()).toBeNull();
    await storage.writeText(HUB, 'README.txt', 'yours');
    const { output } = await jobs.open(JOB, 'export', hour());
    expect(await hub(output, 'PUT', `${JOB}/devices.txt`, 'registry')).toBe(201);
    expect(await jobs.holder()).toBe(JOB);
    await jobs.clear(NEXT);
    expect(await jobs.holder()).toBe(JOB);
    await jobs.clear(JOB);
    expect(await jobs.holder()).toBeNull();
    expect(await blobsOf(HUB)).toEqual(['README.txt']);
    expect(await hub(output, 'GET', 'x')).toBe(403);
  });

  it('is not touched by an attempt to close an earlier job that comes too late', async () => {
    await jobs.open(JOB, 'import', hour()).catch(() => undefined); // without its input
    await storage.writeText(NEXT, 'devices.txt', 'lines');
    const { output } = await jobs.open(NEXT, 'import', hour());
    await hub(output, 'PUT', 'importErrors.log', 'of the next');
    await jobs.close(JOB, 'import');
    expect(await storage.readText(JOB, 'importErrors.log')).toBeNull();
    expect(await jobs.wrote(JOB, 'import')).toBe(false);
    expect(await jobs.wrote(NEXT, 'import')).toBe(true);
    await jobs.close(NEXT, 'import');
    expect(await storage.readText(NEXT, 'importErrors.log')).toBe('of the next');
  });

  it('keeps what a job may be reading while it is opened again', async () => {
    await storage.writeText(JOB, 'devices.txt', 'lines');
    const first = await jobs.open(JOB, 'import', hour());
    const blob = service.getContainerClient(HUB).getBlobClient(first.blobName ?? '');
    const { etag } = await blob.getProperties();
    const again = await jobs.open(JOB, 'import', hour());
    expect(again).toEqual(first);
    expect((await blob.getProperties()).etag).toBe(etag);
    expect(await hub(first.input, 'GET', first.blobName ?? '')).toBe(200);
    // Half a copy is none.
    await storage.writeText(HUB, first.blobName ?? '', 'li');
    await jobs.open(JOB, 'import', hour());
    expect(await storage.readText(HUB, first.blobName ?? '')).toBe('lines');
  });

  it('serves an account in which containers are made, too', async () => {
    const account = openStorage(storageAt(azurite.port));
    const prepared = new PreparedContainer(account, account.access, HUB);
    await account.createContainer(JOB);
    const { output, blobName = '' } = await prepared.open(JOB, 'export', hour());
    await hub(output, 'PUT', blobName, 'registry');
    await prepared.close(JOB, 'export');
    expect(await blobsOf(JOB)).toEqual(['devices.txt']);
    expect(await blobsOf(HUB)).toEqual([]);
  });

  it('has to be there', async () => {
    await jobs.check();
    await service.deleteContainer(HUB);
    await expect(jobs.check()).rejects.toMatchObject({ code: 'STORAGE_CONTAINER_MISSING' });
  });
});
