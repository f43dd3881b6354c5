import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainRecord } from '../../registry/head-line.js';
import {
  identityOfDesired,
  identityOfLine,
  parseDesiredLine,
  parseLine,
  printDesiredLine,
  printImportLine,
  printRefused,
} from '../../registry/line.js';
import type { RegistryRecord } from '../../registry/record.js';
import { refusal } from '../../registry/refusal.js';
import { ids, lineParts, objectTexts, SEEDED } from './arbitraries.js';
import {
  AUTHORITY,
  expectSame,
  exportLine,
  KEY_A,
  KEY_B,
  type LineParts,
  NO_AUTHENTICATION,
  record,
  SAS,
  SELF_SIGNED,
  THUMBPRINT,
  thrown,
} from './records.js';

const noScope = (): string => {
  throw new Error('No scope is needed here.');
};

describe('parseLine', () => {
  test('reads a device as the service exports it', () => {
    const line =
      '{"id":"pump-001","eTag":"MTAx","status":"disabled","statusReason":"in repair","authentication":' +
      `${SAS},"twinETag":"AAAAAAAAAAE=","tags":{"site":"Łódź"},"properties":{"desired":{"n":1.50},"reported":{"x":1}},` +
      '"capabilities":{"iotEdge":false},"deviceScope":"ms-azure-iot-edge://gw-1","parentScopes":["ms-azure-iot-edge://gw-1"]}';
    expect(parseLine(line)).toStrictEqual({
      deviceId: 'pump-001',
      moduleId: null,
      status: 'disabled',
      statusReason: 'in repair',
      authentication: {
        type: 'sas',
        primaryKey: KEY_A,
        secondaryKey: KEY_B,
        primaryThumbprint: null,
        secondaryThumbprint: null,
      },
      iotEdge: false,
      deviceScope: 'ms-azure-iot-edge://gw-1',
      parentScopes: ['ms-azure-iot-edge://gw-1'],
      eTag: 'MTAx',
      twinETag: 'AAAAAAAAAAE=',
      tags: { site: 'Łódź' },
      desired: { n: 1.5 },
      raw: {
        authentication: SAS,
        capabilities: '{"iotEdge":false}',
        tags: '{"site":"Łódź"}',
        desired: '{"n":1.50}',
      },
    } satisfies RegistryRecord);
  });

  test('reads the shortest lines: null, absent and empty are the same', () => {
    const bare = parseLine('{"id":"x","status":"enabled"}');
    const nulls = parseLine(
      '{"id":"x","moduleId":null,"status":"enabled","statusReason":null,"authentication":null,"tags":null,' +
        '"properties":{"desired":null},"capabilities":null,"deviceScope":"","parentScopes":null,"eTag":null}',
    );
    expect(nulls).toStrictEqual(bare);
    expect(bare).toMatchObject({ authentication: null, statusReason: '', parentScopes: [], tags: {} });
    expect(bare.raw).toStrictEqual({ authentication: null, capabilities: null, tags: null, desired: null });
  });

  test('tolerates a byte order mark, spaces, stray line ends, other casings and unknown members', () => {
    const line =
      '\uFEFF { "id" : "x" ,\r\n"status":"Enabled","someday":[{"id":1}],"authentication":{"Type":"SelfSigned",' +
      `"X509Thumbprint":{"PrimaryThumbprint":"${THUMBPRINT}"}},"capabilities":{"iotEdge":true} } `;
    const read = parseLine(line);
    expect(read).toMatchObject({ deviceId: 'x', status: 'enabled', iotEdge: true });
    expect(read.authentication).toMatchObject({ type: 'selfSigned', primaryThumbprint: THUMBPRINT });
    // Another hub need not understand an unusual spelling.
    expect(read.raw.authentication).toBe(SELF_SIGNED);
  });

  test.each([
    `{"symmetricKey":null,"X509Thumbprint":{"primaryThumbprint":"${THUMBPRINT}"},"type":"selfSigned"}`,
    `{"x509Thumbprint":{"PrimaryThumbprint":"${THUMBPRINT}"},"type":"selfSigned"}`,
    `{"x509Thumbprint":{"primaryThumbprint":"${THUMBPRINT}"},"type":"SelfSigned"}`,
    `{"x509Thumbprint":{"primaryThumbprint":"${THUMBPRINT}"}}`,
  ])('prints authentication in the usual spelling where it is not: %s', (authenticationText) => {
    expect(record({ id: 'x', authenticationText }).raw.authentication).toBe(SELF_SIGNED);
  });

  test.each(['\r', '\n', '\r\n'])('no line end %j gets into what is carried', (end) => {
    const read = record({ id: 'x', tagsText: `{"a":${end}1}`, desiredText: `{${end}}` });
    expect(JSON.stringify(read.raw)).not.toMatch(/\\[rn]/);
    expect(read.tags).toStrictEqual({ a: 1 });
  });

  test.each([
    [SAS, 'sas'],
    [SELF_SIGNED, 'selfSigned'],
    [AUTHORITY, 'certificateAuthority'],
    [NO_AUTHENTICATION, 'none'],
    [`{"symmetricKey":{"primaryKey":"${KEY_A}","secondaryKey":"${KEY_B}"}}`, 'sas'],
    [`{"x509Thumbprint":{"secondaryThumbprint":"${THUMBPRINT}"}}`, 'selfSigned'],
    ['{}', 'sas'],
  ])('authentication %s is of type %s', (authenticationText, type) => {
    expect(record({ id: 'x', authenticationText }).authentication?.type).toBe(type);
  });

  test('carries unknown members of authentication and capabilities as they are', () => {
    const authenticationText = '{"type": "certificateAuthority", "issuer": {"n": 1.0}}';
    expect(record({ id: 'x', authenticationText }).raw.authentication).toBe(authenticationText);
  });

  test.each([
    ['{"$version":3,"a":1.0,"$metadata":{"a":{"$lastUpdated":"x"}}}', '{"a":1.0}', { a: 1 }],
    ['{ "$metadata" : {} }', '{}', {}],
    ['{"a" : 1e2 , "\\u0024version":1, "b":[ ]}', '{"a" : 1e2,"b":[ ]}', { a: 100, b: [] }],
    ['{"a":{"$version":1}}', '{"a":{"$version":1}}', { a: { $version: 1 } }],
  ])('strips the service’s own members: %s', (text, raw, value) => {
    const read = record({ id: 'x', tagsText: text, desiredText: text });
    expect([read.raw.tags, read.raw.desired]).toStrictEqual([raw, raw]);
    expect([read.tags, read.desired]).toStrictEqual([value, value]);
  });

  test('reads modules, which need no status', () => {
    expect(parseLine('{"id":"x","moduleId":"m"}')).toMatchObject({ moduleId: 'm', status: 'enabled' });
    expect(parseLine('{"id":"x","moduleId":"m","status":"disabled"}').status).toBe('disabled');
  });

  test('reads a line nested as deep as it is long', () => {
    const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`;
    const lists = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    expect(record({ id: 'x', tagsText: deep, desiredText: lists }).raw).toMatchObject({
      tags: deep,
      desired: lists,
    });
  });

  const secret = 'cGxhbnRlZC1zZWNyZXQ=';
  test.each([
    ['', 'SNAPSHOT_LINE_NOT_JSON', 'after 0 characters'],
    ['Keys were left out of this file.', 'SNAPSHOT_LINE_NOT_JSON', 'from character 1 on'],
    [`{"id":"x","k":"${secret}`, 'SNAPSHOT_LINE_NOT_JSON', 'from character 15 on'],
    [`{"id":"x","k":"${secret}"`, 'SNAPSHOT_LINE_NOT_JSON', 'after 36 characters'],
    [`{"id":"x","k":"${secret}",}`, 'SNAPSHOT_LINE_NOT_JSON', 'from character 38 on'],
    [`{"id":"x"}${secret}`, 'SNAPSHOT_LINE_NOT_JSON', 'from character 11 on'],
    [`{"id":"x","k":${secret}}`, 'SNAPSHOT_LINE_NOT_JSON', 'from character 15 on'],
    [`["${secret}"]`, 'SNAPSHOT_LINE_NOT_JSON', 'not a JSON object'],
    ['null', 'SNAPSHOT_LINE_NOT_JSON', 'not a JSON object'],
    [`{"status":"enabled","k":"${secret}"}`, 'SNAPSHOT_LINE_NO_ID', 'no device id'],
    ['{"id":"","status":"enabled"}', 'SNAPSHOT_LINE_NO_ID', 'no device id'],
    ['{"id":7,"status":"enabled"}', 'SNAPSHOT_LINE_NO_ID', 'no device id'],
    ['{"id":"x"}', 'SNAPSHOT_LINE_BAD_FIELD', '"x" is damaged: "status"'],
    [`{"id":"x","status":"${secret}"}`, 'SNAPSHOT_LINE_BAD_FIELD', '"status"'],
    [`{"id":"x","status":"enabled","authentication":"${secret}"}`, 'SNAPSHOT_LINE_BAD_FIELD', 'authent'],
    [
      `{"id":"x","status":"enabled","authentication":{"type":"${secret}"}}`,
      'SNAPSHOT_LINE_BAD_FIELD',
      'authent',
    ],
    [
      `{"id":"x","status":"enabled","authentication":{"symmetricKey":{"primaryKey":["${secret}"]}}}`,
      'SNAPSHOT_LINE_BAD_FIELD',
      'authentication',
    ],
    ['{"id":"x","status":"enabled","tags":[]}', 'SNAPSHOT_LINE_BAD_FIELD', 'tags'],
    ['{"id":"x","status":"enabled","properties":"p"}', 'SNAPSHOT_LINE_BAD_FIELD', 'properties'],
    ['{"id":"x","status":"enabled","properties":{"desired":1}}', 'SNAPSHOT_LINE_BAD_FIELD', 'desired'],
    ['{"id":"x","status":"enabled","capabilities":{"iotEdge":"yes"}}', 'SNAPSHOT_LINE_BAD_FIELD', 'iotEdge'],
    ['{"id":"x","status":"enabled","parentScopes":"s"}', 'SNAPSHOT_LINE_BAD_FIELD', 'parentScopes'],
    ['{"id":"x","status":"enabled","parentScopes":[1]}', 'SNAPSHOT_LINE_BAD_FIELD', 'parentScopes'],
    ['{"id":"x","status":"enabled","moduleId":1}', 'SNAPSHOT_LINE_BAD_FIELD', 'moduleId'],
    ['{"id":"x","status":"enabled","tags":{},"t\\u0061gs":{}}', 'SNAPSHOT_LINE_BAD_FIELD', 'character 40'],
    [
      '{"id":"x","status":"enabled","properties":{"desired":{},"desired":{}}}',
      'SNAPSHOT_LINE_BAD_FIELD',
      'properties.desired',
    ],
  ])('%s is damaged: %s', (line, code, said) => {
    const error = thrown(() => parseLine(line));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(said);
    expect(`${error.message}${error.stack}${String(error.cause)}`).not.toContain(secret);
  });

  test('a line cut anywhere is damaged, and no part of a key gets out', () => {
    const line = exportLine({ id: 'x', tagsText: '{"a":[1,{"b":null}]}' });
    for (let length = 0; length < line.length; length += 1) {
      const error = thrown(() => parseLine(line.slice(0, length)));
      expect(error.code).toBe('SNAPSHOT_LINE_NOT_JSON');
      expect(error.message).not.toContain('QUJD');
    }
  });
});

describe('identityOfLine', () => {
  test.each([
    ['{"id":"x","status":"enabled"}', 'x', null],
    ['{"status":"enabled","tags":{"id":"no","moduleId":"no"},"moduleId":"m","id":"x"}', 'x', 'm'],
    ['{"parent":"gw","id":"x","moduleId":""}', 'x', null],
    [printRefused({ deviceId: 'x', moduleId: 'm' }, refusal('KEYS_INVALID')), 'x', 'm'],
    ['{"\\u0069d":"\\u0078"}', 'x', null],
  ])('%s', (line, deviceId, moduleId) => {
    expect(identityOfLine(line)).toStrictEqual({ deviceId, moduleId });
  });

  test.each([
    ['', 'SNAPSHOT_LINE_NOT_JSON'],
    ['plain text', 'SNAPSHOT_LINE_NOT_JSON'],
    ['[]', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{"id":"x"', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{"id":"x', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{"id":,}', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{id:1}', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{}', 'SNAPSHOT_LINE_NO_ID'],
    ['{"id":null}', 'SNAPSHOT_LINE_NO_ID'],
  ])('%s is damaged', (line, code) => {
    expect(thrown(() => identityOfLine(line)).code).toBe(code);
  });

  test('agrees with parseLine', () => {
    fc.assert(
      fc.property(lineParts, (parts) => {
        const { deviceId, moduleId } = record(parts);
        expect(identityOfLine(exportLine(parts))).toStrictEqual({ deviceId, moduleId });
        for (const parent of [null, 'p', 'a "parent"'])
          expect(identityOfDesired(printDesiredLine(record(parts), parent))).toStrictEqual({
            deviceId,
            moduleId,
          });
      }),
      SEEDED,
    );
  });
});

describe('desired lines', () => {
  test('hold what is carried, the parent first, and nothing of the source hub', () => {
    const parts: LineParts = {
      id: 'leaf',
      status: 'disabled',
      statusReason: 'a "reason"',
      tagsText: '{ "t": 1.0 }',
      deviceScope: 'ms-azure-iot-edge://gw-1',
    };
    expect(printDesiredLine(record(parts), 'gw')).toBe(
      `{"parent":"gw","id":"leaf","status":"disabled","statusReason":"a \\"reason\\"","authentication":${SAS},` +
        '"capabilities":{"iotEdge":false},"tags":{ "t": 1.0 },"properties":{"desired":{}}}',
    );
  });

  test('of modules hold no reason and no capabilities', () => {
    expect(printDesiredLine(record({ id: 'x', moduleId: 'm', statusReason: 'r' }), null)).toBe(
      `{"id":"x","moduleId":"m","status":"enabled","authentication":${SAS},"tags":{},"properties":{"desired":{}}}`,
    );
  });

  test('say what is absent: tags and desired as empty, authentication not at all', () => {
    expect(printDesiredLine(parseLine('{"id":"x","status":"Disabled"}'), null)).toBe(
      '{"id":"x","status":"disabled","tags":{},"properties":{"desired":{}}}',
    );
  });

  test('print and parse again to the same record, byte for byte where raw', () => {
    fc.assert(
      fc.property(lineParts, fc.option(ids), (parts, parent) => {
        const source = record(parts);
        expect([source.raw.tags, source.raw.desired]).toStrictEqual([parts.tagsText, parts.desiredText]);
        const line = printDesiredLine(source, parent);
        const read = parseDesiredLine(line);
        if (read.kind !== 'record') throw new Error('It is a record.');
        expect(read.parent).toBe(parent);
        expectSame(plainRecord(read.record), {
          ...source,
          ...(source.moduleId === null
            ? {}
            : { statusReason: '', iotEdge: false, raw: { ...source.raw, capabilities: null } }),
          deviceScope: null,
          parentScopes: [],
          eTag: null,
          twinETag: null,
        } satisfies RegistryRecord);
        expect(printDesiredLine(read.record, read.parent)).toBe(line);
      }),
      SEEDED,
    );
  });

  test('marks of refused records print and parse again', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1 }),
        fc.option(fc.string()),
        (deviceId, moduleId) => {
          const why = refusal('ID_CHARACTERS');
          expect(parseDesiredLine(printRefused({ deviceId, moduleId }, why))).toStrictEqual({
            kind: 'refused',
            deviceId,
            moduleId,
            refusal: why,
          });
        },
      ),
      SEEDED,
    );
  });

  test.each(['{"refused":"NO_SUCH_CODE","reason":"","id":"x"}', '{"refused":"KEYS_INVALID","id":"x"}'])(
    '%s is no mark of ours',
    (line) => {
      expect(thrown(() => parseDesiredLine(line)).code).toBe('INTERNAL');
    },
  );

  test('damaged ones are told without their content', () => {
    expect(thrown(() => parseDesiredLine('{"parent":"gw')).code).toBe('SNAPSHOT_LINE_NOT_JSON');
    expect(thrown(() => parseDesiredLine('{"parent":"gw","id":"x","st')).code).toBe('SNAPSHOT_LINE_NOT_JSON');
  });
});

