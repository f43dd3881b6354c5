import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, it } from 'vitest';
import { checkActivities, type Finding } from '../../activities/check.js';
import type { Deps } from '../../activities/deps.js';
import type { Custody, Storage } from '../../azure/storage.js';
import { checkContainer } from '../../registry/containers.js';

const NOTHING: Custody = {
  deletedBlobsStay: async () => 0,
  versionsStay: async () => false,
  deletedContainerStays: async () => 0,
  isPublic: async () => false,
};

/** What `check` says of an account that lets hubferry do all it needs. */
async function checked(
  custody: Partial<Custody>,
  home: string | null = null,
  made: string[] = [],
  attempt = 1,
): Promise<Finding[]> {
  const storage: Partial<Storage> = {
    account: 'https://x.example',
    home,
    custody: {
      ...NOTHING,
      deletedContainerStays: async (container) => {
        expect(made.slice(-2)).toEqual([container, `${container} deleted`]);
        return 0;
      },
      ...custody,
    },
    createContainer: async (name) => made.push(name) > 0,
    deleteContainer: async (name) => void made.push(`${name} deleted`),
    writeText: async () => true,
    lease: async () => true,
    readTagged: async () => null,
    deleteBlob: async () => true,
    access: { grant: async () => 'uri' } as unknown as Storage['access'],
  };
  const connections = { storage: () => storage } as unknown as Deps['connections'];
  const activities = checkActivities({ connections } as Deps);
  const environment = new MockActivityEnvironment({ attempt, scheduledTimestampMs: 1_000 });
  return await environment.run((input: { account: string }) => activities.checkStorage(input), {
    account: 'https://x.example',
  });
}

const told = (findings: readonly Finding[]): string[][] =>
  findings.map(({ ok, check, warning = '', detail }) => [ok ? 'ok' : 'failed', check, warning, detail]);

it('an account that keeps nothing of what was deleted passes without a warning', async () => {
  expect(told(await checked({})).slice(3)).toEqual([
    ['ok', 'deleted blobs', '', 'gone at once'],
    ['ok', 'deleted containers', '', 'gone at once'],
    ['ok', 'earlier versions', '', 'none are kept'],
  ]);
});

it('what it keeps is a warning that says for how long, and what to do', async () => {
  const found = await checked({
    deletedBlobsStay: async () => 7,
    deletedContainerStays: async () => 1,
    versionsStay: async () => true,
  });
  expect(told(found).slice(3)).toEqual([
    ['ok', 'deleted blobs', 'DELETED_BLOBS_KEPT', 'DELETED_BLOBS_KEPT: kept for 7 days'],
    ['ok', 'deleted containers', 'DELETED_CONTAINERS_KEPT', 'DELETED_CONTAINERS_KEPT: kept for 1 day'],
    ['ok', 'earlier versions', 'VERSIONS_KEPT', 'VERSIONS_KEPT: kept until somebody deletes them'],
  ]);
  expect(found.at(-1)?.hint).toMatch(/^Switch versioning off .*docs\/secrets\.md/);
});

it('what it does not tell is said to be unknown', async () => {
  const found = await checked({
    deletedBlobsStay: async () => null,
    deletedContainerStays: async () => null,
  });
  const unknown = 'not told to whoever asks: see soft delete in the portal';
  expect(told(found).slice(3, 5)).toEqual([
    ['ok', 'deleted blobs', '', unknown],
    ['ok', 'deleted containers', '', unknown],
  ]);
});

it('a container for everything that anybody may read is told first', async () => {
  const found = await checked({ isPublic: async (name) => name === 'all' }, 'all');
  expect(told(found)[3]).toEqual([
    'ok',
    'deleted blobs',
    'CONTAINER_PUBLIC',
    'CONTAINER_PUBLIC: anybody may read all',
  ]);
});

it('takes away what earlier attempts left, whose workers died', async () => {
  const made: string[] = [];
  await checked({}, null, made, 3);
  const [, first, second, third] = made;
  expect(made).toEqual(['hubferry', first, second, third, `${third} deleted`]);
  expect(first).toBe(`${checkContainer(1_001)} deleted`);
  expect(second).toBe(`${checkContainer(1_002)} deleted`);
  expect(third).toBe(checkContainer(1_003));
});
