import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { SnapshotInfo } from '../../activities/backup-export.js';
import { parseRules } from '../../config/rules.js';
import { REGENERATE_KEYS } from '../../registry/rules.js';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import {
  NEW_KEYS_BLOB,
  newKeysContainer,
  type RunReport,
  readerIdOf,
  type SnapshotInput,
} from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import {
  essence,
  FAST,
  openTestStand,
  sharedServices,
  type TestStand,
  testRun,
  writesOf,
} from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);
const theirs = (name: 'old' | 'new') => essence(hub(name).dump()) as Record<string, Record<string, unknown>>;
const certificate = {
  type: 'selfSigned' as const,
  primaryThumbprint: '89AbCdEf0123456789aBcDeF0123456789abcdef',
  secondaryThumbprint: null,
};

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'gw', moduleId: '$edgeAgent', authentication: { type: 'none' }, desired: { schema: 1 } },
  { deviceId: 'gw', moduleId: 'deployed', authentication: { type: 'none' }, desired: { d: 1 } },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(3), tags: { n: 1 } },
  { deviceId: 'leaf', moduleId: 'm', authentication: keys(5), desired: { a: 1 } },
  { deviceId: 'leaf', moduleId: 'signed', authentication: certificate },
  { deviceId: 'signed', authentication: certificate },
  { deviceId: 'authority', authentication: { type: 'certificateAuthority' } },
  { deviceId: 'off', status: 'disabled', authentication: keys(7) },
  { deviceId: 'off', moduleId: 'm', authentication: keys(9) },
];
const SAS = ['gw/', 'leaf/', 'leaf/m', 'off/', 'off/m'];

/** Takes a snapshot without keys. */
async function taken(): Promise<RunReport & { id: string }> {
  const run = testRun();
  const input: SnapshotInput = {
    run,
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host: hub('old').hostName },
    excludeKeys: true,
  };
  const handle = await stand.client.workflow.start('snapshot', {
    workflowId: readerIdOf('snapshot', run),
    taskQueue: stand.taskQueue,
    args: [input],
  });
  const report = await stand.reportOf(handle);
  expect(report.error).toBeNull();
  const events = JSON.stringify(historyToJSON(await handle.fetchHistory()));
  expect(keysIn(events)).toEqual([]);
  return { ...report, id: report.snapshots.source ?? '' };
}

const keysIn = (text: string): number[] =>
  [1, 3, 5, 7, 9].filter((n) => [keys(n).primaryKey, keys(n).secondaryKey].some((key) => text.includes(key)));

async function manifestOf(id: string): Promise<SnapshotInfo> {
  return JSON.parse((await stand.storage.readText(id, 'manifest.json')) ?? '') as SnapshotInfo;
}

/** Type and thumbprint by record, as the snapshot's lines have them. */
async function authenticationsIn(id: string): Promise<Record<string, unknown>> {
  const text = (await stand.storage.readText(id, 'devices.txt')) ?? '';
  expect(keysIn(text)).toEqual([]);
  const lines = text.trimEnd().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const {
        id: deviceId,
        moduleId = '',
        authentication,
      } = JSON.parse(line) as Record<string, unknown> & {
        authentication: { type: string; x509Thumbprint: { primaryThumbprint: string } } | null;
      };
      const known = authentication && [authentication.type, authentication.x509Thumbprint.primaryThumbprint];
      return [`${String(deviceId)}/${String(moduleId)}`, known];
    }),
  );
}

const known = {
  'gw/': ['sas', null],
  'gw/$edgeAgent': ['none', null],
  'gw/$edgeHub': ['none', null],
  'gw/deployed': ['none', null],
  'leaf/': ['sas', null],
  'leaf/m': ['sas', null],
  'leaf/signed': ['selfSigned', certificate.primaryThumbprint],
  'signed/': ['selfSigned', certificate.primaryThumbprint],
  'authority/': ['certificateAuthority', null],
  'off/': ['sas', null],
  'off/m': ['sas', null],
};