describe('printImportLine', () => {
  const scopeOf = (parent: string): string => `ms-azure-iot-edge://${parent}-99`;

  test('adds the mode to a line without a parent and changes nothing else', () => {
    const line = printDesiredLine(record({ id: 'x', desiredText: '{"n":1e400}' }), null);
    expect(printImportLine(line, 'create', noScope)).toBe(`${line.slice(0, -1)},"importMode":"create"}`);
  });

  test('gives a leaf its parent’s scope', () => {
    const line = printImportLine(printDesiredLine(record({ id: 'x' }), 'g"w'), 'create', scopeOf);
    expect(line).not.toContain('"parent"');
    expect(line.endsWith(',"importMode":"create","deviceScope":"ms-azure-iot-edge://g\\"w-99"}')).toBe(true);
    expect(parseLine(line)).toMatchObject({ deviceScope: 'ms-azure-iot-edge://g"w-99', parentScopes: [] });
  });

  test('gives an edge child only its parent’s scope, not one of its own', () => {
    const line = printImportLine(
      printDesiredLine(record({ id: 'x', iotEdge: true, deviceScope: 'own' }), 'gw'),
      'update',
      scopeOf,
    );
    expect(parseLine(line)).toMatchObject({ deviceScope: null, parentScopes: ['ms-azure-iot-edge://gw-99'] });
  });

  test.each(['delete', 'deleteIfMatchETag', 'updateTwin', 'updateTwinIfMatchETag'] as const)(
    '%s says nothing of the parent',
    (mode) => {
      const line = printImportLine(printDesiredLine(record({ id: 'x' }), 'gw'), mode, noScope);
      expect(parseLine(line)).toMatchObject({ deviceScope: null, parentScopes: [] });
      expect(line).not.toContain('gw');
    },
  );

  test('keeps every raw part byte for byte', () => {
    fc.assert(
      fc.property(lineParts, objectTexts, fc.option(ids), (parts, tagsText, parent) => {
        const source = record({ ...parts, tagsText });
        const line = printImportLine(printDesiredLine(source, parent), 'create', scopeOf);
        const read = parseLine(line);
        expect(read.raw).toStrictEqual({
          ...source.raw,
          capabilities: source.moduleId === null ? source.raw.capabilities : null,
        });
        expect(line).toContain('"importMode":"create"');
      }),
      SEEDED,
    );
  });
});
