import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, asText } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.hub.reset();
  stand.hub.load([{ deviceId: 'd' }]);
});

const get = (path: string) => stand.client.ask('GET', path);
const write = (method: 'PATCH' | 'PUT', body: unknown, ifMatch?: string, path = '/twins/d') =>
  stand.client.ask(method, path, {
    body,
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();
const patchTags = (tags: unknown) => write('PATCH', { tags }).then(code);
const ok = '200';
const refused = '400 ArgumentInvalid';

/** An object in which `levels` objects are nested, the innermost with one number. */
function nested(levels: number): object {
  let object: object = { leaf: 1 };
  for (let n = 0; n < levels; n++) object = { down: object };
  return object;
}

/** Tags of exactly `bytes` bytes by the service's own rule, in values that are short enough. */
function tagsOf(bytes: number): Record<string, string> {
  const tags: Record<string, string> = {};
  for (let left = bytes, n = 0; left > 0; n++) {
    const key = `k${n}`;
    const length = Math.min(left - key.length, 4000);
    tags[key] = 'x'.repeat(length);
    left -= key.length + length;
  }
  return tags;
}

describe('twins', () => {
  it('show no keys and no generation id', async () => {
    stand.hub.load([{ deviceId: 'd', statusReason: 'x' }]);
    const { json, headers } = await get('/twins/d');
    expect(json).toMatchObject({
      deviceId: 'd',
      etag: 'AAAAAAAAAAE=',
      version: 1,
      status: 'enabled',
      statusReason: 'x',
      authenticationType: 'sas',
      tags: {},
      properties: { desired: { $version: 1 }, reported: { $version: 1 } },
    });
    expect(headers.etag).toBe('"AAAAAAAAAAE="');
    expect(json).not.toHaveProperty('generationId');
    expect(json).not.toHaveProperty('connectionStateUpdatedTime');
    expect(JSON.stringify(json)).not.toContain(asText(stand.hub.record('d')?.generationId));
    expect(JSON.stringify(json)).not.toContain('primaryKey');
  });

  it('spell thumbprints as the setting says', async () => {
    const primaryThumbprint = 'aB'.repeat(20);
    stand.hub.load([
      { deviceId: 'x', authentication: { type: 'selfSigned', primaryThumbprint, secondaryThumbprint: null } },
    ]);
    expect((await get('/twins/x')).json.x509Thumbprint).toEqual({
      PrimaryThumbprint: primaryThumbprint,
      SecondaryThumbprint: null,
    });
    stand.hub.set({ twinThumbprintCase: 'camel' });
    expect((await get('/twins/x')).json.x509Thumbprint).toEqual({
      primaryThumbprint,
      secondaryThumbprint: null,
    });
  });

  it('merge with PATCH and replace section by section with PUT', async () => {
    const { etag: identity } = (await get('/devices/d')).json;
    await write(
      'PATCH',
      { tags: { a: 1, b: { c: '👩‍🔧', d: 2 } }, properties: { desired: { x: [1, { y: 2 }] } } },
      '"*"',
    );
    const merged = await write('PATCH', { tags: { b: { d: null }, e: true } });
    expect(merged.json).toMatchObject({ version: 3, etag: 'AAAAAAAAAAM=', deviceEtag: identity });
    expect(merged.json.tags).toEqual({ a: 1, b: { c: '👩‍🔧' }, e: true });
    const replaced = await write('PUT', { tags: { only: 'this' } }, '"AAAAAAAAAAM="');
    expect(replaced.json.tags).toEqual({ only: 'this' });
    expect(replaced.json.properties).toMatchObject({ desired: { x: [1, { y: 2 }], $version: 2 } });
    expect(code(await write('PATCH', { tags: {} }, '"AAAAAAAAAAM="'))).toBe('412 PreconditionFailed');
    expect(code(await write('PATCH', {}, undefined, '/twins/missing'))).toBe('404 DeviceNotFound');
    expect((await get('/devices/d')).json.etag).toBe(identity);
  });

  it('of PATCH: objects meet scalars, arrays are replaced whole, what is not there can be deleted', async () => {
    await patchTags({ a: 1, b: { c: 1 }, list: [1, 2] });
    expect(await patchTags({ a: { x: 1, y: null }, b: 'text', list: [3], gone: null, e: { f: null } })).toBe(
      ok,
    );
    expect((await get('/twins/d')).json.tags).toEqual({ a: { x: 1 }, b: 'text', list: [3], e: {} });
  });

  it('keep their etag when nothing was written, or only the identity', async () => {
    const before = (await get('/twins/d')).json;
    for (const body of [{}, { tags: null }, { properties: {} }, { status: 'disabled' }]) {
      expect((await write('PATCH', body)).json.etag, JSON.stringify(body)).toBe(before.etag);
    }
    await stand.client.ask('PUT', '/devices/d', { body: {}, headers: { 'if-match': '*' } });
    const after = (await get('/twins/d')).json;
    expect(after.etag).toBe(before.etag);
    expect(after.deviceEtag).not.toBe(before.deviceEtag);
  });

  it('take an etag in every form, and ignore the one in the body', async () => {
    const current = () => stand.hub.record('d')?.twinEtag ?? '';
    const forms = [
      (e: string) => e,
      (e: string) => `"${e}"`,
      (e: string) => `W/"${e}"`,
      () => '*',
      () => '"*"',
    ];
    for (const form of forms) {
      const stale = current();
      expect(code(await write('PATCH', { tags: { n: 1 } }, form(current()))), form('E')).toBe(ok);
      if (form('E').includes('*')) continue;
      expect(code(await write('PATCH', { tags: { n: 1 } }, form(stale))), form('E')).toBe(
        '412 PreconditionFailed',
      );
    }
    expect(code(await write('PATCH', { etag: 'c3RhbGU=', tags: { n: 2 } }))).toBe(ok);
    expect(code(await write('PATCH', { tags: { n: 3 } }, ''))).toBe(ok);
  });

  it('count versions of desired properties apart, and date them', async () => {
    stand.hub.clock.setSpeed(0);
    await write('PATCH', { tags: { a: 1 } });
    expect((await get('/twins/d')).json.properties?.desired).toEqual({
      $metadata: { $lastUpdated: '0001-01-01T00:00:00' },
      $version: 1,
    });
    const at = new Date(stand.hub.clock.now()).toISOString();
    const { json } = await write('PATCH', { properties: { desired: { a: { b: 1 } } } });
    expect(json.properties?.desired).toEqual({
      a: { b: 1 },
      $metadata: { $lastUpdated: at, a: { $lastUpdated: at, b: { $lastUpdated: at } } },
      $version: 2,
    });
    stand.hub.clock.reset();
  });

  it('never change reported properties, and drop the metadata that a client sends back', async () => {
    stand.hub.load([{ deviceId: 'r', reported: { fan: 'on' } }]);
    const twin = (await get('/twins/r')).json;
    const echoed = await write('PUT', twin, undefined, '/twins/r');
    expect(code(echoed)).toBe(ok);
    const properties = { desired: { a: 1 }, reported: { fan: 'off' } };
    expect((await write('PATCH', { properties }, undefined, '/twins/r')).json.properties).toMatchObject({
      desired: { a: 1 },
      reported: { fan: 'on', $version: 1 },
    });
  });
});

describe('limits of twins', () => {
  it('are ten nested objects or arrays, with scalars in the tenth', async () => {
    expect(await patchTags(nested(10))).toBe(ok);
    expect(await patchTags({ down: null })).toBe(ok);
    expect(await patchTags(nested(11))).toBe(refused);
    expect(await patchTags({ list: [[[[[[[[[[1]]]]]]]]]] })).toBe(ok);
    expect(await patchTags({ list: [[[[[[[[[[[1]]]]]]]]]]] })).toBe(refused);
  });

  it('hold for what a merge makes of two parts', async () => {
    expect(await patchTags(tagsOf(5000))).toBe(ok);
    expect(await patchTags({ other: 'y'.repeat(3000) })).toBe(ok);
    expect(await patchTags({ third: 'z'.repeat(3000) })).toBe(refused);
    expect(await patchTags({ other: null, third: 'z'.repeat(3000) })).toBe(ok);
  });

  it('are 8 KB of tags and 32 KB of desired properties, to the byte', async () => {
    expect(await patchTags(tagsOf(8192))).toBe(ok);
    expect(code(await write('PUT', { tags: tagsOf(8193) }))).toBe(refused);
    const desired = (bytes: number) => write('PUT', { properties: { desired: tagsOf(bytes) } }).then(code);
    expect(await desired(32_768)).toBe(ok);
    expect(await desired(32_769)).toBe(refused);
  });

  it('count numbers as 8 bytes, booleans as 4, and control characters not at all', async () => {
    const rest = tagsOf(8192 - (1 + 8) - (1 + 4) - (1 + 2));
    expect(code(await write('PUT', { tags: { ...rest, n: 1, b: true, c: '\n\t\u0085ä' } }))).toBe(ok);
    expect(code(await write('PUT', { tags: { ...rest, n: 1, b: true, c: '\n\t\u0085äx' } }))).toBe(refused);
  });

  it('are 4 KB for a value, in bytes', async () => {
    expect(await patchTags({ big: 'x'.repeat(4096) })).toBe(ok);
    expect(await patchTags({ big: 'x'.repeat(4097) })).toBe(refused);
    expect(await patchTags({ big: 'ä'.repeat(2048) })).toBe(ok);
    expect(await patchTags({ big: 'ä'.repeat(2049) })).toBe(refused);
  });

  it('are for keys: 1 KB, no control characters, none of . $ # and space', async () => {
    for (const key of ['', 'ä', '名', '👩', 'a-b', "it's", '[x]', 'x'.repeat(1024)]) {
      expect.soft(code(await write('PUT', { tags: { [key]: 1 } })), key).toBe(ok);
    }
    for (const key of ['a.b', 'a b', '$a', 'a$', '#', 'a\u0000', 'a\n', 'a\u009f', 'x'.repeat(1025)]) {
      expect.soft(code(await write('PUT', { tags: { [key]: 1 } })), JSON.stringify(key)).toBe(refused);
      expect.soft(code(await write('PUT', { tags: { in: [{ [key]: 1 }] } })), key).toBe(refused);
    }
  });

  it('are for integers 2^52; other numbers are free', async () => {
    for (const n of [4503599627370495, -4503599627370496, 0, -1.5, 1e300, 5e-324]) {
      expect.soft(await patchTags({ n }), String(n)).toBe(ok);
    }
    for (const n of [4503599627370496, -4503599627370497]) {
      expect.soft(await patchTags({ n }), String(n)).toBe(refused);
    }
  });

  it('leave no room for null, but PATCH deletes with it', async () => {
    expect(await patchTags({ list: [null] })).toBe(refused);
    expect(await patchTags({ list: [{ a: null }] })).toBe(refused);
    expect(code(await write('PUT', { tags: { a: null } }))).toBe(refused);
    expect(await patchTags({ a: null })).toBe(ok);
  });

  it('are not reached by wrong shapes', async () => {
    for (const body of [{ tags: 'text' }, { tags: [] }, { properties: { desired: [] } }, { properties: 5 }]) {
      expect.soft(code(await write('PATCH', body)), JSON.stringify(body)).toBe(refused);
    }
    for (const body of ['[]', '5', 'null', '{"tags":', '']) {
      expect.soft(code(await write('PATCH', body)), body).toBe('400 IotHubFormatError');
    }
  });

  it('let __proto__ be a key like others', async () => {
    const proto = await write('PATCH', '{"tags":{"__proto__":{"x":1},"n":-4503599627370496}}');
    expect(JSON.stringify(proto.json.tags)).toBe('{"__proto__":{"x":1},"n":-4503599627370496}');
  });

  it('stop what is nested as deeply as a body may be', async () => {
    const levels = 200_000;
    const objects = `{"tags":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`;
    const arrays = `{"tags":{"a":${'['.repeat(levels)}${']'.repeat(levels)}}}`;
    for (const body of [objects, arrays]) {
      for (const method of ['PATCH', 'PUT'] as const) {
        const answer = await write(method, body);
        expect(answer.status, method).toBe(400);
      }
    }
    expect(stand.sim.internalErrors()).toEqual([]);
  });
});

describe('twins of modules', () => {
  it('have rules and etags of their own', async () => {
    stand.hub.load([{ deviceId: 'd', moduleId: 'm' }]);
    const path = '/twins/d/modules/m';
    const before = await get(path);
    expect(before.json).toMatchObject({ deviceId: 'd', moduleId: 'm', version: 1, status: 'enabled' });
    expect(before.json).not.toHaveProperty('capabilities');
    await write('PATCH', { tags: { a: 1 } }, '"AAAAAAAAAAE="', path);
    expect((await get(path)).json).toMatchObject({ tags: { a: 1 }, version: 2 });
    expect((await get('/twins/d')).json).toMatchObject({ tags: {}, version: 1 });
    expect(code(await write('PUT', { tags: { a: null } }, undefined, path))).toBe(refused);
    expect(code(await get('/twins/d/modules/x'))).toBe('404 DeviceNotFound');
  });

  it('of the system are written only if the setting allows it', async () => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
    const path = '/twins/e/modules/$edgeAgent';
    expect((await get(path)).json).toMatchObject({ moduleId: '$edgeAgent', authenticationType: 'none' });
    expect(code(await write('PATCH', { tags: {} }, undefined, path))).toBe(
      '401 SystemModuleModifyUnauthorizedAccess',
    );
    stand.hub.set({ systemModuleTwins: 'accept' });
    expect(code(await write('PATCH', { tags: { a: 1 } }, undefined, path))).toBe(ok);
    expect((await get(path)).json.tags).toEqual({ a: 1 });
  });
});
