import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, asText } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => stand.hub.clear());

const put = (id: string, body: object = {}, ifMatch?: string) =>
  stand.client.ask('PUT', `/devices/${encodeURIComponent(id)}`, {
    body: { deviceId: id, ...body },
    ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
  });
const get = (path: string) => stand.client.ask('GET', path);
const remove = (path: string, ifMatch?: string) =>
  stand.client.ask('DELETE', path, ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } });
const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();

describe('devices', () => {
  it('are created with what the service adds', async () => {
    const made = await put('d', { statusReason: 'why' });
    expect(made.status).toBe(200);
    expect(made.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(made.json).toMatchObject({
      deviceId: 'd',
      status: 'enabled',
      statusReason: 'why',
      connectionState: 'Disconnected',
      lastActivityTime: '0001-01-01T00:00:00',
      cloudToDeviceMessageCount: 0,
      capabilities: { iotEdge: false },
    });
    expect(Buffer.from(asText(made.json.etag), 'base64').toString()).toMatch(/^\d{9}$/);
    expect(made.json.generationId).toMatch(/^\d{18}$/);
    expect(made.json).not.toHaveProperty('deviceScope');
    expect(made.json).not.toHaveProperty('parentScopes');
    expect(made.json.authentication).toMatchObject({
      type: 'sas',
      x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    });
    expect(made.headers.etag).toBe(`"${asText(made.json.etag)}"`);
    expect((await get('/devices/d')).json).toEqual(made.json);
  });

  it('follow the If-Match rules', async () => {
    const first = await put('d');
    const etag = asText(first.json.etag);
    expect(code(await put('d', { etag }))).toBe('409 DeviceAlreadyExists');
    expect(code(await put('missing', {}, '*'))).toBe('404 DeviceNotFound');
    expect(code(await put('d', {}, '"c3RhbGU="'))).toBe('412 PreconditionFailed');
    const second = await put('d', { status: 'disabled', statusReason: 'x' }, `"${etag}"`);
    expect(second.status).toBe(200);
    expect(second.json.etag).not.toBe(etag);
    expect(second.json.generationId).toBe(first.json.generationId);
    expect(second.json.authentication).not.toEqual(first.json.authentication);
    const third = await put('d', {}, asText(second.json.etag));
    expect(third.json).toMatchObject({ status: 'enabled', statusReason: null });
    for (const wildcard of ['*', '"*"']) expect((await put('d', {}, wildcard)).status).toBe(200);
    expect(code(await remove('/devices/d'))).toBe('412 PreconditionFailed');
    expect(code(await remove('/devices/d', '"c3RhbGU="'))).toBe('412 PreconditionFailed');
    expect(code(await remove('/devices/missing', '*'))).toBe('404 DeviceNotFound');
    expect(code(await remove('/devices/d', '"*"'))).toBe('204');
    expect(code(await get('/devices/d'))).toBe('404 DeviceNotFound');
    expect((await put('d')).json.generationId).not.toBe(first.json.generationId);
  });

  it('take an etag in every form that clients send', async () => {
    let etag = asText((await put('d')).json.etag);
    const forms = [
      (e: string) => e,
      (e: string) => `"${e}"`,
      (e: string) => `W/"${e}"`,
      (e: string) => ` "${e}" `,
    ];
    for (const form of forms) {
      const updated = await put('d', { etag: 'c3RhbGU=' }, form(etag));
      expect(code(updated), form('E')).toBe('200');
      expect(updated.headers.etag).toBe(`"${asText(updated.json.etag)}"`);
      expect(code(await put('d', {}, form(etag))), form('E')).toBe('412 PreconditionFailed');
      expect(code(await remove('/devices/d', form(etag))), form('E')).toBe('412 PreconditionFailed');
      etag = asText(updated.json.etag);
    }
    expect(code(await put('d', {}, '""'))).toBe('412 PreconditionFailed');
    // An empty header is none.
    expect(code(await put('d', {}, ''))).toBe('409 DeviceAlreadyExists');
    expect(code(await remove('/devices/d', ''))).toBe('412 PreconditionFailed');
    expect(code(await remove('/devices/d', `W/"${etag}"`))).toBe('204');
  });

  it('know no If-None-Match', async () => {
    const headers = { 'if-none-match': '*' };
    expect(code(await stand.client.ask('PUT', '/devices/d', { body: {}, headers }))).toBe('200');
    expect(code(await stand.client.ask('PUT', '/devices/d', { body: {}, headers }))).toBe(
      '409 DeviceAlreadyExists',
    );
    const etag = asText((await get('/devices/d')).headers.etag);
    expect(code(await stand.client.ask('GET', '/devices/d', { headers: { 'if-none-match': etag } }))).toBe(
      '200',
    );
  });

  it('keep etag and dates while nothing happens to them, and date a change of status', async () => {
    const made = (await put('d')).json;
    await stand.client.ask('PATCH', '/twins/d', { body: { tags: { a: 1 } } });
    expect((await get('/devices/d')).json).toEqual(made);
    stand.hub.clock.setSpeed(0);
    const at = new Date(stand.hub.clock.now()).toISOString();
    const off = (await put('d', { status: 'disabled' }, '*')).json;
    stand.hub.clock.advance(60_000);
    const still = (await put('d', { status: 'disabled', statusReason: 'x' }, '*')).json;
    expect([made.statusUpdatedTime, off.statusUpdatedTime, still.statusUpdatedTime]).toEqual([
      '0001-01-01T00:00:00',
      at,
      at,
    ]);
    stand.hub.clock.reset();
  });

  it('are listed up to top, of which odd values count as 1000', async () => {
    stand.hub.load(Array.from({ length: 1001 }, (_, n) => ({ deviceId: `d${n}` })));
    const count = async (search: string) => Object.keys((await get(`/devices${search}`)).json).length;
    expect(await count('?top=3')).toBe(3);
    expect(await count('?top=1000')).toBe(1000);
    for (const top of ['0', '-1', '1001', 'x', '1.5', ''])
      expect.soft(await count(`?top=${top}`), top).toBe(1000);
    expect(await count('')).toBe(1000);
  });

  it('take odd ids, decoded exactly once', async () => {
    for (const id of [
      '%',
      '%25',
      '%2F',
      '#',
      '?',
      '*',
      '$',
      "'",
      '@',
      ';',
      ',',
      '=',
      '!()_-:.+',
      '..',
      'x'.repeat(128),
    ]) {
      expect.soft((await put(id)).json.deviceId, id).toBe(id);
      expect.soft((await get(`/devices/${encodeURIComponent(id)}`)).json.deviceId, id).toBe(id);
    }
    expect((await get('/devices/')).json).toHaveLength(15);
  });

  it('refuse what the service refuses', async () => {
    const key = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
    const sas = (primaryKey: unknown, secondaryKey: unknown) => ({
      authentication: { type: 'sas', symmetricKey: { primaryKey, secondaryKey } },
    });
    const bad: [string, object][] = [
      ['a b', {}],
      ['a/b', {}],
      ['ä', {}],
      ['x'.repeat(129), {}],
      ['d', { deviceId: 'other' }],
      ['d', { status: 'asleep' }],
      ['d', { statusReason: 'x'.repeat(129) }],
      ['d', sas(key(15), key(32))],
      ['d', sas(key(32), key(65))],
      ['d', sas(key(32), null)],
      ['d', sas('not base64!', key(32))],
      ['d', sas(5, 5)],
      ['d', { authentication: { type: 'none' } }],
      ['d', { authentication: { type: 'constructor' } }],
      ['d', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'AB:CD' } } }],
      ['d', { capabilities: { iotEdge: 'yes' } }],
    ];
    for (const [id, body] of bad) {
      expect.soft(code(await put(id, body)), JSON.stringify([id, body])).toBe('400 ArgumentInvalid');
    }
    const broken = await stand.client.ask('PUT', '/devices/d', { body: '{"deviceId":' });
    expect(code(broken)).toBe('400 IotHubFormatError');
  });

  it('keep keys and thumbprints byte by byte', async () => {
    const symmetricKey = {
      primaryKey: Buffer.alloc(16, 1).toString('base64'),
      secondaryKey: Buffer.alloc(64, 2).toString('base64'),
    };
    const sas = await put('s', { authentication: { symmetricKey } });
    expect(sas.json.authentication).toMatchObject({ type: 'sas', symmetricKey });
    const x509Thumbprint = { primaryThumbprint: 'aB'.repeat(20), secondaryThumbprint: 'Cd'.repeat(32) };
    const signed = await put('x', { authentication: { x509Thumbprint } });
    expect(signed.json.authentication).toMatchObject({ type: 'selfSigned', x509Thumbprint });
    const authority = await put('c', { authentication: { type: 'certificateAuthority' } });
    expect(authority.json.authentication).toMatchObject({
      type: 'certificateAuthority',
      symmetricKey: { primaryKey: null, secondaryKey: null },
    });
  });

  it('are counted, and limited', async () => {
    await put('a');
    await put('b', { status: 'disabled' });
    await put('b', { status: 'disabled' }, '*');
    expect((await get('/statistics/devices')).json).toEqual({
      totalDeviceCount: 2,
      enabledDeviceCount: 1,
      disabledDeviceCount: 1,
    });
    stand.hub.set({ maxRecords: 2 });
    expect(code(await put('c'))).toBe('403 IotHubQuotaExceeded');
    stand.hub.set({ maxRecords: 1_000_000 });
    await remove('/devices/b', '*');
    expect((await get('/statistics/devices')).json).toMatchObject({
      totalDeviceCount: 1,
      disabledDeviceCount: 0,
    });
  });
});

