import { describe, expect, it } from 'vitest';
import { parseLine, printDesiredLine } from '../../registry/line.js';
import { isSystemModule, type RegistryRecord } from '../../registry/record.js';
import { type Fate, Names, RuledEdges, ruledPartition } from '../../registry/ruled.js';
import { type Actions, type OrphanPolicy, type Predicate, type Rule, Rules } from '../../registry/rules.js';
import { EdgeTable, edgeRow } from '../../registry/scopes.js';
import {
  AUTHORITY,
  authentication,
  exportLine,
  KEY_A,
  KEY_B,
  type LineParts,
  NO_AUTHENTICATION,
  record,
  thrown,
} from './records.js';

/** Expressions of these tests: code. */
const PREDICATES: Record<string, Predicate> = {
  all: () => true,
  none: () => false,
  enabled: ({ status }) => status === 'enabled',
  renamed: ({ id }) => id.endsWith('-eu'),
  tagged: ({ tags }) => tags['site'] !== undefined,
  module: ({ kind }) => kind === 'module',
  d: ({ id }) => id === 'd',
  broken: () => {
    throw new Error('No such key: site');
  },
};
const compile = (when: string): Predicate => PREDICATES[when] ?? (() => false);
const rule = (when: string, then: Actions): Rule => ({ when, then });
const rulesOf = (...rules: Rule[]): Rules => new Rules(rules, compile);
const ruled = (parts: Partial<LineParts>, ...rules: Rule[]) =>
  rulesOf(...rules).apply(record({ id: 'd', ...parts }), null);

describe('a rule', () => {
  it('that does not match, or changes nothing, leaves a line byte for byte', () => {
    const parts = { tagsText: '{"a" : 1.50}', desiredText: '{ "b":1e2}', status: 'enabled' as const };
    const untouched = record({ id: 'd', ...parts });
    const { record: now } = ruled(
      parts,
      rule('none', { exclude: true, rename: 'x' }),
      rule('all', {
        status: 'enabled',
        statusReason: '',
        rename: '{{id}}',
        keys: 'keep',
        tags: { set: { a: 1.5 }, remove: ['b.c', 'c'] },
        desired: { set: { b: 100 } },
      }),
    );
    expect(printDesiredLine(now, null)).toBe(printDesiredLine(untouched, null));
  });

  it('sets status and reason of devices only', () => {
    const then: Actions = { status: 'disabled', statusReason: 'lost' };
    expect(ruled({}, rule('all', then)).record).toMatchObject(then);
    expect(ruled({ moduleId: 'm' }, rule('all', then)).record).toMatchObject({ status: 'enabled' });
    const reasonOnly = ruled({ statusReason: 'old' }, rule('all', { status: 'disabled' }));
    expect(reasonOnly.record.statusReason).toBe('old');
  });

  it('edits tags and desired properties by path, removals first, and spares the spelling of the rest', () => {
    const { record: now } = ruled(
      { tagsText: '{"keep":1.50,"old":{"x":1},"gone":1}', desiredText: '{"n":12345678901234567890}' },
      rule('all', {
        tags: { remove: ['gone', 'old', 'not.there'], set: { 'old.y': 2, 'new.deep': [null, 1] } },
        desired: { set: { m: 'ü' } },
      }),
    );
    expect(now.raw.tags).toBe('{"keep":1.50,"old":{"y":2},"new":{"deep":[null,1]}}');
    expect(now.tags).toEqual({ keep: 1.5, old: { y: 2 }, new: { deep: [null, 1] } });
    expect(now.raw.desired).toBe('{"n":12345678901234567890,"m":"ü"}');
  });

  it('does not set a path through something that is no object', () => {
    const error = thrown(() =>
      ruled({ tagsText: '{"a":[1]}' }, rule('all', { tags: { set: { 'a.b': 1 } } })),
    );
    expect(error).toMatchObject({ code: 'RULE_FAILED' });
    expect(error.message).toContain('tags.a.b cannot be set');
  });

  it.each<[string, Actions['rename'], string]>([
    ['device-7', '{{id}}-eu', 'device-7-eu'],
    ['device-7', 'x{{id}}y{{id}}', 'xdevice-7ydevice-7'],
    ["d$&$'", '{{id}}-eu', "d$&$'-eu"],
    ['old-7', { match: '^old-(.*)$', to: 'new-$1' }, 'new-7'],
    ['other', { match: '^old-(.*)$', to: 'new-$1' }, 'other'],
    ['device-7', 'fixed', 'fixed'],
  ])('renames %s by %j to %s', (id, rename = '', to) => {
    const of = ruled({ id }, rule('all', { rename }));
    expect(of.record.deviceId).toBe(to);
    expect(of.ids.map(({ id: now }) => now)).toEqual(id === to ? [] : [to]);
  });

  it('swaps the keys of records that have some', () => {
    const keys = ruled({}, rule('all', { keys: 'swap' })).record;
    expect(keys.authentication).toMatchObject({ primaryKey: KEY_B, secondaryKey: KEY_A });
    expect(keys.raw.authentication).toBe(authentication({ type: 'sas', keys: [KEY_B, KEY_A] }));
    const certificate = ruled({ authenticationText: AUTHORITY }, rule('all', { keys: 'swap' })).record;
    expect(certificate.raw.authentication).toBe(AUTHORITY);
  });

  it('gives a stand-in for keys to be made', () => {
    const { record: now } = ruled({}, rule('all', { keys: 'regenerate' }));
    expect(printDesiredLine(now, null)).toContain('"primaryKey":"generated","secondaryKey":"generated"');
    const certificate = ruled({ authenticationText: AUTHORITY }, rule('all', { keys: 'regenerate' })).record;
    expect(certificate.raw.authentication).toBe(AUTHORITY);
  });

  it('that fails names itself and the record', () => {
    const error = thrown(() =>
      rulesOf(rule('all', {}), { name: 'by site', when: 'broken', then: { exclude: true } }).apply(
        record({ id: 'd', moduleId: 'm' }),
        null,
      ),
    );
    expect(error.code).toBe('RULE_FAILED');
    expect(error.message).toBe('rule 2 ("by site") fails on record "d/m": No such key: site.');
    expect(thrown(() => ruled({}, rule('all', { rename: { match: '.*', to: '' } }))).code).toBe(
      'RULE_FAILED',
    );
  });
});

