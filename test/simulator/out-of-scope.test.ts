import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { errorCodes } from '../../simulator/errors.js';
import { outOfScopeRoutes } from '../../simulator/routes/out-of-scope.js';
import type { Answer, Ask } from './client.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.hub.reset();
  stand.hub.load([
    { deviceId: 'd', queuedMessages: 3 },
    { deviceId: 'd', moduleId: 'm' },
  ]);
});

const code = (answer: Answer) =>
  `${answer.status} ${String(answer.headers['iothub-errorcode'] ?? '')}`.trim();
const path = (name: string) => name.replaceAll(/\{\w+\}/g, 'd').split(' ') as [string, string];
const ask = (name: string, options: Ask = {}) => {
  const [method, target] = path(name);
  return stand.client.ask(
    method,
    target,
    method === 'GET' || method === 'DELETE' ? options : { body: {}, ...options },
  );
};

describe('what the simulator leaves out', () => {
  it.each(outOfScopeRoutes.map(({ name }) => name).filter((name) => name !== 'GET /jobs/v2/{id}'))(
    'says so: %s',
    async (name) => {
      const answer = await ask(name);
      expect(code(answer)).toBe('400 InvalidOperation');
      expect(answer.json.Message).toMatch(/^ErrorCode:InvalidOperation;The simulator does not simulate /);
      expect(answer.json.ExceptionMessage).toMatch(/^Tracking ID:[0-9a-f]{32}-G:0-TimeStamp:/);
      expect(stand.hub.counts()[name]).toBe(1);
    },
  );

  it('can be faulted like everything else', async () => {
    stand.hub.addFault({ kind: 'status', status: 503, route: 'POST /twins/{id}/methods' });
    expect(code(await ask('POST /twins/{id}/methods'))).toBe('503 ServiceUnavailable');
    expect(code(await ask('POST /twins/{id}/methods'))).toBe('400 InvalidOperation');
  });

  it('still needs the right permissions', async () => {
    for (const { name } of outOfScopeRoutes) {
      expect
        .soft(code(await ask(name, { policy: 'registryReadWrite' })), name)
        .toBe('401 IotHubUnauthorizedAccess');
    }
  });

  it('answers unknown scheduled jobs as the service does', async () => {
    const answer = await stand.client.ask('GET', '/jobs/v2/some-job');
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ jobId: 'some-job', type: 'unknown', status: 'unknown' });
  });

  it('is told apart from what nobody knows', async () => {
    const answer = await stand.client.ask('POST', '/no/such/path', { body: {} });
    expect(code(answer)).toBe('400 InvalidOperation');
    expect(stand.hub.counts()).toEqual({ unknown: 1 });
  });
});

describe('purging the messages of a device', () => {
  const purge = (id: string, options: Ask = {}) =>
    stand.client.ask('DELETE', `/devices/${id}/commands`, options);

  it('answers how many there were, and leaves none', async () => {
    expect((await stand.client.ask('GET', '/devices/d')).json.cloudToDeviceMessageCount).toBe(3);
    expect((await stand.client.ask('GET', '/twins/d')).json.cloudToDeviceMessageCount).toBe(3);
    const { etag } = (await stand.client.ask('GET', '/devices/d')).json;
    expect((await purge('d')).json).toEqual({ deviceId: 'd', totalMessagesPurged: 3 });
    expect((await purge('d')).json).toEqual({ deviceId: 'd', totalMessagesPurged: 0 });
    expect((await stand.client.ask('GET', '/devices/d')).json).toMatchObject({
      cloudToDeviceMessageCount: 0,
      etag,
    });
  });

  it('needs the device and ServiceConnect', async () => {
    expect(code(await purge('missing'))).toBe('404 DeviceNotFound');
    expect(code(await purge('d', { policy: 'registryReadWrite' }))).toBe('401 IotHubUnauthorizedAccess');
    expect(code(await purge('d', { policy: 'service' }))).toBe('200');
  });

  it('keeps the count over updates and dumps', async () => {
    await stand.client.ask('PUT', '/devices/d', { body: {}, headers: { 'if-match': '*' } });
    expect(stand.hub.record('d')?.queuedMessages).toBe(3);
  });
});

