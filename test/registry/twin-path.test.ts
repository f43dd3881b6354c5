import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { removeAt, setAt, type TwinPath, valueAt } from '../../registry/twin-path.js';
import { objectTexts, SEEDED } from './arbitraries.js';
import { expectSame } from './records.js';

test('a value is set and the rest stays byte for byte', () => {
  expect(setAt('{"a": 1.50, "b":{"c":1e2,"d":[1.0]}}', ['b', 'c'], '"x"')).toBe(
    '{"a": 1.50,"b":{"c":"x","d":[1.0]}}',
  );
  expect(setAt('{ "a" : 1.50 }', ['b', 'c', 'd'], 'true')).toBe('{"a" : 1.50,"b":{"c":{"d":true}}}');
  expect(setAt('{}', ['a'], '{"b":1}')).toBe('{"a":{"b":1}}');
});

test('a value is removed and the rest stays byte for byte', () => {
  expect(removeAt('{"a":1.50,"b":{"c":1,"d":1.0}}', ['b', 'c'])).toBe('{"a":1.50,"b":{"d":1.0}}');
  expect(removeAt('{"a":1.50}', ['a'])).toBe('{}');
  expect(removeAt('{"a":1.50}', ['b', 'c'])).toBe('{"a":1.50}');
});

test('of members of one name none is left behind', () => {
  expect(setAt('{"a":1,"b":2,"a":3}', ['a'], '4')).toBe('{"b":2,"a":4}');
  expect(removeAt('{"a":1,"b":2,"a":3}', ['a'])).toBe('{"b":2}');
});

test('what is in the way of a path is told', () => {
  expect(valueAt({ a: { b: 1 } }, ['a', 'b'])).toEqual({ value: 1, blocked: false });
  expect(valueAt({ a: 1 }, ['a', 'b'])).toEqual({ value: undefined, blocked: true });
  expect(valueAt({ a: [1] }, ['a', '0'])).toEqual({ value: undefined, blocked: true });
  expect(valueAt({}, ['a', 'b'])).toEqual({ value: undefined, blocked: false });
  expect(valueAt({}, ['constructor'])).toEqual({ value: undefined, blocked: false });
});

const paths = fc
  .array(fc.constantFrom('a', 'id', '__proto__', 'constructor', ''), { minLength: 1, maxLength: 3 })
  .map(([first = '', ...rest]): TwinPath => [first, ...rest]);

test('what is set is there and nothing else has changed; what is removed is gone', () => {
  fc.assert(
    fc.property(objectTexts, paths, (text, path) => {
      const before: unknown = JSON.parse(text);
      fc.pre(!valueAt(before, path).blocked);
      const set = setAt(text, path, '{"new":1}');
      expectSame(valueAt(JSON.parse(set), path).value, { new: 1 });
      const removed = removeAt(set, path);
      expectSame(valueAt(JSON.parse(removed), path).value, undefined);
      const old = valueAt(before, path).value;
      // Put back, it is as it was.
      if (old !== undefined) expectSame(JSON.parse(setAt(removed, path, JSON.stringify(old))), before);
    }),
    SEEDED,
  );
});
