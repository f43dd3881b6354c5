import { describe, expect, it } from 'vitest';
import { matchesCondition } from '../../simulator/query/condition.js';
import { conditionFields, parseCondition } from '../../simulator/query/query.js';
import { type DeviceRecord, freshTwin } from '../../simulator/records/records.js';

const record: DeviceRecord = {
  deviceId: 'd-1',
  generationId: '1',
  etag: 1,
  enabled: true,
  statusReason: undefined,
  statusUpdatedAt: 0,
  auth: { type: 'certificateAuthority' },
  iotEdge: false,
  deviceScope: undefined,
  parentScopes: [],
  queuedMessages: 0,
  twin: {
    ...freshTwin,
    tags: JSON.stringify({
      floor: 3,
      site: 'Bern',
      on: true,
      list: ['a', 2],
      inner: { 'a-b': 1, group: 'g', zone: { n: -1 } },
    }),
    desired: JSON.stringify({ level: 3, name: 'Bern' }),
    reported: JSON.stringify({ status: 'ok' }),
  },
};
const holds = (text: string) => matchesCondition(record, parseCondition(text));

describe('conditions that hold', () => {
  it.each([
    // comparisons
    'tags.floor = 3',
    'tags.floor != 4',
    'tags.floor <> 4',
    'tags.floor < 3.5',
    'tags.floor <= 3',
    'tags.floor > 2e0',
    'tags.floor >= 0x3',
    'tags.inner.zone.n = -1',
    "tags.site > 'Basel'",
    '3 = tags.floor',
    'tags.floor = properties.desired.level',
    'tags.site = properties.desired.name',
    "properties.reported.status = 'ok'",
    'tags.on = true',
    'tags.on',
    "authenticationType = 'certificateAuthority'",
    'version = 1',
    String.raw`tags.site = 'B\u0065rn'`,
    'tags.site = "Bern"',
    // logic
    'not tags.floor = 4',
    'NOT (tags.floor = 4 OR tags.floor = 5)',
    'tags.floor = 4 or tags.floor = 3 and tags.on = true',
    '(tags.floor = 4 or tags.floor = 3) and tags.on = true',
    'not not tags.on',
    // lists
    'tags.floor IN [1, 2, 3]',
    "tags.site in ['Bern']",
    'tags.floor NIN [1, 2]',
    'tags.floor not in [1, 2]',
    'tags.floor nin []',
    'not tags.floor in [1]',
    // functions
    'is_defined(tags.floor)',
    'not is_defined(tags.roof)',
    'is_defined(tags.roof) = false',
    'IS_NUMBER(tags.floor)',
    'is_string(tags.site)',
    'is_bool(tags.on)',
    'is_object(tags.inner)',
    'is_array(tags.list)',
    'is_primitive(tags.floor)',
    'not is_primitive(tags.inner)',
    'not is_null(tags.floor)',
    "startswith(deviceId, 'd-')",
    "STARTS_WITH(deviceId, 'd-')",
    "endswith(tags.site, 'rn')",
    "ends_with(tags.site, 'rn')",
    "contains(tags.site, 'er')",
    "array_contains(tags.list, 'a')",
    'array_contains(tags.list, 2)',
    // arithmetic
    'tags.floor + 1 = 4',
    'tags.floor - 1 = 2',
    '2 + tags.floor * 2 = 8',
    '(2 + tags.floor) * 2 = 10',
    'tags.floor % 2 = 1',
    'tags.floor / 2 > 1',
    // names
    'tags.inner.[[a-b]] = 1',
    "tags.inner.[[group]] = 'g'",
    "[[tags]].[[site]] = 'Bern'",
  ])('%s', (text) => {
    expect(holds(text)).toBe(true);
  });
});

describe('conditions that do not hold', () => {
  it.each([
    'tags.floor = 4',
    "tags.floor = '3'",
    "tags.floor < '4'",
    'tags.site',
    "'true'",
    'null',
    'undefined',
    'tags.on = 1',
    // What needs a field that is not there is not met, whichever way it is asked.
    'tags.roof = 1',
    'tags.roof != 1',
    'not tags.roof = 1',
    'tags.roof in [1]',
    'tags.roof nin [1]',
    "startswith(tags.roof, '')",
    "not startswith(tags.floor, 'x')",
    'tags.roof = undefined',
    'tags.roof + 1 = 1',
    'tags.site + 1 = 1',
    // Objects cannot be compared.
    'tags.inner = tags.inner',
    'tags.inner != 1',
    'tags.list = tags.list',
    'tags.constructor = 1',
    'is_defined(tags.constructor)',
    'is_defined(tags.inner.toString)',
    'is_defined(tags.list.length)',
    'is_defined(hasOwnProperty)',
    'array_contains(tags.list, 3)',
    "array_contains(tags.site, 'B')",
    'generationId = 1',
    'is_defined(authentication)',
    'tags.floor / 0 < 1',
  ])('%s', (text) => {
    expect(holds(text)).toBe(false);
  });
});

describe('a condition', () => {
  it('names the fields that it looks at', () => {
    const text =
      "tags.a = 1 and (not is_defined(tags.b) or tags.c + tags.d in [1]) and startswith(deviceId, 'x')";
    expect(conditionFields(parseCondition(text)).map((path) => path.join('.'))).toEqual([
      'tags.a',
      'tags.b',
      'tags.c',
      'tags.d',
      'deviceId',
    ]);
  });

  it.each(['', '*', 'tags.a = 1 and', 'tags.a = 1 tags.b = 2', 'select * from devices', ')', 'tags.'])(
    'is not: %s',
    (text) => {
      expect(() => parseCondition(text)).toThrow(/BadRequest/);
    },
  );
});
