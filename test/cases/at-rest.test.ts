import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { openRawStorage } from '../../azure/storage.js';
import type { RawStorage } from '../../azure/storage-port.js';
import { storageOf } from '../../config/index.js';
import type { FleetRecord } from '../../simulator/index.js';
import { NEW_KEYS_BLOB, newKeysContainer } from '../../workflows/messages.js';
import { edited } from '../support/edits.js';
import {
  essence,
  openTestStand,
  rolledBack,
  sharedServices,
  type TestStand,
  testRun,
} from '../support/stand.js';

const PLANTED = 'planted-key-of-thirty-two-bytes!';
const CONTENT = 'planted-content-51c7';
const KEYS = `keys: { k1: "${Buffer.alloc(32, 'K').toString('base64')}" }\nsettings: { keyId: k1 }`;

let stand: TestStand;
let raw: RawStorage;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject), undefined, {}, '', { keys: KEYS });
  raw = openRawStorage(storageOf(stand.config));
});
afterAll(() => stand.close());

const key = Buffer.from(PLANTED).toString('base64');
const sas = { type: 'sas', primaryKey: key, secondaryKey: key } as const;
const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: sas },
  { deviceId: 'leaf', parent: 'gw', authentication: sas, tags: { site: CONTENT } },
  { deviceId: 'there', authentication: sas, desired: { a: CONTENT } },
  { deviceId: 'there', moduleId: 'm', authentication: sas },
];
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(fleet);
  stand.hub('new').load([{ deviceId: 'there', authentication: sas, desired: { a: 'before' } }]);
});

const held = () => essence(stand.hub('new').dump());

/** What a reader of the account could find of a secret. */
const FORMS = [PLANTED, CONTENT].flatMap((secret) => {
  const base64 = Buffer.from(secret).toString('base64');
  return [secret, base64, encodeURIComponent(base64), Buffer.from(base64).toString('base64').slice(0, 40)];
});

async function bytesOf(container: string, blob: string): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of await raw.read(container, blob)) all.push(chunk);
  return Buffer.concat(all);
}

/** Looks into all that a run has in storage. @returns how many blobs its own containers hold */
async function expectSealed(run: string): Promise<number> {
  let own = 0;
  const open: string[] = [];
  for (const prefix of [`hf-${run}-`, 'hubferry']) {
    for await (const container of raw.listContainers(prefix)) {
      for await (const { name } of raw.list(container)) {
        if (container === 'hubferry' && !name.includes(run)) continue;
        const text = (await bytesOf(container, name)).toString('latin1');
        if (FORMS.some((form) => text.includes(form))) open.push(`${container}/${name}`);
        if (container === 'hubferry') continue;
        own += 1;
        if (!text.startsWith('\u0089HFSEAL')) open.push(`${container}/${name} is not sealed`);
      }
    }
  }
  expect(open).toEqual([]);
  return own;
}

it('what a run keeps is sealed, serves a rollback and a restore, and is refused once somebody has changed it', async () => {
  const before = held();
  const cleaning = stand.hold('cleanUp');
  const run = testRun();
  const handle = await stand.migrate({ run, existing: 'overwrite' });
  await cleaning.reached;
  expect(await expectSealed(run)).toBeGreaterThan(20);
  cleaning.release();
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(await expectSealed(run)).toBeGreaterThan(5);

  expect(await rolledBack(stand, report)).toMatchObject({ error: null, outcome: 'verified' });
  expect(held()).toEqual(before);

  stand.hub('new').reset();
  const source = { kind: 'snapshot', id: report.snapshots.source ?? '' } as const;
  expect(await stand.migrated({ source })).toMatchObject({ error: null, outcome: 'verified' });
  expect(held()).toEqual(essence(stand.hub('old').dump()));

  const bytes = await bytesOf(source.id, 'devices.txt');
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
  await raw.write(source.id, 'devices.txt', bytes, { contentType: 'application/vnd.hubferry.sealed' });
  stand.hub('new').reset();
  const refused = await stand.migrated({ source });
  expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'SEAL_BROKEN' } });
  expect(refused.jobs.filter(({ type }) => type === 'import')).toEqual([]);
  expect(held()).toEqual({});
});

it('edits and new keys are sealed, and given to their user as they are', async () => {
  const run = testRun();
  const cleaning = stand.hold('cleanUp');
  const list = [
    { id: 'there', op: 'update', tags: { merge: { site: CONTENT } } },
    { id: 'made', op: 'create', keys: 'regenerate' },
  ] as const;
  const editing = edited(stand, list, { run });
  await cleaning.reached;
  await expectSealed(run);
  cleaning.release();
  expect(await editing).toMatchObject({ error: null, outcome: 'verified', newKeys: 1 });
  await expectSealed(run);
  const keys = await stand.storage.readText(newKeysContainer(run), NEW_KEYS_BLOB);
  expect(JSON.parse(keys ?? '')).toMatchObject({ deviceId: 'made', primaryKey: expect.any(String) });
});