/** Then the hub is asked by id, where under SAS it tells nothing of modules of disabled devices. */
const withoutQueries = () =>
  hub('old').addFault({ kind: 'status', status: 400, route: 'POST /devices/query' });

const regenerate = { rules: [REGENERATE_KEYS] };

describe('snapshot --exclude-keys', () => {
  it('holds types and thumbprints, from queries, and no key; its manifest says so', async () => {
    hub('old').load(fleet);
    const report = await taken();
    expect(report).toMatchObject({ outcome: 'done', ledger: { source: 11, system: 3 } });
    expect(report.warnings.map(({ code, count }) => [code, count])).toEqual([['KEYS_EXCLUDED', 5]]);
    expect(report.warnings[0]?.samples[0]).toContain('before they can connect');
    expect(await manifestOf(report.id)).toMatchObject({
      keys: false,
      lackingKeys: 5,
      authenticationUnknown: 0,
      records: 11,
    });
    expect(await authenticationsIn(report.id)).toEqual(known);
    // Devices and modules, one page of each; statistics and configurations besides.
    expect(hub('old').counts()['POST /devices/query']).toBe(2);
    expect(hub('old').counts()['GET /devices/{id}']).toBeUndefined();
  });

  it('takes what the export tells by itself', async () => {
    hub('old').load(fleet);
    hub('old').set({ exportExcludedKeys: 'nullKeys', exportWarning: false, exportBom: true });
    const { id } = await taken();
    expect(await authenticationsIn(id)).toEqual(known);
    expect(hub('old').counts()['POST /devices/query']).toBeUndefined();
  });

  it('does not take what a query still shows of an earlier state', async () => {
    hub('old').load([{ deviceId: 'signed', authentication: keys(1) }]);
    hub('old').set({ queryLag: 60_000 });
    hub('new').load([{ deviceId: 'signed', authentication: certificate }]);
    const back = await stand.migrated({
      source: { kind: 'hub', host: hub('new').hostName },
      target: { host: hub('old').hostName },
      existing: 'overwrite',
    });
    expect(back).toMatchObject({ outcome: 'verified', ledger: { update: 1 } });
    const { id } = await taken();
    expect(await authenticationsIn(id)).toEqual({ 'signed/': known['signed/'] });
  });

  it('asks by id for what queries do not show, and leaves open what the hub does not tell', async () => {
    hub('old').load(fleet);
    withoutQueries();
    const report = await taken();
    const { 'gw/$edgeAgent': _agent, 'gw/$edgeHub': _hub, ...others } = known;
    expect(await authenticationsIn(report.id)).toMatchObject({ ...others, 'off/m': null });
    expect(report.warnings).toContainEqual({ code: 'AUTHENTICATION_UNKNOWN', count: 1, samples: ['off/m'] });
    expect(await manifestOf(report.id)).toMatchObject({ lackingKeys: 4, authenticationUnknown: 1 });
  });
});

