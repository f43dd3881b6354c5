import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differingFields } from '../../registry/compare.js';
import { foreignFields, isMerged, merged } from '../../registry/foreign.js';
import type { RegistryRecord } from '../../registry/record.js';
import { EdgeTable } from '../../registry/scopes.js';
import { SEEDED } from './arbitraries.js';
import { record } from './records.js';

const edges = EdgeTable.of(
  ['g1', 'g2', 'g3'].map((id) => ({ id, scope: `s-${id}`, parentScope: null, refused: null })),
);
const seen = (of: RegistryRecord) => ({ record: of, edges });

function foreign(
  before: RegistryRecord,
  desired: RegistryRecord,
  parent: string | null,
  now: RegistryRecord,
) {
  return foreignFields(seen(before), desired, seen(now), differingFields(desired, parent, now, edges));
}

describe('foreignFields', () => {
  const before = record({ id: 'x', statusReason: 'old', tagsText: '{"a":1}', deviceScope: 's-g1' });
  const desired = record({ id: 'x', statusReason: 'new', tagsText: '{"a":2}' });

  test.each<[string, RegistryRecord, string[]]>([
    ['nothing was written yet', before, []],
    [
      'only our identity was written',
      record({ id: 'x', statusReason: 'new', tagsText: '{"a":1}', deviceScope: 's-g2' }),
      [],
    ],
    [
      'somebody else wrote the reason',
      record({ id: 'x', statusReason: 'theirs', tagsText: '{"a":1}', deviceScope: 's-g1' }),
      ['statusReason'],
    ],
    [
      'somebody else wrote the tags',
      record({ id: 'x', statusReason: 'new', tagsText: '{"a":3}', deviceScope: 's-g2' }),
      ['tags'],
    ],
    [
      'somebody else moved it',
      record({ id: 'x', statusReason: 'new', tagsText: '{"a":2}', deviceScope: 's-g3' }),
      ['parent'],
    ],
    ['our write cost it its parent', record({ id: 'x', statusReason: 'new', tagsText: '{"a":2}' }), []],
    [
      'somebody else disabled it',
      record({ id: 'x', status: 'disabled', statusReason: 'new', tagsText: '{"a":2}', deviceScope: 's-g2' }),
      ['status'],
    ],
  ])('%s', (_, now, fields) => {
    expect(foreign(before, desired, 'g2', now)).toEqual(fields);
  });

  test('a twin that was merged instead of replaced is our own doing', () => {
    const old = record({ id: 'x', tagsText: '{"a":{"b":1,"c":2}}', desiredText: '{"d":1}' });
    const wanted = record({ id: 'x', tagsText: '{"a":{"b":3}}', desiredText: '{"e":2}' });
    const now = record({ id: 'x', tagsText: '{"a":{"b":3,"c":2}}', desiredText: '{"d":1,"e":2}' });
    expect(foreign(old, wanted, null, now)).toEqual([]);
    expect(isMerged(old, wanted, now)).toBe(true);
    const theirs = record({ id: 'x', tagsText: '{"a":{"b":3,"c":9}}', desiredText: '{"d":1,"e":2}' });
    expect(foreign(old, wanted, null, theirs)).toEqual(['tags']);
    expect(isMerged(old, wanted, theirs)).toBe(false);
  });
});

test('merged: what the patch has wins, what it has not stays', () => {
  const objects = fc.dictionary(
    fc.constantFrom('a', 'b', '__proto__'),
    fc.oneof(fc.integer(), fc.constant([1]), fc.dictionary(fc.constantFrom('a', 'b'), fc.integer())),
  );
  fc.assert(
    fc.property(objects, objects, (section, patch) => {
      const result = merged(section, patch);
      expect(merged(result, patch)).toEqual(result);
      expect(Object.keys(result).toSorted()).toEqual(
        [...new Set([...Object.keys(section), ...Object.keys(patch)])].toSorted(),
      );
      for (const [name, value] of Object.entries(patch)) {
        if (typeof value !== 'object' || Array.isArray(value))
          expect(Object.entries(result)).toContainEqual([name, value]);
      }
    }),
    SEEDED,
  );
});
