import { expect, test } from 'vitest';
import { ERRORS, HubferryError, isErrorCode } from '../../registry/errors.js';
import { isJsonObject, isSystemModule, quoted, recordKey } from '../../registry/record.js';
import { type LineParts, NO_AUTHENTICATION, record } from './records.js';

test('recordKey and quoted', () => {
  expect([recordKey('x', null), recordKey('x', 'm')]).toStrictEqual(['x', 'x/m']);
  expect(quoted('a"\u0007')).toBe('"a\\"\\u0007"');
  expect(quoted('a'.repeat(200))).toHaveLength(131);
});

test('every error has a hint, and says it', () => {
  for (const code of Object.keys(ERRORS)) {
    if (!isErrorCode(code)) throw new Error(`${code} is no code.`);
    expect(new HubferryError(code, 'It happened.')).toMatchObject({ code, hint: ERRORS[code].hint });
    expect(ERRORS[code].hint).toMatch(/\.$/);
  }
  expect([isErrorCode('toString'), isErrorCode(7)]).toStrictEqual([false, false]);
});

test.each<[Partial<LineParts>, boolean]>([
  [{}, false],
  [{ authenticationText: NO_AUTHENTICATION }, false],
  [{ moduleId: 'm' }, false],
  [{ moduleId: 'm', authenticationText: 'null' }, false],
  [{ moduleId: 'm', authenticationText: NO_AUTHENTICATION }, true],
  [{ moduleId: '$edgeHub' }, true],
])('isSystemModule %#', (parts, expected) => {
  expect(isSystemModule(record({ id: 'x', ...parts }))).toBe(expected);
});

test('isJsonObject knows objects from lists and null', () => {
  expect([{}, { a: 1 }, [], null, 'x', 1].map(isJsonObject)).toStrictEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
