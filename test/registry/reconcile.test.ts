import { describe, expect, test } from 'vitest';
import { plainRecord } from '../../registry/head-line.js';
import { printDesiredLine, printRefused } from '../../registry/line.js';
import type { Policy } from '../../registry/policy.js';
import { type Comparison, comparePartition, decide } from '../../registry/reconcile.js';
import { recordKey } from '../../registry/record.js';
import { refusal } from '../../registry/refusal.js';
import { EdgeTable } from '../../registry/scopes.js';
import {
  authentication,
  exportLine,
  KEY_A,
  type LineParts,
  lineBytes,
  NO_AUTHENTICATION,
  record,
  thrown,
} from './records.js';

const NO_EDGES = EdgeTable.of([]);

const desired = (parts: LineParts, parent: string | null = null): string =>
  printDesiredLine(record(parts), parent);

const refused = (deviceId: string, moduleId: string | null = null): string =>
  printRefused({ deviceId, moduleId }, refusal('KEYS_INVALID'));

function compare(wanted: string[], actual: string[], edges = NO_EDGES): Comparison[] {
  return [
    ...comparePartition({
      desired: wanted.map(lineBytes),
      actual: actual.map(lineBytes),
      actualEdges: edges,
    }),
  ];
}

function kinds(wanted: string[], actual: string[]): Record<string, string> {
  return Object.fromEntries(compare(wanted, actual).map(({ key, kind }) => [key, kind]));
}

describe('comparePartition of selected records', () => {
  const selected = (wanted: string[], actual: string[], ids: object[]): unknown[][] => {
    const lines = ids.map((id) => JSON.stringify(id));
    const sides = {
      desired: wanted.map(lineBytes),
      actual: actual.map(lineBytes),
      actualEdges: NO_EDGES,
      selected: lines,
    };
    return [...comparePartition(sides)].map((found) =>
      found.kind === 'extra' ? [found.key, found.kind, found.deletable] : [found.key, found.kind],
    );
  };

  test('looks at no other record of the target', () => {
    const actual = [exportLine({ id: 'a' }), exportLine({ id: 'b' }), exportLine({ id: 'b', moduleId: 'm' })];
    expect(selected([desired({ id: 'a' })], actual, [{ id: 'a' }])).toEqual([['a', 'equal']]);
    expect(selected([], actual, [{ id: 'b', moduleId: 'm' }])).toEqual([['b/m', 'extra', true]]);
  });

  test('takes a module whose device is there, though nobody selected it', () => {
    const wanted = [desired({ id: 'a', moduleId: 'm' })];
    const ids = [{ id: 'a', moduleId: 'm' }];
    expect(selected(wanted, [exportLine({ id: 'a' })], ids)).toEqual([['a/m', 'missing']]);
    expect(selected(wanted, [], ids)).toEqual([['a/m', 'refused']]);
  });

  test('leaves a module to the delete of its device', () => {
    const actual = [exportLine({ id: 'a' }), exportLine({ id: 'a', moduleId: 'm' })];
    expect(selected([], actual, [{ id: 'a' }, { id: 'a', moduleId: 'm' }])).toEqual([
      ['a', 'extra', true],
      ['a/m', 'extra', false],
    ]);
  });
});

