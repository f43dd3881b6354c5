import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differingFields, jsonEqual } from '../../registry/compare.js';
import { parseDesiredLine, parseLine, printDesiredLine } from '../../registry/line.js';
import { isJsonObject } from '../../registry/record.js';
import { EdgeTable } from '../../registry/scopes.js';
import { lineParts, objectTexts, SEEDED } from './arbitraries.js';
import {
  AUTHORITY,
  authentication,
  KEY_A,
  KEY_B,
  type LineParts,
  record,
  SELF_SIGNED,
  THUMBPRINT,
} from './records.js';

const GW = 'ms-azure-iot-edge://gw-2';
const edges = EdgeTable.of([
  { id: 'gw', scope: GW, parentScope: null, refused: null },
  { id: 'other', scope: 'ms-azure-iot-edge://other-2', parentScope: null, refused: null },
]);

describe('jsonEqual', () => {
  test.each([
    ['1', '1.0', true],
    ['1e2', '100', true],
    ['-0', '0', true],
    ['1e400', '1e999', true],
    ['1', '"1"', false],
    ['null', '{}', false],
    ['{}', '[]', false],
    ['[]', '{}', false],
    ['[1,2]', '[2,1]', false],
    ['[1]', '[1,2]', false],
    ['{"a":1,"b":[{}]}', '{"b":[{}],"a":1}', true],
    ['{"a":1}', '{"a":1,"b":1}', false],
    ['{"a":1}', '{"b":1}', false],
    ['{"a":null}', '{}', false],
    ['{"__proto__":1}', '{}', false],
    ['{"__proto__":{}}', '{"x":{}}', false],
    ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}', true],
    ['{"__proto__":{"a":1}}', '{"__proto__":{"a":2}}', false],
    ['{"constructor":1}', '{"toString":1}', false],
    ['"\\u00e4"', '"ä"', true],
    ['true', 'false', false],
  ])('%s and %s: %s', (a, b, equal) => {
    expect(jsonEqual(JSON.parse(a), JSON.parse(b))).toBe(equal);
    expect(jsonEqual(JSON.parse(b), JSON.parse(a))).toBe(equal);
  });

  test('takes any depth', () => {
    const deep = (end: string): unknown =>
      JSON.parse(`${'{"a":['.repeat(10_000)}${end}${']}'.repeat(10_000)}`);
    expect(jsonEqual(deep('1'), deep('1'))).toBe(true);
    expect(jsonEqual(deep('1'), deep('2'))).toBe(false);
  });

  test('members in another order are the same, anything else is not', () => {
    const turned = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(turned);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .toReversed()
          .map(([name, child]) => [name, turned(child)]),
      );
    };
    fc.assert(
      fc.property(objectTexts, (text) => {
        const value: unknown = JSON.parse(text);
        if (!isJsonObject(value)) throw new Error('It is an object.');
        expect(jsonEqual(value, turned(value))).toBe(true);
        expect(jsonEqual(value, { ...value, ['one more name']: 1 })).toBe(false);
      }),
      SEEDED,
    );
  });
});

