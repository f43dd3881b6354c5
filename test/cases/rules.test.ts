import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { parseRules } from '../../config/rules.js';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import { NEW_KEYS_BLOB, newKeysContainer, type RunReport } from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import { essence, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);
const rules = (text: string) => ({ rules: parseRules('rules.yaml', text) });
const swapped = (n: number) => {
  const { primaryKey, secondaryKey, type } = keys(n);
  return { type, primaryKey: secondaryKey, secondaryKey: primaryKey };
};
const theirs = () => essence(hub('new').dump()) as Record<string, Record<string, unknown>>;
const totals = ({ rules: done = [] }: RunReport) =>
  done.map(({ name, matched, changed }) => [name, matched, changed]);

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1), tags: { site: 'eu' } },
  { deviceId: 'below', iotEdge: true, parent: 'gw', authentication: keys(3), tags: { site: 'eu' } },
  { deviceId: 'leaf', parent: 'below', authentication: keys(5), tags: { site: 'eu', old: 1 } },
  {
    deviceId: 'leaf',
    moduleId: 'm',
    authentication: keys(7),
    tags: { site: 'eu' },
    desired: { a: { b: 1 } },
  },
  { deviceId: 'far', authentication: keys(9), tags: { site: 'us' } },
  { deviceId: 'far', moduleId: 'm', authentication: keys(11) },
  { deviceId: 'alone', authentication: keys(13), status: 'disabled', statusReason: 'spare' },
];

const everything = rules(`
- name: leave us alone
  when: kind != 'module' && tags.?site.orValue('') == 'us'
  then: { exclude: true }
- name: one namespace
  when: id != 'alone'
  then: { rename: '{{id}}-eu' }
- name: clean tags
  when: kind == 'device' && id.endsWith('-eu')
  then:
    tags: { remove: [old], set: { location.floor: 3 } }
    desired: { set: { from: old hub } }
- when: kind == 'module'
  then: { keys: swap, desired: { set: { a.c: [1] } } }
- when: status == 'disabled'
  then: { status: enabled, statusReason: '' }
`);

