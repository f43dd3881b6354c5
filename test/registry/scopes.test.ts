import { describe, expect, test } from 'vitest';
import { refusal } from '../../registry/refusal.js';
import { type EdgeRow, EdgeTable, edgeRow, parentOf, placementRefusal } from '../../registry/scopes.js';
import { record, thrown } from './records.js';

const scope = (id: string, generation = '1'): string => `ms-azure-iot-edge://${id}-${generation}`;

const row = (id: string, parent: string | null = null, refused: EdgeRow['refused'] = null): EdgeRow => ({
  id,
  scope: scope(id),
  parentScope: parent === null ? null : scope(parent),
  refused,
});

const leaf = (parent: string): ReturnType<typeof record> =>
  record({ id: 'leaf', deviceScope: scope(parent) });

test('edgeRow holds what the table needs and goes through JSON', () => {
  const edge = record({ id: 'e', iotEdge: true, deviceScope: scope('e'), parentScopes: [scope('p')] });
  const made = edgeRow(edge);
  expect(made).toStrictEqual({ id: 'e', scope: scope('e'), parentScope: scope('p'), refused: null });
  expect(JSON.parse(JSON.stringify(made))).toStrictEqual(made);
  expect(edgeRow(record({ id: 'a/b', iotEdge: true })).refused?.code).toBe('ID_CHARACTERS');
});

describe('EdgeTable', () => {
  test('finds parents by current scopes only', () => {
    const table = EdgeTable.of([
      row('top'),
      row('child', 'top'),
      { ...row('late'), scope: scope('late', '') },
      { ...row('below-late'), parentScope: scope('late', '') },
      { ...row('stale'), parentScope: scope('top', '0') },
      { ...row('no-scope'), scope: null },
      { ...row('own'), parentScope: scope('own') },
    ]);
    expect([table.has('top'), table.has('none')]).toStrictEqual([true, false]);
    expect([table.scopeOf('child'), table.scopeOf('no-scope'), table.scopeOf('none')]).toStrictEqual([
      scope('child'),
      null,
      null,
    ]);
    expect([
      table.idOf(scope('top')),
      table.idOf(scope('top', '0')),
      table.idOf(scope('late', '')),
    ]).toStrictEqual(['top', null, 'late']);
    const parents = ['top', 'child', 'below-late', 'stale', 'own', 'none'].map((id) => table.parentOf(id));
    expect(parents).toStrictEqual([null, 'top', 'late', null, null, null]);
    expect(['top', 'child', 'stale', 'own', 'none'].map((id) => table.levelOf(id))).toStrictEqual([
      0, 1, 0, 0, 0,
    ]);
    expect(['top', 'child', 'late', 'stale', 'own'].map((id) => table.refusalOf(id))).toStrictEqual(
      Array(5).fill(null),
    );
  });

  test('refuses what is too deep, and what is below a refused one', () => {
    const bad = refusal('TAGS_TOO_LARGE');
    const table = EdgeTable.of([
      // Children first: the order of rows means nothing.
      row('3', '2'),
      row('2', '1'),
      row('1', '0'),
      row('0'),
      row('bad', null, bad),
      row('below-bad', 'bad'),
      row('below-below-bad', 'below-bad'),
      row('bad-2', '1', bad),
      row('bad-below-bad', 'bad', refusal('KEYS_INVALID')),
    ]);
    expect(['0', '1', '2', '3'].map((id) => table.levelOf(id))).toStrictEqual([0, 1, 2, 3]);
    const ids = ['3', '2', '1', '0', 'bad', 'below-bad', 'below-below-bad', 'bad-2', 'bad-below-bad'];
    expect(ids.map((id) => table.refusalOf(id)?.code ?? null)).toStrictEqual([
      null,
      null,
      null,
      null,
      'TAGS_TOO_LARGE',
      'PARENT_REFUSED',
      'PARENT_REFUSED',
      'TAGS_TOO_LARGE',
      'KEYS_INVALID',
    ]);
    expect(table.refusalOf('below-bad')?.reason).toBe(
      '"bad" (TAGS_TOO_LARGE): its parent edge device is refused',
    );
    expect(table.refusalOf('none')).toBeNull();
  });

  test.each([[['a', 'b', 'c', 'below']], [['below', 'c', 'a', 'b']]])('rings end, asked as %s', (order) => {
    const table = EdgeTable.of([row('a', 'c'), row('b', 'a'), row('c', 'b'), row('below', 'a')]);
    const codes = Object.fromEntries(order.map((id) => [id, table.refusalOf(id)?.code]));
    expect(codes).toStrictEqual({
      a: 'PARENT_CYCLE',
      b: 'PARENT_CYCLE',
      c: 'PARENT_CYCLE',
      below: 'PARENT_REFUSED',
    });
    expect([table.levelOf('a'), table.levelOf('below')]).toStrictEqual([Infinity, Infinity]);
  });

  test('a chain of 100,000 does not overflow the stack', () => {
    const rows = Array.from({ length: 100_000 }, (_, at) => row(`${at}`, at === 0 ? null : `${at - 1}`));
    expect(EdgeTable.of(rows).levelOf('99999')).toBe(99_999);
  });

  test('an id with two rows is a damaged snapshot', () => {
    expect(thrown(() => EdgeTable.of([row('a'), row('a')])).code).toBe('SNAPSHOT_DUPLICATE');
  });
});