describe('differingFields', () => {
  const keys = (primary: string, secondary: string): string =>
    authentication({ type: 'sas', keys: [primary, secondary] });
  const thumbprints = (primary: string, secondary: string | null): string =>
    authentication({ type: 'selfSigned', thumbprints: [primary, secondary] });

  const cases: [string, Partial<LineParts>, Partial<LineParts>, string | null, string[]][] = [
    ['nothing', {}, {}, null, []],
    ['status', { status: 'disabled' }, {}, null, ['status']],
    ['statusReason', { statusReason: 'r' }, {}, null, ['statusReason']],
    ['no reason and an empty one', { statusReason: '' }, {}, null, []],
    [
      'primary key',
      { authenticationText: keys(KEY_A, KEY_B) },
      { authenticationText: keys(KEY_B, KEY_B) },
      null,
      ['authentication.primaryKey'],
    ],
    [
      'secondary key',
      { authenticationText: keys(KEY_A, KEY_B) },
      { authenticationText: keys(KEY_A, KEY_A) },
      null,
      ['authentication.secondaryKey'],
    ],
    [
      'primary thumbprint, by its casing',
      { authenticationText: thumbprints(THUMBPRINT, null) },
      { authenticationText: thumbprints(THUMBPRINT.toUpperCase(), null) },
      null,
      ['authentication.primaryThumbprint'],
    ],
    [
      'secondary thumbprint',
      { authenticationText: thumbprints(THUMBPRINT, null) },
      { authenticationText: thumbprints(THUMBPRINT, THUMBPRINT) },
      null,
      ['authentication.secondaryThumbprint'],
    ],
    [
      'an empty thumbprint and none',
      { authenticationText: thumbprints(THUMBPRINT, '') },
      { authenticationText: thumbprints(THUMBPRINT, null) },
      null,
      [],
    ],
    [
      'type',
      { authenticationText: AUTHORITY },
      { authenticationText: SELF_SIGNED },
      null,
      ['authentication.type', 'authentication.primaryThumbprint'],
    ],
    [
      'authentication of an export without keys',
      { authenticationText: 'null' },
      {},
      null,
      ['authentication.type'],
    ],
    ['tags', { tagsText: '{"a":1}' }, { tagsText: '{"a":2}' }, null, ['tags']],
    [
      'tags in another order and spelling',
      { tagsText: '{"a":1,"b":2}' },
      { tagsText: '{ "b":2.0,"a":1e0 }' },
      null,
      [],
    ],
    ['desired', { desiredText: '{"a":[]}' }, { desiredText: '{"a":{}}' }, null, ['desired']],
    ['a desired value that another lacks', { desiredText: '{"__proto__":1}' }, {}, null, ['desired']],
    ['iotEdge', { iotEdge: true }, {}, null, ['iotEdge']],
    ['the right parent', {}, { deviceScope: GW }, 'gw', []],
    ['another parent', {}, { deviceScope: 'ms-azure-iot-edge://other-2' }, 'gw', ['parent']],
    ['no parent', {}, {}, 'gw', ['parent']],
    ['a parent too many', {}, { deviceScope: GW }, null, ['parent']],
    ['a scope the parent had before', {}, { deviceScope: 'ms-azure-iot-edge://gw-1' }, 'gw', ['parent']],
    [
      'a scope that is nobody’s, where none is desired',
      {},
      { deviceScope: 'ms-azure-iot-edge://x-1' },
      null,
      [],
    ],
    ['an edge child', { iotEdge: true }, { iotEdge: true, deviceScope: 'own', parentScopes: [GW] }, 'gw', []],
    [
      'several',
      { status: 'disabled', tagsText: '{"a":1}' },
      { desiredText: '{"a":1}' },
      'gw',
      ['status', 'tags', 'desired', 'parent'],
    ],
    [
      'of a module only its own',
      { moduleId: 'm', status: 'disabled', statusReason: 'r', iotEdge: true },
      { moduleId: 'm' },
      null,
      [],
    ],
    [
      'a module’s key and twin',
      { moduleId: 'm', authenticationText: keys(KEY_A, KEY_B), tagsText: '{"a":1}' },
      { moduleId: 'm', authenticationText: keys(KEY_B, KEY_B), desiredText: '{"a":1}' },
      null,
      ['authentication.primaryKey', 'tags', 'desired'],
    ],
  ];
  test.each(cases)('%s', (_, desired, actual, parent, fields) => {
    const found = differingFields(
      record({ id: 'x', ...desired }),
      parent,
      record({ id: 'x', ...actual }),
      edges,
    );
    expect(found).toStrictEqual(fields);
  });

  test('a record never differs from its own desired line', () => {
    fc.assert(
      fc.property(lineParts, (parts) => {
        const source = record({ ...parts, deviceScope: GW, parentScopes: [GW] });
        const parent = source.moduleId === null ? 'gw' : null;
        const read = parseDesiredLine(printDesiredLine(source, parent));
        if (read.kind !== 'record') throw new Error('It is a record.');
        expect(differingFields(read.record, read.parent, source, edges)).toStrictEqual([]);
      }),
      SEEDED,
    );
  });

  test('an absent section is an empty one', () => {
    const bare = parseLine('{"id":"x","status":"enabled","capabilities":{}}');
    expect(differingFields(bare, null, record({ id: 'x', authenticationText: 'null' }), edges)).toStrictEqual(
      [],
    );
  });
});
