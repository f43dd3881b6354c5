import { describe, expect, test } from 'vitest';
import { differingFields } from '../../registry/compare.js';
import {
  isAbout,
  isExportWarning,
  lacksKeys,
  learntOfIdentity,
  learntOfTwin,
  withLearnt,
  withoutKeys,
} from '../../registry/keyless.js';
import { parseLine } from '../../registry/line.js';
import { EdgeTable } from '../../registry/scopes.js';
import { AUTHORITY, authentication, exportLine, KEY_A, KEY_B, record, SAS, THUMBPRINT } from './records.js';

const NO_KEYS = authentication({ type: 'sas' });
const CERTIFICATE = authentication({ type: 'selfSigned', thumbprints: [THUMBPRINT, null] });

const twin = (of: object): Record<string, unknown> => ({ deviceId: 'd', deviceEtag: 'MTAx', ...of });

describe('what a hub tells', () => {
  test.each([
    [twin({ authenticationType: 'sas' }), NO_KEYS],
    [
      twin({
        authenticationType: 'sas',
        x509Thumbprint: { PrimaryThumbprint: null, SecondaryThumbprint: null },
      }),
      NO_KEYS,
    ],
    [
      twin({ authenticationType: 'selfSigned', x509Thumbprint: { PrimaryThumbprint: THUMBPRINT } }),
      CERTIFICATE,
    ],
    [
      twin({ authenticationType: 'selfSigned', x509Thumbprint: { primaryThumbprint: THUMBPRINT } }),
      CERTIFICATE,
    ],
    [twin({ authenticationType: 'certificateAuthority' }), AUTHORITY],
    [twin({ authenticationType: 'none' }), authentication({ type: 'none' })],
    [twin({ authenticationType: 'selfSigned' }), null],
    [twin({ authenticationType: 'tpm' }), null],
    [twin({ authenticationType: '' }), null],
    [twin({ x509Thumbprint: { primaryThumbprint: THUMBPRINT } }), null],
  ])('of a twin %#', (row, expected) => {
    const learnt = learntOfTwin(row);
    const line = learnt && withLearnt(exportLine({ id: 'd', authenticationText: 'null' }), learnt);
    expect(line).toBe(expected === null ? null : exportLine({ id: 'd', authenticationText: expected }));
  });

  test('of an identity, but for its keys', () => {
    const identity = { etag: '"MTAx"', authentication: JSON.parse(SAS) as object };
    const learnt = learntOfIdentity(identity);
    expect(learnt).toStrictEqual({
      eTag: '"MTAx"',
      authentication: {
        type: 'sas',
        primaryKey: null,
        secondaryKey: null,
        primaryThumbprint: null,
        secondaryThumbprint: null,
      },
    });
    expect(JSON.stringify(learnt)).not.toContain(KEY_A);
    expect(learntOfIdentity({ authentication: null })).toBeNull();
    expect(learntOfIdentity({ authentication: { symmetricKey: { primaryKey: KEY_A } } })).toBeNull();
  });

  test('is about a record by the ETag of its identity', () => {
    const about = (eTag: string | null) =>
      isAbout({ eTag, authentication: record({ id: 'd' }).authentication ?? fail() }, record({ id: 'd' }));
    expect([about('MTAx'), about('"MTAx"'), about('MTAy'), about(null)]).toEqual([true, true, false, true]);
  });
});

function fail(): never {
  throw new Error('expected something');
}

test('the warning is told from a record', () => {
  expect([isExportWarning('WARNING: no keys'), isExportWarning(exportLine({ id: 'd' }))]).toEqual([
    true,
    false,
  ]);
});

test('a line without authentication gets one', () => {
  const learnt = { authentication: parseLine(exportLine({ id: 'd' })).authentication ?? fail() };
  expect(withLearnt('{"id":"d","status":"enabled"}', learnt)).toBe(
    `{"id":"d","status":"enabled","authentication":${NO_KEYS}}`,
  );
});

test('keys that are in a line all the same are taken out, all else stays byte for byte', () => {
  const line = exportLine({ id: 'd', tagsText: '{"n":1.50}' });
  expect(withoutKeys(line, parseLine(line))).toBe(
    exportLine({ id: 'd', tagsText: '{"n":1.50}', authenticationText: NO_KEYS }),
  );
  const clean = exportLine({ id: 'd', authenticationText: CERTIFICATE.replace('"type"', ' "type"') });
  expect(withoutKeys(clean, parseLine(clean))).toBe(clean);
});

describe('comparing with what is known without keys', () => {
  const differing = (wanted: string, actual: string, keyless: boolean): string[] =>
    differingFields(
      record({ id: 'd', authenticationText: wanted }),
      null,
      record({ id: 'd', authenticationText: actual }),
      EdgeTable.of([]),
      keyless,
    );

  test('keys that nobody knows do not differ', () => {
    expect(differing(NO_KEYS, SAS, true)).toEqual([]);
    expect(differing(NO_KEYS, SAS, false)).toEqual([
      'authentication.primaryKey',
      'authentication.secondaryKey',
    ]);
  });

  test('type and thumbprints do', () => {
    expect(differing(NO_KEYS, CERTIFICATE, true)).toEqual([
      'authentication.type',
      'authentication.primaryThumbprint',
    ]);
    expect(differing(CERTIFICATE, SAS, true)).toContain('authentication.type');
    expect(differing(CERTIFICATE, AUTHORITY.replace('certificateAuthority', 'selfSigned'), true)).toEqual([
      'authentication.primaryThumbprint',
    ]);
  });

  test('nothing is said where nothing is known', () => {
    expect(differing('null', SAS, true)).toEqual([]);
    expect(differing('null', SAS, false)).toEqual(['authentication.type']);
  });
});

test('lacksKeys', () => {
  const lacks = (text: string): boolean => lacksKeys(record({ id: 'd', authenticationText: text }));
  expect([NO_KEYS, SAS, CERTIFICATE, 'null'].map(lacks)).toEqual([true, false, false, false]);
  expect(lacks(authentication({ type: 'sas', keys: [KEY_A, KEY_B] }))).toBe(false);
});
