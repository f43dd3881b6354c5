import { describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../registry/configurations.js';
import { managedValues, managersOf } from '../../registry/managed.js';
import type { JsonObject } from '../../registry/record.js';

const configuration = (id: string, content: object, targetCondition = '*') =>
  parseConfiguration(JSON.stringify({ id, content, targetCondition }));

/** Settings of device configurations, each named after its path. */
const managed = (settings: Readonly<Record<string, unknown>>) =>
  managedValues(
    Object.entries(settings).map(([path, value]) =>
      configuration(path || 'all', { deviceContent: { [`properties.desired${path && `.${path}`}`]: value } }),
    ),
  ).device;

describe('what configurations of the target write', () => {
  it('is told by kind, and by the values and not the objects around them', () => {
    const found = managedValues([
      configuration('c', { deviceContent: { 'properties.desired.a': { b: 1, c: { d: [{}], e: {} } } } }),
      configuration('m', { moduleContent: { 'properties.desired': { x: null } } }),
      configuration('e', { modulesContent: { $edgeAgent: { 'properties.desired': { y: 1 } } } }),
      configuration('idle', { deviceContent: { 'properties.desired.z': 1 } }, ''),
    ]);
    expect(found).toEqual({
      device: [
        { id: 'c', path: ['a', 'b'], value: 1 },
        { id: 'c', path: ['a', 'c', 'd'], value: [{}] },
        { id: 'c', path: ['a', 'c', 'e'], value: {} },
      ],
      module: [{ id: 'm', path: ['x'], value: null }],
    });
  });

  it.each<[string, Record<string, unknown>, JsonObject, JsonObject, string[]]>([
    ['a value', { a: 2 }, { a: 1, own: 1 }, { a: 2, own: 1 }, ['a']],
    ['a value that was not there', { 'a.b': 2 }, {}, { a: { b: 2 } }, ['a.b']],
    ['a value below what is there', { 'a.b': 2 }, { a: { c: 1 } }, { a: { b: 2, c: 1 } }, ['a.b']],
    ['a value that is taken away', { a: null }, { a: 1 }, {}, ['a']],
    ['two values', { a: 1, b: 1 }, { b: 2 }, { a: 1, b: 1 }, ['a', 'b']],
    ['all of it', { '': { a: 2 } }, { a: 1 }, { a: 2 }, ['all']],
    ['not a value that is another one', { a: 2 }, { a: 1 }, { a: 3 }, []],
    ['not another difference', { a: 2 }, { a: 1, own: 1 }, { a: 2, own: 2 }, []],
    ['not what is equal', { a: 1 }, { a: 1, own: 1 }, { a: 1, own: 2 }, []],
    ['not where nothing is managed', {}, { a: 1 }, { a: 2 }, []],
  ])('explains %s', (_what, settings, desired, actual, ids) => {
    expect(managersOf(desired, actual, managed(settings))).toEqual(ids);
  });
});