describe('--rules', () => {
  it('filter, rename, edit and swap on the way; a second time nothing is written', async () => {
    hub('old').load(fleet);
    const planned = await stand.migrated({ goal: 'plan', ...everything });
    expect(planned).toMatchObject({ error: null, outcome: 'planned' });
    expect(totals(planned)).toEqual([
      ['leave us alone', 1, 1],
      ['one namespace', 6, 4],
      ['clean tags', 2, 2],
      ['rule 4', 2, 2],
      ['rule 5', 1, 1],
    ]);
    const report = await stand.migrated(everything);
    expect(report).toMatchObject({ error: null, outcome: 'verified', plan: planned.plan });
    expect(report.ledger).toMatchObject({ filtered: 2, desired: 5, create: 5, applied: 5 });
    expect(Object.keys(theirs()).toSorted()).toEqual([
      'alone/',
      'below-eu/',
      'gw-eu/',
      'leaf-eu/',
      'leaf-eu/m',
    ]);
    expect(theirs()).toMatchObject({
      'alone/': { status: 'enabled', statusReason: '' },
      'below-eu/': { parent: 'gw-eu' },
      'leaf-eu/': {
        parent: 'below-eu',
        authentication: keys(5),
        tags: { site: 'eu', location: { floor: 3 } },
        desired: { from: 'old hub' },
      },
      'leaf-eu/m': { authentication: swapped(7), desired: { a: { b: 1, c: [1] } } },
    });
    expect(theirs()['leaf-eu/']?.['tags']).not.toHaveProperty('old');

    hub('new').resetCounters();
    const again = await stand.migrated(everything);
    expect(again).toMatchObject({ outcome: 'verified', ledger: { filtered: 2, unchanged: 5, create: 0 } });
    expect(writesOf(hub('new'))).toEqual({});
    expect(again.jobs.filter(({ type }) => type === 'import')).toEqual([]);
    const verified = await stand.migrated({ goal: 'verify', ...everything });
    expect(verified).toMatchObject({ outcome: 'verified', verify: { match: 5, extra: 0 } });
    expect(await stand.migrated({ goal: 'verify' })).toMatchObject({ outcome: 'differences' });
  });

  it('what they leave out is never extra and never deleted', async () => {
    hub('old').load(fleet);
    hub('new').load([
      { deviceId: 'far', authentication: keys(90), tags: { theirs: true } },
      { deviceId: 'far', moduleId: 'm', authentication: keys(91) },
      { deviceId: 'far', moduleId: 'only-here', authentication: keys(92) },
      { deviceId: 'far-eu', authentication: keys(93) },
      { deviceId: 'stranger', authentication: keys(94) },
    ]);
    const before = theirs();
    const report = await stand.migrated({ ...everything, extra: 'delete', maxDelete: 5 });
    expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { filtered: 2, delete: 1 } });
    expect(hub('new').record('stranger')).toBeUndefined();
    for (const key of ['far/', 'far/m', 'far/only-here', 'far-eu/'])
      expect(theirs()[key]).toEqual(before[key]);
  });

  describe('children of an edge device that is left out', () => {
    const noGateway = rules(`[{ when: id == 'gw', then: { exclude: true } }]`);

    it('end the run before any write, by default', async () => {
      hub('old').load(fleet);
      const report = await stand.migrated(noGateway);
      expect(report).toMatchObject({ outcome: 'failed', error: { code: 'PARENT_FILTERED' } });
      expect(report.error?.message).toContain('"below"');
      expect(theirs()).toEqual({});
    });

    it('lose their parent under detach', async () => {
      hub('old').load(fleet);
      const report = await stand.migrated({ ...noGateway, orphans: 'detach' });
      expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { filtered: 3, create: 6 } });
      expect(report.warnings).toContainEqual({ code: 'DETACHED', count: 1, samples: ['below'] });
      expect(theirs()).toMatchObject({ 'below/': { parent: null }, 'leaf/': { parent: 'below' } });
    });

    it('are left out, with all below and their modules, under exclude', async () => {
      hub('old').load(fleet);
      const report = await stand.migrated({ ...noGateway, orphans: 'exclude' });
      expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { filtered: 8, create: 3 } });
      expect(report.warnings).toContainEqual({
        code: 'EXCLUDED_WITH_PARENT',
        count: 2,
        samples: expect.arrayContaining(['below', 'leaf']) as unknown,
      });
      expect(Object.keys(theirs()).toSorted()).toEqual(['alone/', 'far/', 'far/m']);
    });
  });

  it.each<[string, string, string, RegExp]>([
    [
      'an expression fails on a record',
      `[{ name: by site, when: tags.site == 'eu', then: { exclude: true } }]`,
      'RULE_FAILED',
      /rule 1 \("by site"\) fails on record "(?:far\/m|alone)": No such key: site/,
    ],
    [
      'two devices get one id',
      `[{ when: "id in ['far', 'leaf']", then: { rename: one } }]`,
      'RENAME_COLLISION',
      /"one"/,
    ],
    [
      'two edge devices get one id',
      `[{ when: iotEdge, then: { rename: one } }]`,
      'RENAME_COLLISION',
      /"gw" and "below"|"below" and "gw"/,
    ],
    [
      'a device gets the id of another',
      `[{ when: id == 'far', then: { rename: leaf } }]`,
      'RENAME_COLLISION',
      /"leaf"/,
    ],
  ])('nothing is written where %s', async (_what, text, code, message) => {
    hub('old').load(fleet);
    const report = await stand.migrated(rules(text));
    expect(report).toMatchObject({ outcome: 'failed', error: { code } });
    expect(report.error?.message).toMatch(message);
    expect(theirs()).toEqual({});
  });

  it('a device may take the id of one that is left out', async () => {
    hub('old').load(fleet);
    const report = await stand.migrated(
      rules(`
- { when: id == 'far', then: { exclude: true } }
- { when: id == 'alone', then: { rename: far } }
`),
    );
    expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { filtered: 2, create: 5 } });
    expect(theirs()['far/']).toMatchObject({ statusReason: 'spare' });
  });

  it('system modules follow their edge device: under its new id, or left out with it', async () => {
    const agent = (deviceId: string): FleetRecord => ({
      deviceId,
      moduleId: '$edgeAgent',
      authentication: { type: 'none' },
      desired: { schemaVersion: '1.1', of: deviceId },
    });
    hub('old').load([
      { deviceId: 'here', iotEdge: true, authentication: keys(1) },
      agent('here'),
      { deviceId: 'there', iotEdge: true, authentication: keys(3) },
      agent('there'),
    ]);
    const report = await stand.migrated(
      rules(`
- { when: id == 'there', then: { exclude: true } }
- { when: 'true', then: { rename: '{{id}}-eu', desired: { set: { rules: see no system modules } } } }
`),
    );
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(report.ledger).toMatchObject({ source: 6, system: 2, filtered: 3, desired: 1 });
    expect(report.rules).toEqual([
      { name: 'rule 1', matched: 1, changed: 1 },
      { name: 'rule 2', matched: 2, changed: 2 },
    ]);
    expect(hub('new').record('here-eu', '$edgeAgent')).toMatchObject({ desired: { of: 'here' } });
    expect(hub('new').record('here-eu', '$edgeAgent')?.desired).not.toHaveProperty('rules');
    expect(Object.keys(theirs())).toEqual(['here-eu/']);
  });

  it('an id that no hub takes is refused, and what hangs on it, too', async () => {
    hub('old').load(fleet);
    const report = await stand.migrated(rules(`[{ when: id == 'below', then: { rename: 'b/{{id}}' } }]`));
    expect(report).toMatchObject({ error: null, outcome: 'differences', ledger: { refused: 3, create: 4 } });
    expect(report.rejected.map(({ record, code }) => [record, code])).toEqual(
      expect.arrayContaining([
        ['b/below', 'ID_CHARACTERS'],
        ['leaf', 'PARENT_REFUSED'],
        ['leaf/m', 'DEVICE_REFUSED'],
      ]),
    );
  });

  describe('keys: regenerate', () => {
    const fresh = rules(`[{ when: id != 'alone', then: { keys: regenerate } }]`);
    const madeIn = async (run: string): Promise<Map<string, ReturnType<typeof keys>>> => {
      const text = (await stand.storage.readText(newKeysContainer(run), NEW_KEYS_BLOB)) ?? '';
      const lines = text.split('\n').filter((line) => line !== '');
      return new Map(
        lines.map((line) => {
          const made = JSON.parse(line) as ReturnType<typeof keys> & { deviceId: string; moduleId?: string };
          const { deviceId, moduleId = '', primaryKey, secondaryKey } = made;
          return [`${deviceId}/${moduleId}`, { type: 'sas', primaryKey, secondaryKey }];
        }),
      );
    };

    it('makes keys once, on create only, and hands them out; a second time nothing is written', async () => {
      hub('old').load([...fleet, { deviceId: 'cert', authentication: { type: 'certificateAuthority' } }]);
      // Modules go by REST in a repair round, and there is more than one.
      hub('new').set({ importModules: 'refuse' });
      const report = await stand.migrated(fresh);
      expect(report).toMatchObject({ error: null, outcome: 'verified', newKeys: 6 });
      const made = await madeIn(report.run);
      const source = essence(hub('old').dump()) as Record<string, Record<string, unknown>>;
      for (const [key, { authentication }] of Object.entries(theirs()))
        expect(authentication).toEqual(made.get(key) ?? source[key]?.['authentication']);
      expect(made.size).toBe(6);
      const all = [...made.values()].flatMap(({ primaryKey, secondaryKey }) => [primaryKey, secondaryKey]);
      expect(new Set(all).size).toBe(12);
      for (const key of all) expect(Buffer.from(key ?? '', 'base64')).toHaveLength(32);

      hub('new').resetCounters();
      const again = await stand.migrated(fresh);
      expect(again).toMatchObject({ outcome: 'verified', ledger: { unchanged: 8, create: 0, update: 0 } });
      expect(again).not.toHaveProperty('newKeys');
      expect(writesOf(hub('new'))).toEqual({});
      await stand.storage.deleteContainer(newKeysContainer(report.run));
    });

    it('leaves the keys of records that are there, whatever else is updated', async () => {
      hub('old').load(fleet);
      const there: FleetRecord[] = [
        { deviceId: 'far', authentication: keys(90), status: 'disabled', tags: { site: 'mars' } },
        {
          deviceId: 'leaf',
          authentication: {
            type: 'selfSigned',
            primaryThumbprint: 'A'.repeat(40),
            secondaryThumbprint: null,
          },
        },
      ];
      hub('new').load(there);
      const plan = await stand.migrated({ goal: 'plan', existing: 'overwrite', ...fresh });
      const report = await stand.migrated({ existing: 'overwrite', ...fresh });
      expect(report).toMatchObject({ error: null, outcome: 'verified', newKeys: 5, plan: plan.plan });
      const made = await madeIn(report.run);
      expect(theirs()['far/']).toMatchObject({
        authentication: keys(90),
        status: 'enabled',
        tags: { site: 'us' },
      });
      expect(theirs()['leaf/']).toMatchObject({ authentication: made.get('leaf/') });
      await stand.storage.deleteContainer(newKeysContainer(report.run));
    });

    it('keys are the same in every attempt, and in no history', async () => {
      hub('old').load(fleet);
      hub('new').addJobFault({ kind: 'rejectLines', lines: 2, code: 'DeviceNotFound', type: 'import' });
      const handle = await stand.migrate(fresh);
      const report = await stand.reportOf(handle);
      expect(report).toMatchObject({ error: null, outcome: 'verified', newKeys: 6 });
      expect(report.warnings.map(({ code }) => code)).toContain('REPAIR_ROUND');
      const made = await madeIn(report.run);
      for (const [key, authentication] of made) expect(theirs()[key]).toMatchObject({ authentication });
      const history = historyToJSON(await handle.fetchHistory());
      const payloads = [...history.matchAll(/"data": ?"([A-Za-z0-9+/=]+)"/g)];
      const texts = payloads.map(([, data = '']) => Buffer.from(data, 'base64').toString()).join('\n');
      expect(texts).toContain('regenerate');
      for (const { primaryKey, secondaryKey } of made.values()) {
        expect(texts).not.toContain(primaryKey);
        expect(texts).not.toContain(secondaryKey);
      }
      await stand.storage.deleteContainer(newKeysContainer(report.run));
    });
  });
});