describe('parentOf', () => {
  const edges = EdgeTable.of([row('gw'), row('child', 'gw')]);
  test.each([
    ['a leaf by its scope', record({ id: 'x', deviceScope: scope('gw') }), 'gw', false],
    ['a leaf that only has parentScopes', record({ id: 'x', parentScopes: [scope('gw')] }), 'gw', false],
    ['a leaf alone', record({ id: 'x' }), null, false],
    ['a leaf of an edge that was made again', record({ id: 'x', deviceScope: scope('gw', '0') }), null, true],
    [
      'an edge child',
      record({ id: 'x', iotEdge: true, deviceScope: scope('x'), parentScopes: [scope('gw')] }),
      'gw',
      false,
    ],
    ['a top-level edge', record({ id: 'gw', iotEdge: true, deviceScope: scope('gw') }), null, false],
    [
      'an edge that names itself',
      record({ id: 'gw', iotEdge: true, parentScopes: [scope('gw')] }),
      null,
      false,
    ],
    [
      'an edge whose line does not say what the table knows',
      record({ id: 'child', iotEdge: true, deviceScope: scope('child') }),
      'gw',
      false,
    ],
    [
      'an edge with a stale parent',
      record({ id: 'x', iotEdge: true, parentScopes: [scope('old')] }),
      null,
      true,
    ],
    ['a module', record({ id: 'x', moduleId: 'm', deviceScope: scope('gw') }), null, false],
  ])('%s', (_, of, parent, stale) => {
    expect(parentOf(of, edges)).toStrictEqual({ parent, stale });
  });
});

describe('placementRefusal', () => {
  const edges = EdgeTable.of([
    row('top'),
    row('child', 'top'),
    row('deep', 'child'),
    row('bad', null, refusal('KEYS_INVALID')),
    row('below-bad', 'bad'),
  ]);
  test.each([
    ['leaf of a top-level edge', leaf('top'), null],
    ['leaf of an edge child', leaf('child'), null],
    ['leaf of a deeper one', leaf('deep'), null],
    ['leaf of a refused one', leaf('bad'), 'PARENT_REFUSED'],
    ['leaf below a refused one', leaf('below-bad'), 'PARENT_REFUSED'],
    ['leaf of a stale scope', leaf('gone'), null],
    ['leaf alone', record({ id: 'x' }), null],
    ['top-level edge', record({ id: 'top', iotEdge: true }), null],
    ['edge child', record({ id: 'child', iotEdge: true }), null],
    ['deeper edge', record({ id: 'deep', iotEdge: true }), null],
    ['edge below a refused one', record({ id: 'below-bad', iotEdge: true }), 'PARENT_REFUSED'],
    ['module of a deeper edge, which its device answers for', record({ id: 'deep', moduleId: 'm' }), null],
  ])('%s', (_, of, code) => {
    expect(placementRefusal(of, edges)?.code ?? null).toBe(code);
  });
});