describe('a list of rules', () => {
  it('runs in order, each on what those before have left', () => {
    const { record: now, excluded } = ruled(
      {},
      rule('renamed', { exclude: true }),
      rule('all', { rename: '{{id}}-eu', status: 'disabled' }),
      rule('renamed', { tags: { set: { site: 'eu' } } }),
      rule('enabled', { exclude: true }),
      rule('tagged', { statusReason: 'seen' }),
    );
    expect(now).toMatchObject({ deviceId: 'd-eu', tags: { site: 'eu' }, statusReason: 'seen' });
    expect(excluded).toBe(false);
  });

  it('includes what no rule excludes; the last one that matches decides', () => {
    const out = rule('all', { exclude: true });
    const back = rule('all', { include: true });
    expect(ruled({}).excluded).toBe(false);
    expect(ruled({}, out).excluded).toBe(true);
    expect(ruled({}, out, back).excluded).toBe(false);
    expect(ruled({}, out, back, rule('none', { exclude: true })).excluded).toBe(false);
    const keys = ruled({}, rule('all', { keys: 'swap' }), rule('all', { keys: 'keep' })).record;
    expect(keys.authentication).toMatchObject({ primaryKey: KEY_A });
  });

  it('counts what each rule matched and changed', () => {
    const rules = rulesOf(
      { name: 'first', when: 'all', then: { status: 'enabled' } },
      rule('module', { desired: { set: { a: 1 } } }),
      rule('none', { exclude: true }),
    );
    for (const parts of [{ status: 'disabled' as const }, {}, { moduleId: 'm' }])
      rules.apply(record({ id: 'd', ...parts }), null);
    expect(rules.tallies()).toEqual([
      { name: 'first', matched: 3, changed: 1 },
      { name: 'rule 2', matched: 1, changed: 1 },
      { name: 'rule 3', matched: 0, changed: 0 },
    ]);
  });

  it('shows a module its device’s id as it is at that point, and lets it follow', () => {
    const rules = rulesOf(
      rule('d', { rename: 'd-eu' }),
      rule('renamed', { tags: { set: { site: 'eu' } }, rename: 'last' }),
    );
    const device = rules.apply(record({ id: 'd' }), null);
    const module = rules.apply(record({ id: 'd', moduleId: 'm' }), null, device).record;
    expect(device.record.deviceId).toBe('last');
    expect(module).toMatchObject({ deviceId: 'last', moduleId: 'm', tags: { site: 'eu' } });
  });
});

const scope = (id: string): string => `ms-azure-iot-edge://${id}-1`;
const edge = (id: string, parent?: string): LineParts => ({
  id,
  iotEdge: true,
  deviceScope: scope(id),
  parentScopes: parent === undefined ? [] : [scope(parent)],
});