describe('comparePartition', () => {
  test('tells equal, missing, different, extra and system apart', () => {
    const wanted = [
      desired({ id: 'equal', tagsText: '{"a":1}' }),
      desired({ id: 'missing' }),
      desired({ id: 'different', status: 'disabled' }),
      desired({ id: 'equal', moduleId: 'm' }),
    ];
    const actual = [
      exportLine({ id: 'extra' }),
      exportLine({ id: 'different', tagsText: '{"b":1}' }),
      exportLine({ id: 'equal', moduleId: 'm' }),
      exportLine({ id: 'equal', moduleId: '$edgeAgent' }),
      exportLine({ id: 'equal', moduleId: 'managed', authenticationText: NO_AUTHENTICATION }),
      exportLine({ id: 'equal', tagsText: '{ "a": 1.0 }' }),
    ];
    const found = compare(wanted, actual);
    expect(found.map(({ key, kind }) => [key, kind])).toStrictEqual([
      ['equal', 'equal'],
      ['missing', 'missing'],
      ['different', 'different'],
      ['equal/m', 'equal'],
      ['extra', 'extra'],
      ['equal/$edgeAgent', 'system'],
      ['equal/managed', 'system'],
    ]);
    expect(found[0]).toMatchObject({ line: wanted[0], record: { deviceId: 'equal' }, parent: null });
    expect(found[2]).toMatchObject({
      line: wanted[2],
      fields: ['status', 'tags'],
      actual: { deviceId: 'different', eTag: 'MTAx' },
    });
    const [, , , , extra] = found;
    expect(extra?.kind === 'extra' && { ...extra, record: plainRecord(extra.record) }).toStrictEqual({
      kind: 'extra',
      key: 'extra',
      record: record({ id: 'extra' }),
      deletable: true,
    });
  });

  test('compares parents by the target’s current scopes', () => {
    const edges = EdgeTable.of([{ id: 'gw', scope: 's-2', parentScope: null, refused: null }]);
    const wanted = [desired({ id: 'a' }, 'gw'), desired({ id: 'b' }, 'gw')];
    const actual = [exportLine({ id: 'a', deviceScope: 's-2' }), exportLine({ id: 'b', deviceScope: 's-1' })];
    expect(compare(wanted, actual, edges)).toMatchObject([
      { kind: 'equal', parent: 'gw' },
      { kind: 'different', parent: 'gw', fields: ['parent'] },
    ]);
  });

  test('what is refused is neither missing nor extra, and takes its modules with it', () => {
    const wanted = [
      // The module comes before its device: no order is relied on.
      desired({ id: 'bad', moduleId: 'm' }),
      desired({ id: 'nobody', moduleId: 'm' }),
      refused('bad'),
      refused('good', 'm'),
      desired({ id: 'good' }),
      desired({ id: 'good', moduleId: 'n' }),
    ];
    const actual = ['bad', 'good'].flatMap((id) => [exportLine({ id }), exportLine({ id, moduleId: 'm' })]);
    expect(compare(wanted, actual).map(({ key, kind }) => [key, kind])).toStrictEqual([
      ['bad/m', 'refused'],
      ['nobody/m', 'refused'],
      ['bad', 'refused'],
      ['good/m', 'refused'],
      ['good', 'equal'],
      ['good/n', 'missing'],
    ]);
    expect(compare(wanted, actual).slice(0, 3)).toStrictEqual([
      {
        kind: 'refused',
        key: 'bad/m',
        refusal: { code: 'DEVICE_REFUSED', reason: 'KEYS_INVALID: its device is refused' },
      },
      { kind: 'refused', key: 'nobody/m', refusal: refusal('DEVICE_MISSING') },
      { kind: 'refused', key: 'bad', refusal: refusal('KEYS_INVALID') },
    ]);
  });

  test('a record that the service owns on the target only, and that is desired, is compared like any other', () => {
    const actual = [
      exportLine({ id: 'x' }),
      exportLine({ id: 'x', moduleId: 'm', authenticationText: NO_AUTHENTICATION }),
    ];
    expect(kinds([desired({ id: 'x' }), desired({ id: 'x', moduleId: 'm' })], actual)).toStrictEqual({
      x: 'equal',
      'x/m': 'different',
    });
  });

  test('a refused id that holds a slash is no module', () => {
    const wanted = [refused('x/m'), desired({ id: 'x' }), desired({ id: 'x', moduleId: 'm' })];
    expect(compare(wanted, []).map(({ kind }) => kind)).toStrictEqual(['refused', 'missing', 'missing']);
  });

  test.each([
    [[desired({ id: 'x' }), desired({ id: 'x' })], [], 'In the desired state, "x" stands twice.'],
    [[desired({ id: 'x' }), refused('x')], [], 'In the desired state, "x" stands twice.'],
    [
      [],
      [exportLine({ id: 'x', moduleId: 'm' }), exportLine({ id: 'x', moduleId: 'm', status: 'disabled' })],
      'In the target, module "m" of "x" stands twice.',
    ],
  ])('a record that stands twice on a side is damage %#', (wanted, actual, message) => {
    expect(thrown(() => compare(wanted, actual))).toMatchObject({ code: 'SNAPSHOT_DUPLICATE', message });
  });

  test('damaged lines are told on either side', () => {
    expect(thrown(() => compare([], ['{"id":"x"}'])).code).toBe('SNAPSHOT_LINE_BAD_FIELD');
    expect(thrown(() => compare(['{"id":"x","status":"on"}'], [])).code).toBe('SNAPSHOT_LINE_BAD_FIELD');
    expect(thrown(() => compare([], ['Keys are left out.'])).code).toBe('SNAPSHOT_LINE_NOT_JSON');
  });

  test('a plain device of which nothing but the beginning is read is compared like any other', () => {
    const plain = (id: string, more: Partial<LineParts> = {}): LineParts => ({
      id,
      authenticationText: authentication({ type: 'sas', keys: [KEY_A, KEY_A] }),
      tagsText: '{"site":"north"}',
      ...more,
    });
    const edges = EdgeTable.of([{ id: 'gw', scope: 's-2', parentScope: null, refused: null }]);
    const wanted = ['missing', 'same', 'spelt', 'differs', 'moved', 'bare'].map((id) => desired(plain(id)));
    const actual = [
      exportLine(plain('same', { statusReason: '' })),
      exportLine(plain('spelt', { tagsText: '{ "site": "north" }' })),
      exportLine(plain('differs', { tagsText: '{"site":"south"}' })),
      exportLine(plain('moved', { deviceScope: 's-2' })),
      exportLine({ id: 'bare' }),
    ];
    const found = compare(wanted, actual, edges);
    expect(found.map((one) => [one.key, one.kind, 'fields' in one ? one.fields : []])).toEqual([
      ['missing', 'missing', []],
      ['same', 'equal', []],
      ['spelt', 'equal', []],
      ['differs', 'different', ['tags']],
      ['moved', 'different', ['parent']],
      ['bare', 'different', ['authentication.secondaryKey', 'tags']],
    ]);
    expect(found[0]).toMatchObject({
      line: wanted[0],
      parent: null,
      record: { moduleId: null, status: 'enabled', tags: { site: 'north' }, authentication: { type: 'sas' } },
    });
  });

  test('two empty sides give nothing', () => {
    expect(compare([], [])).toStrictEqual([]);
  });
});

