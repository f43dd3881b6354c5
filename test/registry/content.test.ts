import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differingFields } from '../../registry/compare.js';
import { contentOf } from '../../registry/content.js';
import { parseLine } from '../../registry/line.js';
import type { RegistryRecord } from '../../registry/record.js';
import { EdgeTable } from '../../registry/scopes.js';
import { SEEDED } from './arbitraries.js';

const NO_EDGES = EdgeTable.of([]);

const device = (members: object): RegistryRecord =>
  parseLine(JSON.stringify({ id: 'a', status: 'enabled', ...members }));

describe('contentOf', () => {
  test('is the same however a hub prints a record', () => {
    const one =
      '{"id":"a","status":"enabled","tags":{"b":1.0,"a":{"y":[1,{"q":1,"p":2}],"x":"é"}},"statusReason":null}';
    const other =
      '{"tags":{"a":{"x":"\\u00e9","y":[1.0,{"p":2,"q":1}]},"b":1},"status":"Enabled","id":"a","eTag":"x"}';
    expect(contentOf(parseLine(one), null)).toBe(contentOf(parseLine(other), null));
  });

  test('is what plans of earlier versions were digested from', () => {
    const tags = { b: [1, { y: null, x: 'é' }], a: { 2: true, 1: -0.5 } };
    expect(contentOf(device({ tags, statusReason: 'why' }), 'edge')).toBe(
      '[null,{"members":[["a",{"members":[["1",-0.5],["2",true]]}],' +
        '["b",[1,{"members":[["x","é"],["y",null]]}]]]},{"members":[]},"enabled","why",false,"edge"]',
    );
  });

  test('takes lists in lists for as long as a line is', () => {
    const depth = 500_000;
    const line = `{"id":"a","status":"enabled","tags":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
    expect(contentOf(parseLine(line), null).length).toBeGreaterThan(2 * depth);
  });

  test('differs with every field', () => {
    const sas = (key: string) => ({ type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: 'AAAA' } });
    const records = [
      device({}),
      device({ status: 'disabled' }),
      device({ statusReason: 'why' }),
      device({ tags: { a: 1 } }),
      device({ properties: { desired: { a: 1 } } }),
      device({ capabilities: { iotEdge: true } }),
      device({ authentication: sas('BBBB') }),
      device({ authentication: sas('CCCC') }),
      device({ authentication: { type: 'certificateAuthority' } }),
    ];
    const contents = [...records.map((record) => contentOf(record, null)), contentOf(device({}), 'edge')];
    expect(new Set(contents).size).toBe(contents.length);
  });

  test('a list is never taken for an object', () => {
    expect(contentOf(device({ tags: { a: [['b', 1]] } }), null)).not.toBe(
      contentOf(device({ tags: { a: { b: 1 } } }), null),
    );
    expect(contentOf(device({ tags: { a: { members: [['b', 1]] } } }), null)).not.toBe(
      contentOf(device({ tags: { a: { b: 1 } } }), null),
    );
  });

  test('is the same exactly where no field differs', () => {
    const small = fc.dictionary(fc.constantFrom('a', '1', '__proto__'), fc.jsonValue({ maxDepth: 2 }), {
      maxKeys: 2,
    });
    fc.assert(
      fc.property(small, small, (a, b) => {
        const [one, other] = [device({ tags: a }), device({ tags: b })];
        const same = differingFields(one, null, other, NO_EDGES).length === 0;
        expect(contentOf(one, null) === contentOf(other, null)).toBe(same);
      }),
      SEEDED,
    );
  });
});