/** Below `top` is `mid`, below `mid` is `low`, each with a leaf and a module, and with the hub's own modules. */
const TREE: LineParts[] = ['top', 'mid', 'low'].flatMap((id, at) => [
  { id, moduleId: '$edgeAgent', authenticationText: NO_AUTHENTICATION },
  { id: `${id}-leaf`, moduleId: 'm' },
  edge(id, ['top', 'mid'][at - 1]),
  { id: `${id}-leaf`, deviceScope: scope(id) },
]);

function underRules(orphans: OrphanPolicy, ...list: Rule[]) {
  const lines = TREE.map((parts) => exportLine(parts));
  const records = lines.map(parseLine);
  const own = records.filter(({ iotEdge, moduleId }) => iotEdge && moduleId === null);
  const edges = new RuledEdges(EdgeTable.of(own.map(edgeRow)), orphans);
  const rules = new Rules(
    list,
    (when) =>
      ({ id, kind }) =>
        kind !== 'module' && new RegExp(when).test(id),
  );
  for (const device of own) edges.add(device.deviceId, rules.apply(device, edges.parentOf(device)));
  const found = [...ruledPartition(lines, rules, edges)];
  const name = ({ deviceId, moduleId }: RegistryRecord): string => `${deviceId}/${moduleId ?? ''}`;
  const fates: Record<string, Fate> = {};
  for (const { record: now, fate } of found) fates[name(now)] = fate;
  return { found, fates, rows: edges.rows(), names: found.map(({ record: now }) => name(now)) };
}

describe('children of an edge device that is left out', () => {
  const noMid = rule('^mid$', { exclude: true });
  const gone: Record<string, Fate> = {
    'mid/': 'filtered',
    'mid/$edgeAgent': 'filtered',
    'top/': 'kept',
    'top/$edgeAgent': 'kept',
    'top-leaf/': 'kept',
    'top-leaf/m': 'kept',
  };

  it.each<[OrphanPolicy, Record<string, Fate>]>([
    ['fail', { ...gone, 'mid-leaf/': 'orphan', 'mid-leaf/m': 'kept', 'low/': 'orphan', 'low-leaf/': 'kept' }],
    [
      'detach',
      { ...gone, 'mid-leaf/': 'detached', 'low/': 'detached', 'low-leaf/': 'kept', 'low-leaf/m': 'kept' },
    ],
    [
      'exclude',
      {
        ...gone,
        'mid-leaf/': 'below',
        'mid-leaf/m': 'filtered',
        'low/': 'below',
        'low/$edgeAgent': 'filtered',
        'low-leaf/': 'below',
        'low-leaf/m': 'filtered',
      },
    ],
  ])('%s', (orphans, expected) => {
    expect(underRules(orphans, noMid).fates).toMatchObject(expected);
  });

  it('lose their parent in their line or in the side table, and nothing else', () => {
    const { found, rows } = underRules('detach', noMid);
    const leaf = found.find(({ from }) => from === 'mid-leaf')?.record;
    expect(leaf).toMatchObject({ deviceScope: null, parentScopes: [] });
    expect(rows).toMatchObject([
      { id: 'top', parentScope: null },
      { id: 'low', scope: scope('low'), parentScope: null },
    ]);
  });

  it('are not touched where they are left out themselves', () => {
    const { fates } = underRules('fail', rule('^(?:mid|low|mid-leaf|low-leaf)$', { exclude: true }));
    expect(Object.values(fates)).not.toContain('orphan');
    expect(fates).toMatchObject({ 'low-leaf/m': 'filtered' });
  });
});

describe('renames', () => {
  it('take modules, system modules and the side table with them', () => {
    const { names, rows, found } = underRules('fail', rule('.', { rename: '{{id}}-eu' }));
    expect(names.every((name) => name.split('/')[0]?.endsWith('-eu'))).toBe(true);
    expect(found.filter(({ record: now }) => isSystemModule(now))).toHaveLength(3);
    expect(rows).toMatchObject([
      { id: 'top-eu', scope: scope('top') },
      { id: 'mid-eu', parentScope: scope('top') },
      { id: 'low-eu', parentScope: scope('mid') },
    ]);
  });

  it('to one id are refused, naming both', () => {
    const error = thrown(() => underRules('fail', rule('^(?:mid|low)$', { rename: 'one' })));
    expect(error).toMatchObject({ code: 'RENAME_COLLISION' });
    expect(error.message).toMatch(/"mid" and "low" are "one"/);
    const names = new Names();
    names.add('a', 'a');
    names.add('a', 'a');
    expect(thrown(() => names.add('a', 'b')).message).toMatch(/"a" and "b" are "a"/);
  });
});