describe('migrate from a snapshot without keys', () => {
  it('refuses before anything is written or exported, unless keys are made', async () => {
    hub('old').load(fleet);
    const { id } = await taken();
    const source = { kind: 'snapshot', id } as const;
    for (const goal of ['plan', 'migrate'] as const) {
      const report = await stand.migrated({ goal, source });
      expect(report).toMatchObject({ outcome: 'failed', error: { code: 'KEYS_EXCLUDED' }, jobs: [] });
      expect(report.error?.message).toContain('the keys of 5 records');
    }
    const some = parseRules('rules.yaml', `[{ when: kind == 'module', then: { keys: regenerate } }]`);
    const report = await stand.migrated({ source, rules: some });
    expect(report.error).toMatchObject({ code: 'KEYS_EXCLUDED' });
    expect(report.error?.message).toContain('gives new ones: 3');
    expect(writesOf(hub('new'))).toEqual({});
    expect(theirs('new')).toEqual({});
  });

  it('--keys regenerate makes keys on create only, and a second run writes nothing', async () => {
    hub('old').load(fleet);
    hub('new').load([{ deviceId: 'leaf', authentication: keys(90), tags: { old: true } }]);
    const { id } = await taken();
    const options = { source: { kind: 'snapshot', id }, existing: 'overwrite', ...regenerate } as const;
    const planned = await stand.migrated({ goal: 'plan', ...options });
    expect(planned.warnings).toContainEqual(expect.objectContaining({ code: 'NEW_KEYS', count: 4 }));
    const report = await stand.migrated(options);
    expect(report).toMatchObject({ error: null, outcome: 'verified', plan: planned.plan, newKeys: 4 });
    expect(report.rules).toEqual([{ name: '--keys regenerate', matched: 8, changed: 5 }]);
    const after = theirs('new');
    const made = (await stand.storage.readText(newKeysContainer(report.run), NEW_KEYS_BLOB)) ?? '';
    const lines = made
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    const names = lines.map(({ deviceId, moduleId = '' }) => `${deviceId}/${moduleId}`);
    expect(names.toSorted()).toEqual(SAS.filter((name) => name !== 'leaf/'));
    for (const { deviceId, moduleId = '', primaryKey, secondaryKey } of lines)
      expect(after[`${deviceId}/${moduleId}`]).toMatchObject({
        authentication: { type: 'sas', primaryKey, secondaryKey },
      });
    for (const name of ['signed/', 'authority/', 'leaf/signed'])
      expect(after[name]).toEqual(theirs('old')[name]);
    expect(after['leaf/']).toMatchObject({ authentication: keys(90), tags: { n: 1 }, parent: 'gw' });
    expect(hub('new').record('gw', 'deployed')).toMatchObject({ authentication: { type: 'none' } });

    hub('new').resetCounters();
    const again = await stand.migrated(options);
    expect(again).toMatchObject({ outcome: 'verified', ledger: { create: 0, update: 0, unchanged: 8 } });
    expect(writesOf(hub('new'))).toEqual({});
    expect(theirs('new')).toEqual(after);
  });

  it('a record of which nobody knows how it proves who it is is refused, and the others go on', async () => {
    hub('old').load(fleet);
    withoutQueries();
    const { id } = await taken();
    const report = await stand.migrated({ source: { kind: 'snapshot', id }, ...regenerate });
    expect(report).toMatchObject({ outcome: 'differences', ledger: { refused: 1, create: 7, applied: 7 } });
    expect(report.rejected.map(({ record, code }) => [record, code])).toEqual([
      ['off/m', 'AUTHENTICATION_UNKNOWN'],
    ]);
    expect(Object.keys(theirs('new'))).not.toContain('off/m');
  });
});

describe('verify against a snapshot without keys', () => {
  it('says once that keys are not compared, and finds all else', async () => {
    hub('old').load(fleet);
    expect(await stand.migrated()).toMatchObject({ outcome: 'verified' });
    withoutQueries();
    const { id } = await taken();
    const source = { kind: 'snapshot', id } as const;
    const report = await stand.migrated({ goal: 'verify', source });
    expect(report).toMatchObject({ error: null, outcome: 'verified', verify: { match: 8 } });
    expect(report.warnings.map(({ code, count }) => [code, count])).toEqual([
      ['KEYS_NOT_COMPARED', 4],
      ['AUTHENTICATION_UNKNOWN', 1],
    ]);
    expect(await stand.migrated({ goal: 'verify', source, ...regenerate })).toMatchObject({
      outcome: 'verified',
      warnings: [{ code: 'KEYS_NOT_COMPARED', count: 4 }, { code: 'AUTHENTICATION_UNKNOWN' }],
    });

    hub('new').load([{ deviceId: 'signed', authentication: keys(70) }]);
    const differs = await stand.migrated({ goal: 'verify', source });
    expect(differs).toMatchObject({ outcome: 'differences', verify: { different: 1 } });
    expect(differs.fields).toEqual({
      'authentication.type': 1,
      'authentication.primaryKey': 1,
      'authentication.secondaryKey': 1,
      'authentication.primaryThumbprint': 1,
    });
  });
});
