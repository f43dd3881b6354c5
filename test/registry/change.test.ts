import { describe, expect, test } from 'vitest';
import {
  byRest,
  type Change,
  type ChangePart,
  changesOf,
  parseChange,
  printChange,
  printImportOf,
  restBodies,
} from '../../registry/change.js';
import type { Field } from '../../registry/compare.js';
import { printDesiredLine } from '../../registry/line.js';
import { IMPORT_MODES } from '../../registry/modes.js';
import type { Comparison } from '../../registry/reconcile.js';
import { recordKey } from '../../registry/record.js';
import { lineBytes, record } from './records.js';

const scopeOf = (id: string): string => `scope-of-${id}`;
const noScope = (): string => {
  throw new Error('no scope is wanted');
};

/** A desired line whose text must survive as it is: numbers, escapes, odd names. */
const twin = {
  tagsText: '{"n":1.0,"big":12345678901234567890,"t":"\\u00fc, \\"x\\""}',
  desiredText: '{"__proto__":{"a":1e2}}',
};
const leaf = record({ id: 'leaf', status: 'disabled', statusReason: 'spare', ...twin });
const edge = record({ id: 'gw', iotEdge: true });
const module = record({ id: 'leaf', moduleId: 'm', ...twin });

describe('a change as a line of its stream', () => {
  test.each(['create', 'identity', 'twin', 'delete'] as const)('%s is read as it was printed', (part) => {
    const eTag = part === 'create' ? null : 'AAAA/+=';
    const change = { part, eTag, line: printDesiredLine(leaf, 'g w') };
    expect(parseChange(printChange(change))).toStrictEqual(change);
  });

  test('a create is its desired line, as plans of 0.1 are', () => {
    const line = printDesiredLine(leaf, null);
    expect(printChange({ part: 'create', eTag: null, line })).toBe(line);
  });
});

describe('a mode that a user has chosen', () => {
  const desired = printDesiredLine(leaf, 'gw');
  const actual = { ...leaf, eTag: 'MQ==', twinETag: 'Mg==' };
  const parts: Record<string, ChangePart> = {
    create: 'create',
    update: 'whole',
    createOrUpdate: 'whole',
    updateTwin: 'twin',
    delete: 'delete',
  };
  test.each(IMPORT_MODES)('%s goes as it is, guarded where it says so', (mode) => {
    const part = parts[mode.replace('IfMatchETag', '')] ?? 'create';
    const key = recordKey('leaf', null);
    const found: Parameters<typeof changesOf>[0] =
      part === 'delete'
        ? { kind: 'extra', key, record: actual, deletable: true }
        : part === 'create'
          ? { kind: 'missing', key, line: desired, source: lineBytes(desired), record: leaf, parent: 'gw' }
          : {
              kind: 'different',
              key,
              line: desired,
              source: lineBytes(desired),
              record: leaf,
              parent: 'gw',
              actual,
              fields: ['tags'],
            };
    const [only, ...more] = changesOf(found, 0, { together: true, mode });
    expect(more).toEqual([]);
    expect(only).toMatchObject({ wave: 'devices', change: { part, mode } });
    const change = parseChange(printChange(only?.change ?? { part, eTag: null, line: '' }));
    expect(change).toStrictEqual(only?.change);
    const line = JSON.parse(printImportOf(change, scopeOf)) as Record<string, unknown>;
    const guard = mode.endsWith('IfMatchETag')
      ? part === 'twin'
        ? { twinETag: 'Mg==' }
        : { eTag: 'MQ==' }
      : {};
    const { eTag, twinETag, importMode, id } = line;
    expect({ eTag, twinETag, importMode, id }).toEqual({
      eTag: undefined,
      twinETag: undefined,
      ...guard,
      importMode: mode,
      id: 'leaf',
    });
    expect('tags' in line).toBe(part !== 'delete');
    expect('authentication' in line).toBe(part === 'create' || part === 'whole');
    expect('deviceScope' in line).toBe(part === 'create' || part === 'whole');
  });

  test('is none of a call by REST', () => {
    const found = {
      kind: 'different',
      key: recordKey('leaf', null),
      line: desired,
      source: lineBytes(desired),
      record: leaf,
    } as const;
    const sent = byRest({ ...found, parent: 'gw', actual, fields: ['status', 'tags'] }, 0);
    expect(sent.map(({ change }) => change.part)).toEqual(['identity', 'twin']);
  });
});

describe('changes that go together', () => {
  const changed = (one: typeof leaf, fields: Field[]) =>
    changesOf(
      {
        kind: 'different',
        key: recordKey(one.deviceId, one.moduleId),
        line: printDesiredLine(one, null),
        source: lineBytes(printDesiredLine(one, null)),
        record: one,
        parent: null,
        actual: one,
        fields,
      },
      2,
      { together: true },
    ).map(({ wave, change }) => `${wave} ${change.part}`);

  test('are one wave, but for what others wait for and second lines', () => {
    expect(changed(leaf, ['status'])).toEqual(['devices identity']);
    expect(changed(leaf, ['tags'])).toEqual(['devices twin']);
    expect(changed(leaf, ['status', 'tags'])).toEqual(['devices identity', 'twins twin']);
    expect(changed(edge, ['status'])).toEqual(['devices identity']);
    expect(changed(edge, ['parent'])).toEqual(['edge-2 identity']);
    expect(changed(module, ['desired'])).toEqual(['devices twin']);
    expect(changed(module, ['authentication.primaryKey'])).toEqual(['module-updates identity']);
  });
});

