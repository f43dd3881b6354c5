import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { damageAt, membersOf, withMembers } from '../../registry/json-scan.js';
import { objectTexts, SEEDED } from './arbitraries.js';
import { expectSame } from './records.js';

/** JSON with one character put in, taken out or replaced. */
const damagedTexts = fc
  .tuple(
    objectTexts,
    fc.nat(),
    fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '0', 'x'),
    fc.boolean(),
  )
  .map(([text, at, put, replace]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + put + text.slice(place + (replace ? 1 : 0));
  });

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('membersOf', () => {
  test('finds the members of any object, in their order', () => {
    fc.assert(
      fc.property(objectTexts, (text) => {
        const entries = (membersOf(text) ?? []).map(({ name, from, to }): [string, unknown] => [
          name,
          JSON.parse(text.slice(from, to)),
        ]);
        expectSame(Object.fromEntries(entries), JSON.parse(text));
      }),
      SEEDED,
    );
  });

  test('ends on any text, and on what is no JSON either finds members or does not', () => {
    fc.assert(
      fc.property(fc.oneof(damagedTexts, fc.string(), fc.string({ unit: 'binary' })), (text) => {
        for (const { at, from, to } of membersOf(text) ?? []) {
          expect(at).toBeLessThan(from);
          expect(from).toBeLessThan(to);
          expect(to).toBeLessThan(text.length);
        }
      }),
      { ...SEEDED, numRuns: 1000 },
    );
  });

  test.each([
    '',
    '[]',
    '"{}"',
    'null',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{"a":"\\"}',
    '{a:1}',
  ])('%s is no object', (text) => {
    expect(membersOf(text)).toBeNull();
  });
});

describe('withMembers', () => {
  test.each([
    ['{"status":"disabled","n":1.50}', { status: '"enabled"' }, '{"status":"enabled","n":1.50}'],
    [
      '{ "a" : { "status": 1 } , "b":"}" }',
      { status: '"x"', b: '2' },
      '{ "a" : { "status": 1 } , "b":2 ,"status":"x"}',
    ],
    ['{}', { a: '1' }, '{"a":1}'],
    ['[1]', { a: '1' }, null],
  ])('of %s', (text, values, expected) => {
    expect(withMembers(text, values)).toBe(expected);
  });
});

describe('damageAt', () => {
  test('finds nothing in JSON, and something in everything else', () => {
    fc.assert(
      fc.property(fc.oneof(damagedTexts, fc.json(), fc.string()), (text) => {
        const at = damageAt(text);
        if (isJson(text)) expect(at).toBe(text.length);
        // What stands before the damage is good as far as it goes: alone, it only ends too early.
        else expect([at, damageAt(text.slice(0, at))]).toStrictEqual([at, at]);
      }),
      { ...SEEDED, numRuns: 1000 },
    );
  });

  test.each([
    ['{"a":01}', 6],
    ['{"a":1 "b":2}', 7],
    ['[1,]', 3],
    ['{"a" 1}', 5],
    ['{"a":tru}', 5],
    ['{"a":"\\x"}', 5],
    ['{}}', 2],
    ['[1}', 2],
    ['{"a":1', 6],
    ['[[', 2],
    ['x', 0],
  ])('%s: %i', (text, at) => {
    expect(damageAt(text)).toBe(at);
  });
});
