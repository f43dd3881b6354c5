import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type FleetRecord, generateFleet } from '../../simulator/index.js';
import { essence, openTestStand, sharedServices, type TestStand } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());

const key = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
const sas = (primary: number, secondary = primary) => ({
  type: 'sas' as const,
  primaryKey: key(primary),
  secondaryKey: key(secondary),
});
const nest = (levels: number): Record<string, unknown> => (levels === 0 ? { v: 1 } : { n: nest(levels - 1) });
const texts = (count: number, bytes: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'x'.repeat(bytes)]));

type Nasty = readonly [
  name: string,
  record: Omit<FleetRecord, 'deviceId'> & { deviceId?: string },
  fate: string,
];

/** What a registry may hold that trips programs; each is carried as it is, or refused with a code. */
const nasty = [
  ['every character that an id may have', { deviceId: "a-:.+%_#*?!(),=@;$'Z" }, 'carried'],
  ['an id of 128 characters', { deviceId: 'l'.repeat(128) }, 'carried'],
  ['an id of 129 characters', { deviceId: 'm'.repeat(129) }, 'ID_TOO_LONG'],
  ['an id with a blank', { deviceId: 'a b' }, 'ID_CHARACTERS'],
  ['an id with a letter outside ASCII', { deviceId: 'größe' }, 'ID_CHARACTERS'],
  ['an id that looks like a percent escape', { deviceId: 'a%2Fb' }, 'carried'],
  ['an id that looks like a path', { deviceId: '..' }, 'carried'],
  ['an id of capitals', { deviceId: 'CASE' }, 'carried'],
  ['the same id of small letters', { deviceId: 'case' }, 'carried'],
  ['an id like a member of every object', { deviceId: '__proto__' }, 'carried'],
  ['an id like another one', { deviceId: 'constructor' }, 'carried'],
  ['an id like the flag of an option', { deviceId: '--yes' }, 'carried'],
  ['a reason of 128 characters', { statusReason: 'r'.repeat(128) }, 'carried'],
  ['a reason of 129 characters', { statusReason: 'r'.repeat(129) }, 'STATUS_REASON_TOO_LONG'],
  ['a reason with quotes, a line end and a tab', { statusReason: 'a"b\\c\nd\te' }, 'carried'],
  ['a reason with line separators', { statusReason: 'a\u2028b\u2029c' }, 'carried'],
  ['a disabled device without a reason', { status: 'disabled' as const }, 'carried'],
  ['keys of 16 bytes', { authentication: sas(16) }, 'carried'],
  ['keys of 64 bytes', { authentication: sas(64) }, 'carried'],
  ['keys of different lengths', { authentication: sas(17, 63) }, 'carried'],
  ['keys of 15 bytes', { authentication: sas(15) }, 'KEYS_INVALID'],
  ['keys of 65 bytes', { authentication: sas(65) }, 'KEYS_INVALID'],
  ['one key alone', { authentication: { ...sas(32), secondaryKey: '' } }, 'KEYS_INVALID'],
  [
    'a key that is not base64',
    { authentication: { ...sas(32), primaryKey: '#'.repeat(44) } },
    'KEYS_INVALID',
  ],
  ['a device without authentication', { authentication: { type: 'none' as const } }, 'AUTHENTICATION_NONE'],
  ['a certificate authority', { authentication: { type: 'certificateAuthority' as const } }, 'carried'],
  [
    'thumbprints of both lengths, in both cases',
    {
      authentication: {
        type: 'selfSigned' as const,
        primaryThumbprint: 'aB'.repeat(20),
        secondaryThumbprint: 'Cd'.repeat(32),
      },
    },
    'carried',
  ],
  [
    'a self-signed device without a thumbprint',
    { authentication: { type: 'selfSigned' as const, primaryThumbprint: null, secondaryThumbprint: null } },
    'carried',
  ],
  [
    'a thumbprint with colons',
    {
      authentication: { type: 'selfSigned' as const, primaryThumbprint: 'ab:cd', secondaryThumbprint: null },
    },
    'THUMBPRINT_INVALID',
  ],
  [
    'text outside the basic plane',
    { tags: { face: '🚀👩‍👩‍👧', cjk: '東京' }, desired: { 東: 'ü' } },
    'carried',
  ],
  ['control characters in a text', { desired: { t: '\u0000\u0001\u001f\u007f' } }, 'carried'],
  ['a byte order mark in a text', { tags: { t: '\uFEFFx' } }, 'carried'],
  [
    'names that are taken',
    { tags: JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}') as object },
    'carried',
  ],
  ['a name of nothing', { tags: { '': 1 } }, 'carried'],
  ['a name with a dot', { tags: { 'a.b': 1 } }, 'TWIN_KEY_INVALID'],
  ['a name with a blank', { desired: { 'a b': 1 } }, 'TWIN_KEY_INVALID'],
  ['a name with a dollar sign', { desired: { a: { $b: 1 } } }, 'TWIN_KEY_INVALID'],
  ['a name of 1 KB', { tags: { ['k'.repeat(1024)]: 1 } }, 'carried'],
  ['a name of more than 1 KB', { tags: { ['k'.repeat(1025)]: 1 } }, 'TWIN_KEY_INVALID'],
  ['the largest integers', { desired: { low: -4503599627370496, high: 4503599627370495 } }, 'carried'],
  ['an integer that is too large', { desired: { n: 4503599627370496 } }, 'TWIN_NUMBER_OUT_OF_RANGE'],
  ['numbers of every form', { desired: { n: [0, 0.1, 1e-7, 1e21, 123456.789, -1.5] } }, 'carried'],
  ['a text of 4 KB', { desired: { t: 'x'.repeat(4096) } }, 'carried'],
  ['a text of more than 4 KB', { desired: { t: 'x'.repeat(4097) } }, 'TWIN_VALUE_TOO_LONG'],
  ['tags of nearly 8 KB', { tags: texts(2, 4000) }, 'carried'],
  ['tags of more than 8 KB', { tags: texts(3, 3000) }, 'TAGS_TOO_LARGE'],
  ['desired properties of nearly 32 KB', { desired: texts(8, 4000) }, 'carried'],
  ['desired properties of more than 32 KB', { desired: texts(9, 4000) }, 'DESIRED_TOO_LARGE'],
  ['ten objects in each other', { tags: nest(9) }, 'carried'],
  ['eleven and more objects in each other', { tags: nest(12) }, 'TWIN_TOO_DEEP'],
  ['a null', { desired: { a: { b: null } } }, 'TWIN_NULL'],
  [
    'empty objects and lists',
    { tags: { o: {}, l: [], d: { o: {} } }, desired: { l: [[], [{}]] } },
    'carried',
  ],
] as readonly (readonly [string, object, string])[] as readonly Nasty[];