describe('a change as a line of an import', () => {
  test('an update of the identity is complete, guarded, and leaves the twin alone', () => {
    const line = printImportOf(
      { part: 'identity', eTag: 'MQ==', line: printDesiredLine(leaf, 'gw') },
      scopeOf,
    );
    expect(JSON.parse(line)).toMatchObject({
      id: 'leaf',
      status: 'disabled',
      statusReason: 'spare',
      capabilities: { iotEdge: false },
      deviceScope: 'scope-of-gw',
      eTag: 'MQ==',
      importMode: 'updateIfMatchETag',
    });
    expect(Object.keys(JSON.parse(line) as object)).not.toEqual(expect.arrayContaining(['tags']));
    expect(line).not.toContain('properties');
  });

  test('a leaf without a parent says it by saying nothing, an edge device by an empty list', () => {
    const of = (device: typeof leaf) =>
      printImportOf({ part: 'identity', eTag: 'MQ==', line: printDesiredLine(device, null) }, noScope);
    expect(of(leaf)).not.toMatch(/Scope/);
    expect(of(edge)).toContain('"parentScopes":[]');
  });

  test('an edge device names its parent, and never its own scope', () => {
    const line = printImportOf(
      { part: 'identity', eTag: 'MQ==', line: printDesiredLine(edge, 'top') },
      scopeOf,
    );
    expect(JSON.parse(line)).toMatchObject({ parentScopes: ['scope-of-top'] });
    expect(line).not.toContain('deviceScope');
  });

  test('an update of the twin carries it byte for byte, and nothing of the identity', () => {
    const line = printImportOf({ part: 'twin', eTag: 'AAAA', line: printDesiredLine(leaf, 'gw') }, noScope);
    expect(line).toBe(
      `{"id":"leaf","status":"disabled","tags":${twin.tagsText},"properties":{"desired":${twin.desiredText}},` +
        '"twinETag":"AAAA","importMode":"updateTwinIfMatchETag"}',
    );
  });

  test.each([
    [leaf, '{"id":"leaf","status":"enabled","eTag":"MTAx","importMode":"deleteIfMatchETag"}'],
    [
      module,
      '{"id":"leaf","moduleId":"m","status":"enabled","eTag":"MTAx","importMode":"deleteIfMatchETag"}',
    ],
  ])('a delete says whose it is', (of, line) => {
    const found: Comparison = {
      kind: 'extra',
      key: recordKey(of.deviceId, of.moduleId),
      record: of,
      deletable: true,
    };
    const [sent] = changesOf(found, 0);
    expect(sent?.wave).toBe('deletes');
    expect(sent && printImportOf(sent.change, noScope)).toBe(line);
  });
});

describe('the lines of a record that differs', () => {
  const different = (of: typeof leaf, fields: string[]): Extract<Comparison, { kind: 'different' }> => ({
    kind: 'different',
    key: recordKey(of.deviceId, of.moduleId),
    line: printDesiredLine(of, null),
    source: lineBytes(printDesiredLine(of, null)),
    record: of,
    parent: null,
    actual: { ...of, eTag: 'i', twinETag: 't' },
    fields: fields as never,
  });
  const lines = (of: typeof leaf, fields: string[]) =>
    changesOf(different(of, fields), 2).map(({ wave, change }) => [wave, change.part, change.eTag]);

  test.each([
    [leaf, ['status'], [['devices', 'identity', 'i']]],
    [leaf, ['tags'], [['twins', 'twin', 't']]],
    [
      leaf,
      ['status', 'desired'],
      [
        ['devices', 'identity', 'i'],
        ['twins', 'twin', 't'],
      ],
    ],
    [edge, ['parent'], [['edge-2', 'identity', 'i']]],
    [module, ['authentication.primaryKey'], [['module-updates', 'identity', 'i']]],
  ])('go by wave and ETag', (of, fields, wanted) => {
    expect(lines(of, fields)).toEqual(wanted);
  });

  test('by REST they are the same, in one wave', () => {
    const sent = byRest(different(leaf, ['status', 'tags']), 0);
    expect(sent.map(({ wave, change }) => [wave, change.part])).toEqual([
      ['by-rest', 'identity'],
      ['by-rest', 'twin'],
    ]);
  });
});

test('REST takes identity and twin apart, byte for byte; a module has no status', () => {
  const {
    identity,
    twin: body,
    parent,
  } = restBodies({ part: 'create', eTag: null, line: printDesiredLine(module, null) });
  expect(parent).toBeNull();
  expect(JSON.parse(identity)).toEqual({
    deviceId: 'leaf',
    moduleId: 'm',
    authentication: expect.anything() as unknown,
  });
  expect(body).toBe(`{"tags":${twin.tagsText},"properties":{"desired":${twin.desiredText}}}`);
});

test.each([
  [edge, { parentScopes: ['scope-of-gw'] }],
  [leaf, { deviceScope: 'scope-of-gw' }],
])('REST creates a device below its parent %#', (device, placed) => {
  const change: Change = { part: 'create', eTag: null, line: printDesiredLine(device, 'gw') };
  const body = JSON.parse(restBodies(change, 'scope-of-gw').identity) as Record<string, unknown>;
  expect(body).toMatchObject({ deviceId: device.deviceId, status: device.status, ...placed });
  for (const name of ['id', 'tags', 'properties', 'parent', 'importMode'])
    expect(body).not.toHaveProperty(name);
  const alone = JSON.parse(restBodies(change).identity) as Record<string, unknown>;
  expect(Object.keys(alone).filter((name) => /scope/i.test(name))).toEqual([]);
});