describe('decide', () => {
  const [equal, missing, different, extra] = compare(
    [desired({ id: 'equal' }), desired({ id: 'missing' }), desired({ id: 'different', status: 'disabled' })],
    [exportLine({ id: 'equal' }), exportLine({ id: 'different' }), exportLine({ id: 'extra' })],
  );
  const system: Comparison = {
    kind: 'system',
    key: recordKey('x', '$m'),
    record: record({ id: 'x' }),
  };
  const bad: Comparison = { kind: 'refused', key: recordKey('x', null), refusal: refusal('KEYS_INVALID') };

  test.each([
    ['fail', 'keep', ['unchanged', 'create', 'conflict', 'extra', 'system', 'refused']],
    ['skip', 'keep', ['unchanged', 'create', 'kept', 'extra', 'system', 'refused']],
    ['overwrite', 'keep', ['unchanged', 'create', 'update', 'extra', 'system', 'refused']],
    ['overwrite', 'delete', ['unchanged', 'create', 'update', 'delete', 'system', 'refused']],
  ] as [Policy['existing'], Policy['extra'], string[]][])('%s, %s', (existing, extraPolicy, verdicts) => {
    const policy: Policy = { existing, extra: extraPolicy };
    const found = [equal, missing, different, extra, system, bad].map((comparison) =>
      comparison === undefined ? 'none' : decide(comparison, policy),
    );
    expect(found).toStrictEqual(verdicts);
  });
});