const fleet = nasty.map(([, record], n): FleetRecord => ({ deviceId: `nasty-${n}`, ...record }));

it('50 nasty records are carried as they are, or refused by code and name; the others are unharmed', async () => {
  expect(nasty.length).toBeGreaterThanOrEqual(50);
  const plain = [...generateFleet({ devices: 40, seed: 5 })];
  stand.hub('old').load([...fleet, ...plain]);
  // A module of each that is carried is carried, too.
  stand.hub('old').load(fleet.map(({ deviceId }) => ({ deviceId, moduleId: "m.$'#", tags: { of: 'it' } })));
  const report = await stand.migrated();
  expect(report.error).toBeNull();
  expect(report.ledger).toMatchObject({ rejected: 0, uncertain: 0, unsent: 0 });

  const source = essence(stand.hub('old').dump());
  const target = essence(stand.hub('new').dump());
  const told = await stand.storage.readText('hubferry', `reports/${report.run}.differences.ndjson`);
  const codes = new Map(
    (told ?? '').split('\n').flatMap((line) => {
      const { record, code } = (line === '' ? {} : JSON.parse(line)) as { record?: string; code?: string };
      return record === undefined ? [] : [[record, code]];
    }),
  );
  const fates = nasty.map(([name], n) => {
    const { deviceId } = fleet[n] ?? { deviceId: '' };
    const there = target[`${deviceId}/`];
    if (there === undefined) {
      // A module with a bad device id is refused for it, too.
      expect(['DEVICE_REFUSED', codes.get(deviceId)]).toContain(codes.get(`${deviceId}/m.$'#`));
      return [name, codes.get(deviceId)];
    }
    expect(there, name).toEqual(source[`${deviceId}/`]);
    expect(target[`${deviceId}/m.$'#`], name).toEqual(source[`${deviceId}/m.$'#`]);
    return [name, 'carried'];
  });
  expect(fates).toEqual(nasty.map(([name, , fate]) => [name, fate]));
  for (const { deviceId, moduleId = '' } of plain)
    expect(target[`${deviceId}/${moduleId}`]).toEqual(source[`${deviceId}/${moduleId}`]);
  expect(report.outcome).toBe('differences');
});
