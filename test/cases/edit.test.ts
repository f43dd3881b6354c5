import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { Edit } from '../../registry/edit.js';
import { IMPORT_MODES } from '../../registry/modes.js';
import type { FleetRecord } from '../../simulator/index.js';
import { NEW_KEYS_BLOB, newKeysContainer, type RunReport } from '../../workflows/messages.js';
import { edited, startEdits } from '../support/edits.js';
import {
  essence,
  FAST,
  openTestStand,
  rolledBack,
  sharedServices,
  type TestStand,
  testRun,
} from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.hub('new').reset());

const keys = (n: number) => ({
  primaryKey: Buffer.alloc(32, n).toString('base64'),
  secondaryKey: Buffer.alloc(32, n + 1).toString('base64'),
});
const sas = (n: number) => ({ type: 'sas' as const, ...keys(n) });

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: sas(1) },
  { deviceId: 'leaf', parent: 'gw', authentication: sas(2), tags: { site: 'a', n: 1 } },
  { deviceId: 'plain', authentication: sas(3), desired: { a: { b: 1, c: 2 } } },
  { deviceId: 'plain', moduleId: 'm', authentication: sas(4), desired: { q: 1 } },
  { deviceId: 'gone', authentication: sas(5) },
  { deviceId: 'gone', moduleId: 'm', authentication: sas(6) },
  { deviceId: 'old', authentication: sas(7) },
  { deviceId: 'renewed', authentication: sas(8) },
  { deviceId: 'other', authentication: sas(9), tags: { site: 'b' } },
];

const held = () => essence(stand.hub('new').dump()) as Record<string, Record<string, unknown>>;
const imports = ({ jobs }: RunReport) => jobs.filter(({ type }) => type === 'import').length;

test('a mix of edits goes in one job, is proven, and touches nothing else', async () => {
  stand.hub('new').load(fleet);
  const before = held();
  const report = await edited(
    stand,
    [
      { id: 'fresh', op: 'create', authentication: keys(20), tags: { merge: { site: 'x' } } },
      { id: 'made', op: 'create', parent: 'gw', status: 'disabled', statusReason: 'not yet' },
      { id: 'leaf', op: 'update', status: 'disabled', statusReason: 'lost' },
      { id: 'plain', op: 'update', desired: { merge: { a: { b: null, d: [1] } } } },
      { id: 'gone', op: 'delete' },
      { id: 'old', op: 'update', authentication: keys(30) },
      { id: 'renewed', op: 'update', keys: 'regenerate-primary' },
    ],
    { maxDelete: 1 },
  );
  expect(report).toMatchObject({
    error: null,
    outcome: 'verified',
    ledger: {
      source: 11,
      system: 2,
      filtered: 3,
      refused: 0,
      desired: 6,
      create: 2,
      update: 4,
      delete: 1,
      applied: 7,
    },
    verify: { compared: 6, match: 6, extra: 0 },
    newKeys: 2,
    warnings: [{ code: 'NEW_KEYS', count: 2 }],
  });
  expect(imports(report)).toBe(1);

  const made = await keysOf(report);
  const { 'gone/': _, 'gone/m': __, ...kept } = before;
  const auth = (n: number) => ({ ...(before['old/']?.['authentication'] as object), ...sas(n) });
  const base = before['other/'];
  expect(held()).toEqual({
    ...kept,
    'fresh/': { ...base, authentication: auth(20), tags: { site: 'x' } },
    'made/': {
      ...base,
      authentication: { ...auth(0), ...made['made'] },
      tags: {},
      status: 'disabled',
      statusReason: 'not yet',
      parent: 'gw',
    },
    'leaf/': { ...before['leaf/'], status: 'disabled', statusReason: 'lost' },
    'plain/': { ...before['plain/'], desired: { a: { c: 2, d: [1] } } },
    'old/': { ...before['old/'], authentication: auth(30) },
    'renewed/': {
      ...before['renewed/'],
      authentication: { ...auth(8), primaryKey: made['renewed']?.primaryKey },
    },
  });
  expect(made['renewed']?.secondaryKey).toBe(keys(8).secondaryKey);
  expect(made['renewed']?.primaryKey).not.toBe(keys(8).primaryKey);
});

interface Made {
  readonly deviceId: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

async function keysOf({ run }: RunReport): Promise<Record<string, Omit<Made, 'deviceId'>>> {
  const text = (await stand.storage.readText(newKeysContainer(run), NEW_KEYS_BLOB)) ?? '';
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Made);
  return Object.fromEntries(lines.map(({ deviceId, ...made }) => [deviceId, made]));
}

test('rules edit what they match, after the list', async () => {
  stand.hub('new').load(fleet);
  const report = await edited(stand, [{ id: 'plain', op: 'update', tags: { merge: { site: 'a' } } }], {
    rules: [
      { name: 'site a', when: 'has(tags.site) && tags.site == "a"', then: { status: 'disabled' } },
      { when: 'id == "gone"', then: { delete: true } },
    ],
    maxDelete: 1,
  });
  expect(report).toMatchObject({
    error: null,
    outcome: 'verified',
    ledger: { source: 9, filtered: 5, desired: 2, update: 2, delete: 1 },
    rules: [
      { name: 'site a', matched: 2, changed: 2 },
      { name: 'rule 2', matched: 1, changed: 1 },
    ],
  });
  expect(held()).toMatchObject({ 'plain/': { status: 'disabled', tags: { site: 'a' } } });
  expect(held()).not.toHaveProperty('gone/m');
});

