import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  dropOwner,
  forgetTry,
  freeTarget,
  type Owner,
  ownedHosts,
  readOwner,
  takeTarget,
  tryLease,
} from '../../azure/owners.js';
import { SHARED_CONTAINER } from '../../azure/shared-container.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { type Azurite, startAzurite, storageAt } from './azurite.js';

let azurite: Azurite;
let ways: Readonly<Record<string, Storage>>;
let host: string;
let serial = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  const config = storageAt(azurite.port);
  const storage = openStorage(config);
  await storage.createContainer(SHARED_CONTAINER);
  await storage.createContainer('home');
  const inOne = { ...config, account: `${config.account}/home`, container: 'home' };
  ways = { 'a container of its own': storage, 'one container for all': openStorage(inOne) };
});
afterAll(() => azurite.stop());
beforeEach(() => {
  serial += 1;
  host = `hub-${serial}.localhost:${8000 + serial}`;
});

const ownerOf = (run: string): Owner => ({
  run,
  workflow: 'migrate',
  server: 'temporal:7233/default',
  namespaceId: 'there',
  since: '2026-08-01T12:00:00.000Z',
});

const never = (): Promise<boolean> => Promise.resolve(false);
const always = (): Promise<boolean> => Promise.resolve(true);

async function takenBy(storage: Storage): Promise<string | undefined> {
  return (await readOwner(storage, host))?.owner?.run;
}

const WAYS = ['a container of its own', 'one container for all'];
const storageOf = (way: string): Storage => {
  const storage = ways[way];
  if (storage === undefined) throw new Error(way);
  return storage;
};

describe.each(WAYS)('the owner of a target, with %s', (way) => {
  it('is one run, however often it asks; then the next', async () => {
    const storage = storageOf(way);
    const [one, two] = [ownerOf('one'), ownerOf('two')];
    await Promise.all([1, 2, 3].map(() => takeTarget(storage, host, one, never)));
    expect(await readOwner(storage, host)).toMatchObject({ owner: one });
    await expect(takeTarget(storage, host, two, never)).rejects.toMatchObject({
      code: 'TARGET_BUSY',
      message: expect.stringMatching(
        /^Run one \(migrate\) of the Temporal server temporal:7233\/default writes to hub-/,
      ) as string,
    });
    await freeTarget(storage, host, 'two');
    expect(await takenBy(storage)).toBe('one');
    await freeTarget(storage, host, 'one');
    await freeTarget(storage, host, 'one');
    expect(await readOwner(storage, host)).toBeNull();
    expect(await takeTarget(storage, host, two, never)).toBeNull();
  });

  it('is exactly one of many that ask at once', async () => {
    const storage = storageOf(way);
    const runs = ['a', 'b', 'c', 'd', 'e'];
    const ends = await Promise.allSettled(runs.map((run) => takeTarget(storage, host, ownerOf(run), never)));
    const winners = runs.filter((_, i) => ends[i]?.status === 'fulfilled');
    expect(winners).toEqual([await takenBy(storage)]);
    const losers = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    expect(losers.map((error) => (error as { code: string }).code)).toEqual(Array(4).fill('TARGET_BUSY'));
  });

  it('is replaced where its run is over, by exactly one', async () => {
    const storage = storageOf(way);
    await takeTarget(storage, host, ownerOf('dead'), never);
    const isDead = (owner: Owner): Promise<boolean> => Promise.resolve(owner.run === 'dead');
    const runs = ['a', 'b', 'c', 'd', 'e'];
    const ends = await Promise.allSettled(runs.map((run) => takeTarget(storage, host, ownerOf(run), isDead)));
    const winners = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value?.run] : []));
    expect(winners).toEqual(['dead']);
    const winner = await takenBy(storage);
    expect(runs).toContain(winner);
    // The one that is dead may have an attempt left that comes too late.
    await freeTarget(storage, host, 'dead');
    expect(await takenBy(storage)).toBe(winner);
  });

  it('may be dropped by whoever has seen it, unless there is another one by now', async () => {
    const storage = storageOf(way);
    await takeTarget(storage, host, ownerOf('one'), never);
    const seen = await readOwner(storage, host);
    if (seen === null) throw new Error('nobody');
    await takeTarget(storage, host, ownerOf('two'), always);
    expect(await dropOwner(storage, host, seen)).toBe(false);
    expect(await takenBy(storage)).toBe('two');
    await expect(takeTarget(storage, host, ownerOf('three'), never)).rejects.toThrow('Run two');
    const now = await readOwner(storage, host);
    expect(now && (await dropOwner(storage, host, now))).toBe(true);
    expect(await takeTarget(storage, host, ownerOf('three'), never)).toBeNull();
  });

  it('is listed by its host; trying out leases leaves none', async () => {
    const storage = storageOf(way);
    await takeTarget(storage, host, ownerOf('one'), never);
    await tryLease(storage, 'hf-check');
    const hosts: string[] = [];
    for await (const each of ownedHosts(storage)) hosts.push(each);
    expect(hosts).toContain(host);
    expect(hosts).not.toContain('hf-check');
  });
});

it.each([
  ['before it had a lease', false],
  ['before it wrote its name', true],
])('is not one of a try of leases that was broken off %s', async (_when, isLeased) => {
  const storage = storageOf('a container of its own');
  const blob = `owners/${host}`;
  await storage.writeText(SHARED_CONTAINER, blob, '');
  if (isLeased) await storage.lease(SHARED_CONTAINER, blob, '0b57a88d-15a9-4e3f-8a1c-2f2d3a3d3a3d');
  await forgetTry(storage, host);
  expect(await readOwner(storage, host)).toBeNull();
  await forgetTry(storage, host);
});

it('is not one that died before it wrote its name', async () => {
  const storage = storageOf('a container of its own');
  await storage.writeText(SHARED_CONTAINER, `owners/${host}`, '');
  await storage.lease(SHARED_CONTAINER, `owners/${host}`, '0b57a88d-15a9-4e3f-8a1c-2f2d3a3d3a3d');
  expect(await takeTarget(storage, host, ownerOf('one'), never)).toBeNull();
  expect(await takenBy(storage)).toBe('one');
});

it('is not taken by an attempt that nobody waits for any more', async () => {
  const storage = storageOf('a container of its own');
  const late = takeTarget(storage, host, ownerOf('one'), never, AbortSignal.abort());
  await expect(late).rejects.toThrow('aborted');
  expect(await readOwner(storage, host)).toBeNull();
});

it('is refused in words of its own where the account does not lease', async () => {
  const { account } = storageAt(azurite.port);
  const connectionString = `BlobEndpoint=${account};SharedAccessSignature=${await readOnlySas()}`;
  const storage = openStorage({ account, connectionString });
  await expect(
    storage.lease(SHARED_CONTAINER, 'owners/x', '0b57a88d-15a9-4e3f-8a1c-2f2d3a3d3a3d'),
  ).rejects.toMatchObject({
    code: 'LEASE_REFUSED',
  });
});

/** For whoever may read and create, and not write. */
async function readOnlySas(): Promise<string> {
  const { BlobServiceClient, AccountSASPermissions } = await import('@azure/storage-blob');
  const service = BlobServiceClient.fromConnectionString(storageAt(azurite.port).connectionString);
  const uri = service.generateAccountSasUrl(
    new Date(Date.now() + 600_000),
    AccountSASPermissions.parse('rcl'),
    'sco',
  );
  return uri.slice(uri.indexOf('?') + 1);
}