describe('modules', () => {
  const putModule = (path: string, body: object = {}, ifMatch?: string) =>
    stand.client.ask('PUT', path, {
      body,
      ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
    });

  it('follow the same rules and have no status', async () => {
    await put('d');
    const path = '/devices/d/modules/m';
    const made = await putModule(path, {
      deviceId: 'd',
      moduleId: 'm',
      managedBy: 'me',
      authentication: { type: 'none' },
    });
    expect(made.json).toMatchObject({
      deviceId: 'd',
      moduleId: 'm',
      managedBy: 'me',
      authentication: { type: 'sas' },
    });
    expect(made.json).not.toHaveProperty('status');
    expect(made.json).not.toHaveProperty('capabilities');
    expect(code(await putModule(path))).toBe('409 ModuleAlreadyExistsOnDevice');
    expect(code(await putModule('/devices/d/modules/x', {}, '*'))).toBe('404 ModuleNotFound');
    expect(code(await putModule(path, {}, '"MA=="'))).toBe('412 PreconditionFailed');
    expect((await putModule(path, {}, '"*"')).json.managedBy).toBeNull();
    expect(code(await putModule('/devices/d/modules/$x'))).toBe('400 ArgumentInvalid');
    expect(code(await putModule('/devices/d/modules/$x', {}, '*'))).toBe(
      '401 SystemModuleModifyUnauthorizedAccess',
    );
    for (const other of [{ moduleId: 'x' }, { deviceId: 'x' }, { deviceId: 5 }]) {
      expect.soft(code(await putModule('/devices/d/modules/y', other))).toBe('400 ArgumentInvalid');
    }
    expect((await get('/devices/d/modules')).json).toHaveLength(1);
    expect(code(await remove(path))).toBe('412 PreconditionFailed');
    expect(code(await remove(path, '*'))).toBe('204');
    expect(code(await get(path))).toBe('404 ModuleNotFound');
  });

  it('answer 401 under SAS when the device is missing or disabled, while their twins answer', async () => {
    stand.hub.load([
      { deviceId: 'off', status: 'disabled' },
      { deviceId: 'off', moduleId: 'm' },
    ]);
    for (const device of ['off', 'missing']) {
      for (const [method, path] of [
        ['GET', `/devices/${device}/modules`],
        ['GET', `/devices/${device}/modules/m`],
        ['PUT', `/devices/${device}/modules/m`],
        ['DELETE', `/devices/${device}/modules/m`],
      ] as const) {
        const answer = await stand.client.ask(method, path, method === 'PUT' ? { body: {} } : {});
        expect.soft(code(answer), `${method} ${path}`).toBe('401 IotHubUnauthorizedAccess');
      }
    }
    expect((await get('/twins/off/modules/m')).status).toBe(200);
    expect(code(await get('/twins/off/modules/x'))).toBe('404 DeviceNotFound');
  });

  it('go with their device, and number 50 at most', async () => {
    await put('d');
    for (let n = 0; n < 50; n++) expect((await putModule(`/devices/d/modules/m${n}`)).status).toBe(200);
    expect(code(await putModule('/devices/d/modules/m50'))).toBe('413 TooManyModulesOnDevice');
    await remove('/devices/d', '*');
    expect(stand.hub.store.moduleCount).toBe(0);
  });
});

describe('configurations', () => {
  it('can be loaded and read', async () => {
    stand.hub.loadConfigurations([{ id: 'c1', priority: 5, content: { deviceContent: {} } }]);
    expect((await get('/configurations')).json).toMatchObject([{ id: 'c1', priority: 5, etag: 'MQ==' }]);
    expect((await get('/configurations/c1')).json).toMatchObject({ id: 'c1' });
    expect(code(await get('/configurations/x'))).toBe('404 ConfigurationNotFound');
  });
});
