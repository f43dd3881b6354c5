import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonText } from '../../registry/json-text.js';
import { objectTexts, SEEDED } from './arbitraries.js';

describe('jsonText', () => {
  test('prints what JSON.stringify prints', () => {
    fc.assert(
      fc.property(objectTexts, (text) => {
        const value: unknown = JSON.parse(text);
        expect(jsonText(value)).toBe(JSON.stringify(value));
      }),
      SEEDED,
    );
  });

  test('takes any depth, in lists and in objects', () => {
    const depth = 100_000;
    for (const text of [
      '['.repeat(depth) + ']'.repeat(depth),
      `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
    ])
      expect(jsonText(JSON.parse(text)) === text).toBe(true);
  });

  test('takes a list of any length', () => {
    const long = Array.from({ length: 300_000 }, (_, n) => n);
    expect(jsonText(long)).toBe(JSON.stringify(long));
  });
});
