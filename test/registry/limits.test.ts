import { describe, expect, test } from 'vitest';
import { refusalOf } from '../../registry/limits.js';
import { countedBytes } from '../../registry/utf8.js';
import {
  AUTHORITY,
  authentication,
  KEY_A,
  type LineParts,
  NO_AUTHENTICATION,
  record,
  THUMBPRINT,
} from './records.js';

const code = (parts: Partial<LineParts>): string | null =>
  refusalOf(record({ id: 'x', ...parts }))?.code ?? null;

const base64 = (bytes: number): string => Buffer.alloc(bytes, 7).toString('base64');
const sas = (primary: string | null, secondary: string | null): Partial<LineParts> => ({
  authenticationText: authentication({ type: 'sas', keys: [primary, secondary] }),
});
const selfSigned = (primary: string | null, secondary: string | null): Partial<LineParts> => ({
  authenticationText: authentication({ type: 'selfSigned', thumbprints: [primary, secondary] }),
});
const both = (text: string): Partial<LineParts>[] => [{ tagsText: text }, { desiredText: text }];

/** `levels` objects, one in the other, below the part itself, with a scalar in the innermost. */
const nested = (levels: number): string => `${'{"o":'.repeat(levels)}{"s":1}${'}'.repeat(levels)}`;

describe('identity', () => {
  test.each([
    ["aZ09-:.+%_#*?!(),=@;$'", null],
    ['a'.repeat(128), null],
    ['a'.repeat(129), 'ID_TOO_LONG'],
    ['a/b', 'ID_CHARACTERS'],
    ['a b', 'ID_CHARACTERS'],
    ['ä', 'ID_CHARACTERS'],
    ['a\n', 'ID_CHARACTERS'],
    ['a\u0000', 'ID_CHARACTERS'],
  ])('id %#', (id, expected) => {
    expect(code({ id })).toBe(expected);
    expect(code({ moduleId: id })).toBe(expected);
  });

  test.each([
    [{ statusReason: 'r'.repeat(128) }, null],
    [{ statusReason: '🙂'.repeat(128) }, null],
    [{ statusReason: 'r'.repeat(129) }, 'STATUS_REASON_TOO_LONG'],
    [{ statusReason: 'r'.repeat(129), moduleId: 'm' }, null],
  ])('reason %#', (parts, expected) => {
    expect(code(parts)).toBe(expected);
  });
});

describe('authentication', () => {
  test.each([
    [sas(null, null), null],
    [sas(base64(16), base64(64)), null],
    [sas(base64(17).replaceAll('=', ''), ` ${KEY_A}`), null],
    [sas(base64(15), base64(16)), 'KEYS_INVALID'],
    [sas(base64(16), base64(65)), 'KEYS_INVALID'],
    [sas(KEY_A, null), 'KEYS_INVALID'],
    [sas(null, KEY_A), 'KEYS_INVALID'],
    [sas(KEY_A, 'not base64 but long enough!!'), 'KEYS_INVALID'],
    [sas(KEY_A, `${KEY_A}==`), 'KEYS_INVALID'],
    [sas(KEY_A, 'A'.repeat(41)), 'KEYS_INVALID'],
    [selfSigned(null, null), null],
    [selfSigned(THUMBPRINT, THUMBPRINT + 'ab'.repeat(12)), null],
    [selfSigned(THUMBPRINT, '89:AB'), 'THUMBPRINT_INVALID'],
    [selfSigned('xyz', null), 'THUMBPRINT_INVALID'],
    [{ authenticationText: AUTHORITY }, null],
    [{ authenticationText: 'null' }, 'AUTHENTICATION_UNKNOWN'],
    [{ authenticationText: NO_AUTHENTICATION }, 'AUTHENTICATION_NONE'],
    [{ authenticationText: NO_AUTHENTICATION, moduleId: 'm' }, null],
  ])('authentication %#', (parts, expected) => {
    expect(code(parts)).toBe(expected);
  });

  test('a reason never holds a value', () => {
    const refused = refusalOf(record({ id: 'x', ...sas('cGxhbnRlZA==', null) }));
    expect(JSON.stringify(refused)).not.toContain('cGxh');
  });
});