test('what cannot be done is refused by its reason, and the rest is done', async () => {
  stand.hub('new').load(fleet);
  const list: Edit[] = [
    { id: 'plain', op: 'create' },
    { id: 'nobody', op: 'delete' },
    { id: 'other', op: 'update', status: 'disabled', eTag: 'AAAA' },
    { id: 'leaf', op: 'update', parent: 'nowhere' },
    { id: 'gw', moduleId: '$edgeAgent', op: 'delete' },
    { id: 'old', op: 'update', tags: { merge: { a: 1 } } },
  ];
  const report = await edited(stand, list);
  expect(report).toMatchObject({ error: null, outcome: 'differences', ledger: { refused: 5, update: 1 } });
  expect(Object.fromEntries(report.rejected.map(({ record, code }) => [record, code]))).toEqual({
    plain: 'RECORD_EXISTS',
    nobody: 'RECORD_MISSING',
    other: 'ETAG_DIFFERS',
    leaf: 'PARENT_UNKNOWN',
    'gw/$edgeAgent': 'SYSTEM_MODULE',
  });
  expect(held()).toMatchObject({ 'old/': { tags: { a: 1 } } });
});

test('every mode can be chosen, and is what the job is given', async () => {
  const old: FleetRecord[] = IMPORT_MODES.map((mode, n) => ({ deviceId: mode, authentication: sas(n * 2) }));
  stand.hub('new').load([...old.filter(({ deviceId }) => deviceId !== 'create'), ...fleet]);
  const edits: Partial<Record<string, Omit<Edit, 'id' | 'mode'>>> = {
    create: { op: 'create', authentication: keys(20) },
    update: { op: 'update', status: 'disabled', tags: { merge: { a: 1 } } },
    createOrUpdate: { op: 'upsert', statusReason: 'why', desired: { replace: '{"z":1.50}' } },
    updateTwin: { op: 'update', tags: { merge: { a: 1 } } },
    delete: { op: 'delete' },
  };
  const list = IMPORT_MODES.map((mode): Edit => {
    const edit = edits[mode.replace('IfMatchETag', '')];
    return { op: 'update', ...edit, id: mode, mode };
  });
  list.push({ id: 'fresh', op: 'upsert', authentication: keys(30), mode: 'createOrUpdate' });
  const run = testRun();
  stand.hub('new').set({ startDelay: 1500 });
  const handle = await startEdits(stand, list, { run, maxDelete: 2 });
  const text = await until('the lines of the job', async () =>
    stand.storage.readText(`hf-${run}-100000-1`, 'devices.txt').catch(() => null),
  );
  stand.hub('new').set({ startDelay: 0 });
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const sent = lines.map(
    ({ id, importMode, eTag, twinETag }) =>
      `${String(id)} ${String(importMode)} ${Boolean(eTag ?? twinETag)}`,
  );
  const asked = list.map(({ id, mode = '' }) => `${id} ${mode} ${mode.endsWith('IfMatchETag')}`);
  expect(sent.toSorted()).toEqual(asked.toSorted());
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 10, delete: 2 } });
  expect(imports(report)).toBe(1);
});

test('its rollback leaves the hub as before', async () => {
  stand.hub('new').load(fleet);
  const before = held();
  const run = await edited(
    stand,
    [
      { id: 'fresh', op: 'create' },
      { id: 'gone', op: 'delete' },
      { id: 'plain', moduleId: 'm', op: 'update', keys: 'regenerate', desired: { replace: '{}' } },
      { id: 'plain', moduleId: 'new', op: 'create', tags: { merge: { a: 1 } } },
      { id: 'leaf', op: 'update', parent: null, status: 'disabled' },
      { id: 'gw', op: 'update', statusReason: 'seen' },
    ],
    { maxDelete: 1 },
  );
  expect(run).toMatchObject({ error: null, outcome: 'verified' });
  expect(held()).toMatchObject({ 'leaf/': { parent: null }, 'gw/': { statusReason: 'seen' } });
  const undone = await rolledBack(stand, run);
  expect(undone).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
  expect(held()).toEqual(before);
});

test('a plan that has grown old is made again; too many deletes write nothing', async () => {
  stand.hub('new').load(fleet);
  const list: Edit[] = [
    { id: 'fresh', op: 'create' },
    { id: 'old', op: 'update', keys: 'regenerate' },
  ];
  const settings = { ...FAST, planMaxAge: 0 };
  const report = await edited(stand, list, { settings });
  expect(report).toMatchObject({ error: null, outcome: 'verified', newKeys: 2 });
  expect(report.jobs.filter(({ type }) => type === 'export')).toHaveLength(3);

  const before = held();
  const many = await edited(stand, [
    { id: 'gone', op: 'delete' },
    { id: 'old', op: 'delete' },
  ]);
  expect(many).toMatchObject({ outcome: 'failed', error: { code: 'TOO_MANY_DELETES' } });
  expect(held()).toEqual(before);
});

test('edits hold keys, so nothing of them stays', async () => {
  stand.hub('new').load(fleet);
  const report = await edited(stand, [{ id: 'old', op: 'update', authentication: keys(30) }]);
  expect(report).toMatchObject({ outcome: 'verified' });
  const left: string[] = [];
  for await (const name of stand.storage.listContainers(`hf-${report.run}-`)) left.push(name);
  expect(left).toEqual([report.snapshots.target]);
});
