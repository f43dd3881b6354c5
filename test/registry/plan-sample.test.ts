import { describe, expect, test } from 'vitest';
import { type Configuration, parseConfiguration } from '../../registry/configurations.js';
import { toGenerate } from '../../registry/new-keys.js';
import { configurationSample, manifestSample, planSample } from '../../registry/plan-sample.js';
import { recordKey } from '../../registry/record.js';
import { record } from './records.js';

const key = recordKey('a', null);
const placed = (members: Parameters<typeof record>[0], parent: string | null = null) => ({
  record: record(members),
  parent,
});

describe('a sample of a plan', () => {
  test('of an update says what differs, down to the values of a twin', () => {
    const before = placed({ id: 'a', tagsText: '{"same":1,"deep":{"x":1,"y":[1]},"gone":null}' }, 'gw');
    const after = placed({
      id: 'a',
      status: 'disabled',
      tagsText: '{"same":1.0,"deep":{"x":2,"y":[1]},"new":"t"}',
    });
    expect(planSample(key, 'update', before, after, ['status', 'tags', 'parent'])).toEqual({
      record: 'a',
      kind: 'device',
      change: 'update',
      fields: [
        { field: 'status', before: 'enabled', after: 'disabled' },
        { field: 'tags.deep.x', before: '1', after: '2' },
        { field: 'tags.gone', before: 'null', after: null },
        { field: 'tags.new', before: null, after: '"t"' },
        { field: 'parent', before: 'gw', after: null },
      ],
      more: 0,
    });
  });

  test('never shows a key, or what looks like one', () => {
    const secret = Buffer.alloc(32, 'abc').toString('base64');
    const before = placed({ id: 'a' });
    const after = placed({ id: 'a', tagsText: JSON.stringify({ [secret]: secret }) });
    const sample = planSample(key, 'update', before, after, [
      'authentication.primaryKey',
      'authentication.secondaryKey',
      'tags',
    ]);
    expect(sample?.fields.slice(0, 2)).toEqual([
      { field: 'authentication.primaryKey', before: 'a key', after: 'another key' },
      { field: 'authentication.secondaryKey', before: 'a key', after: 'another key' },
    ]);
    const text = JSON.stringify(sample);
    for (const hidden of [secret, before.record.authentication?.primaryKey ?? 'none'])
      expect(text).not.toContain(hidden);
    const fresh = { record: toGenerate(after.record), parent: null };
    const made = planSample(key, 'update', before, fresh, ['authentication.primaryKey']);
    expect(made?.fields).toEqual([
      { field: 'authentication.primaryKey', before: 'a key', after: 'a new key' },
    ]);
  });

  test('of a record that is made or deleted says what it is; of many fields only some', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`n${n}`, 'x'.repeat(200)]));
    const one = placed({ id: 'a', iotEdge: true, tagsText: JSON.stringify(many) }, 'gw');
    const made = planSample(key, 'create', null, one, []);
    expect(made).toMatchObject({ kind: 'edge', more: 15 });
    expect(made?.fields.slice(0, 3)).toEqual([
      { field: 'status', before: null, after: 'enabled' },
      { field: 'authentication.type', before: null, after: 'sas' },
      { field: 'parent', before: null, after: 'gw' },
    ]);
    expect(made?.fields.at(-1)?.after).toHaveLength(101);
    const module = placed({ id: 'a', moduleId: 'm' });
    expect(planSample(recordKey('a', 'm'), 'delete', module, null, [])?.fields).toEqual([
      { field: 'authentication.type', before: 'sas', after: null },
    ]);
  });

  test('of a configuration says what differs, and of system modules which', () => {
    const body = (priority: number, content: object): Configuration =>
      parseConfiguration(JSON.stringify({ id: 'c', priority, targetCondition: '*', content }));
    const secret = Buffer.alloc(32, 'abc').toString('base64');
    const [was, is] = [body(1, { deviceContent: { a: 1 } }), body(2, { deviceContent: { a: secret } })];
    const sample = configurationSample(is, was);
    expect(sample).toMatchObject({ record: 'c', kind: 'configuration', change: 'update' });
    expect(sample.fields).toEqual([
      { field: 'content', before: '{"deviceContent":{"a":1}}', after: '{"deviceContent":{"a":"***"}}' },
      { field: 'priority', before: '1', after: '2' },
    ]);
    expect(configurationSample(is, null)).toMatchObject({ change: 'create' });
    const module = { desired: '{"n":1}', tags: null, tagsDue: false, eTag: null };
    const modules = [
      { ...module, moduleId: '$edgeAgent', due: 'update' },
      { ...module, moduleId: '$edgeHub', due: null },
      { ...module, moduleId: 'pump', due: 'create' },
    ] as const;
    expect(
      manifestSample({ id: 'gw', kind: 'update', enabled: true, apply: true, modules, others: [] }),
    ).toEqual({
      record: 'gw',
      kind: 'system modules',
      change: 'update',
      fields: [
        { field: '$edgeAgent', before: 'something else', after: '{"n":1}' },
        { field: 'pump', before: null, after: '{"n":1}' },
      ],
      more: 0,
    });
  });
});