describe('twins', () => {
  const text = (key: string, value: unknown): string => JSON.stringify({ [key]: value });
  test.each([
    ['{}', null],
    ['{"":1,"ключ":"значение","\\u007f":true,"#":1,"__proto__":{"a":[1,[2]]}}', null],
    [text('k'.repeat(1024), 1), null],
    [text('k'.repeat(1025), 1), 'TWIN_KEY_INVALID'],
    [text('ä'.repeat(513), 1), 'TWIN_KEY_INVALID'],
    [text('a.b', 1), 'TWIN_KEY_INVALID'],
    [text('a b', 1), 'TWIN_KEY_INVALID'],
    [text('$a', 1), 'TWIN_KEY_INVALID'],
    [text('a\u0085', 1), 'TWIN_KEY_INVALID'],
    [text('l', [{ 'a\t': 1 }]), 'TWIN_KEY_INVALID'],
    [text('v', 'v'.repeat(4096)), null],
    [text('v', 'v'.repeat(4097)), 'TWIN_VALUE_TOO_LONG'],
    [text('v', ['ä'.repeat(2049)]), 'TWIN_VALUE_TOO_LONG'],
    [text('v', null), 'TWIN_NULL'],
    [text('v', [1, [null]]), 'TWIN_NULL'],
    [nested(10), null],
    [nested(11), 'TWIN_TOO_DEEP'],
    [`{"l":${'['.repeat(50)}${']'.repeat(50)}}`, null],
    [nested(10_000), 'TWIN_TOO_DEEP'],
    [`{"l":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, null],
    ['{"n":4503599627370495,"m":-4503599627370496}', null],
    ['{"n":4503599627370496}', 'TWIN_NUMBER_OUT_OF_RANGE'],
    ['{"a":{"n":[-4503599627370497]}}', 'TWIN_NUMBER_OUT_OF_RANGE'],
    ['{"n":123456789012345678901234567890}', 'TWIN_NUMBER_OUT_OF_RANGE'],
    ['{"n":4503599627370496.0,"m":1e300,"s":"99999999999999999999","99999999999999999999":1}', null],
    ['{"n":1e20,"s":"\\"","m":9007199254740993}', 'TWIN_NUMBER_OUT_OF_RANGE'],
  ])('twin %#', (part, expected) => {
    for (const parts of both(part)) expect(code(parts)).toBe(expected);
  });

  const sized = (bytes: number): string => {
    const values = Array.from({ length: Math.floor(bytes / 1024) }, (_, at) => [
      `k${10 + at}`,
      'v'.repeat(1021),
    ]);
    return JSON.stringify(Object.fromEntries(values));
  };

  test.each([
    [{ tagsText: sized(8192) }, null],
    [{ tagsText: sized(8192).replace('{', '{"x":"",') }, 'TAGS_TOO_LARGE'],
    [{ desiredText: sized(32_768) }, null],
    [{ desiredText: sized(32_768).replace('{', '{"x":"",') }, 'DESIRED_TOO_LARGE'],
    [{ desiredText: `${sized(31_744).slice(0, -1)},"n":[${Array(127).fill(1).join()}],"b12":true}` }, null],
    [
      { desiredText: `${sized(31_744).slice(0, -1)},"n":[${Array(127).fill(1).join()}],"b123":true}` },
      'DESIRED_TOO_LARGE',
    ],
  ])('size %#', (parts, expected) => {
    expect(code(parts)).toBe(expected);
  });

  test('the reason says where, and cuts long names', () => {
    expect(refusalOf(record({ id: 'x', tagsText: '{"a":{"list":[{"b c":"secret"}]}}' }))?.reason).toMatch(
      /^"tags\.a\.list\.0\.b c": a name is/,
    );
    const long = refusalOf(record({ id: 'x', tagsText: text('k'.repeat(5000), 1) }));
    expect(long?.reason.length).toBeLessThan(250);
  });
});

test.each([
  ['', 0],
  ['abc', 3],
  ['ä€🙂', 9],
  ['a\u0000\u001f\u0080\u009fb\u007f', 3],
  ['\ud800x\udc00', 7],
])('countedBytes(%j) is %i', (text, bytes) => {
  expect(countedBytes(text)).toBe(bytes);
});