describe.each(['B1', 'B2', 'B3'] as const)('tier %s', (tier) => {
  beforeEach(() => stand.hub.set({ tier }));
  const closed = '403 OperationNotAvailableInCurrentTier';

  it.each([
    'GET /devices/{id}/modules',
    'GET /devices/{id}/modules/{id}',
    'PUT /devices/{id}/modules/{id}',
    'DELETE /devices/{id}/modules/{id}',
    'PATCH /twins/{id}',
    'PUT /twins/{id}',
    'PATCH /twins/{id}/modules/{id}',
    'PUT /twins/{id}/modules/{id}',
    'GET /configurations',
    'GET /configurations/{id}',
    'DELETE /devices/{id}/commands',
    'GET /jobs/v2/{id}',
    'POST /twins/{id}/methods',
  ])('has no %s', async (name) => {
    expect(code(await ask(name))).toBe(closed);
  });

  it('has devices, twins of sorts, queries and statistics', async () => {
    expect(code(await ask('PUT /devices/{id}', { headers: { 'if-match': '*' } }))).toBe('200');
    const twin = await stand.client.ask('GET', '/twins/d');
    expect(twin.json).toMatchObject({ deviceId: 'd', etag: 'AAAAAAAAAAE=', status: 'enabled' });
    expect(twin.json).not.toHaveProperty('tags');
    expect(twin.json).not.toHaveProperty('properties');
    expect(code(await stand.client.ask('GET', '/twins/d/modules/m'))).toBe(closed);
    expect(code(await stand.client.ask('GET', '/statistics/devices'))).toBe('200');
    const query = { body: { query: 'SELECT * FROM devices' } };
    expect(code(await stand.client.ask('POST', '/devices/query', query))).toBe('200');
  });

  it('has no edge devices', async () => {
    const body = { capabilities: { iotEdge: true } };
    expect(code(await stand.client.ask('PUT', '/devices/e', { body }))).toBe(closed);
    const update = { body, headers: { 'if-match': '*' } };
    expect(code(await stand.client.ask('PUT', '/devices/d', update))).toBe(closed);
  });

  it('has neither edge devices nor modules in bulk writes', async () => {
    const entries = [
      { id: 'n', importMode: 'create', status: 'enabled' },
      { id: 'e', importMode: 'create', status: 'enabled', capabilities: { iotEdge: true } },
      { id: 'd', moduleId: 'n', importMode: 'create', status: 'enabled' },
    ];
    const answer = await stand.client.ask('POST', '/devices', { body: entries });
    expect(answer.json).toMatchObject({
      isSuccessful: false,
      errors: [
        { deviceId: 'e', errorCode: 'OperationNotAvailableInCurrentTier' },
        { deviceId: 'd', moduleId: 'n', errorCode: 'OperationNotAvailableInCurrentTier' },
      ],
    });
    expect(stand.hub.record('n')).toBeDefined();
  });

  it('still checks who asks first', async () => {
    expect(code(await ask('PATCH /twins/{id}', { policy: 'registryRead' }))).toBe(
      '401 IotHubUnauthorizedAccess',
    );
  });
});

describe('error codes', () => {
  it('have the status in their number, and no number twice', () => {
    const numbers = Object.values(errorCodes);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) expect(Math.floor(number / 1000)).toBeGreaterThanOrEqual(400);
  });

  it('that are documented are all there', () => {
    const documented = [
      400000, 400001, 400003, 400004, 400005, 400006, 400008, 400009, 400011, 400012, 400013, 400023, 400028,
      400032, 400301, 400401, 400402, 400403, 400404, 401002, 401003, 401100, 403001, 403002, 403003, 403010,
      404001, 404002, 404010, 404012, 404301, 405102, 405103, 405104, 409001, 409301, 409401, 409402, 412001,
      413001, 413002, 413003, 413101, 429001, 429002, 429003, 429004, 429005, 500001, 500008, 503001, 503005,
    ];
    const known = new Set<number>(Object.values(errorCodes));
    expect(documented.filter((number) => !known.has(number))).toEqual([]);
  });

  it('can all be provoked, each with its status, header and envelope', async () => {
    for (const name of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
      const status = Math.floor(errorCodes[name] / 1000);
      stand.hub.addFault({ kind: 'status', status, code: name });
      const answer = await stand.client.ask('GET', '/devices/d');
      expect.soft(code(answer), name).toBe(`${status} ${name}`);
      if (name === 'ModuleAlreadyExistsOnDevice') continue;
      expect.soft(answer.json.Message, name).toMatch(new RegExp(`^ErrorCode:${name};`));
      expect.soft(typeof answer.json.ExceptionMessage, name).toBe('string');
    }
  });

  it('of module conflicts come in the other envelope', async () => {
    const answer = await stand.client.ask('PUT', '/devices/d/modules/m', { body: {} });
    expect(code(answer)).toBe('409 ModuleAlreadyExistsOnDevice');
    expect(answer.json).toEqual({
      errorCode: 409301,
      message: "A module with ID 'm' is already registered.",
      trackingId: expect.stringMatching(/^[0-9a-f]{32}-G:0$/),
      timestampUtc: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
  });
});
