import { readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  AdminError,
  defaultSettings,
  generateFleet,
  type HubAdmin,
  SimulatorAdmin,
} from '../../simulator/index.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
let admin: SimulatorAdmin;
let a: HubAdmin;
beforeAll(async () => {
  stand = await startStand({ rate: 5_000 }, 0);
  admin = new SimulatorAdmin(stand.sim.adminPort ?? 0);
  a = admin.hub('a');
});
afterAll(() => stand.close());
beforeEach(() => stand.sim.reset());

const get = () => stand.client.ask('GET', '/devices/d');
const put = () => stand.client.ask('PUT', '/devices/d', { body: {} });

describe('the typed client', () => {
  afterEach(() => vi.restoreAllMocks());

  it('reaches every path of the admin API, and there is no other', async () => {
    const source = readFileSync(new URL('../../simulator/admin/admin.ts', import.meta.url), 'utf8');
    const documented = [...source.matchAll(/`([A-Z]+(?: \| [A-Z]+)*) (\/[^`]*)`/g)].flatMap(
      ([, methods = '', path]) => methods.split(' | ').map((method) => `${method} ${path}`),
    );
    expect(documented.length).toBeGreaterThan(30);
    const reached = new Set<string>();
    const real = globalThis.fetch;
    vi.spyOn(globalThis, 'fetch').mockImplementation((input, init) => {
      const { pathname } = new URL(input);
      const path = pathname.replace(/^\/hubs\/[^/]+/, '/hubs/{hub}').replace(/\/faults\/.+$/, '/faults/{id}');
      reached.add(`${init?.method} ${path}`);
      return real(input, init);
    });

    await admin.hubs();
    await admin.clock();
    await admin.setClockSpeed(2);
    await admin.advanceClock(1);
    await admin.resetClock();
    await admin.faults();
    await admin.removeFault(await admin.addFault({ kind: 'drop' }));
    await admin.clearFaults();
    await admin.bearerToken();
    await admin.counts();
    await admin.resetCounters();
    await admin.internalErrors();
    await a.counts();
    await a.resetCounters();
    await a.outcomes();
    await a.load([{ deviceId: 'x' }]);
    for await (const record of a.dump()) expect(record.deviceId).toBe('x');
    await a.clear();
    await a.configurations();
    await a.loadConfigurations([]);
    await a.settings();
    await a.set({});
    await a.faults();
    await a.removeFault(await a.addFault({ kind: 'drop' }));
    await a.addJobFault({ kind: 'hang' });
    await a.clearFaults();
    await a.occupySlot();
    await a.jobs();
    await a.releaseSlot();
    await a.reset();
    await admin.reset();

    expect([...reached].toSorted()).toEqual(documented.toSorted());
  });
});

describe('the admin port', () => {
  it('counts calls by route, hub and outcome', async () => {
    await put();
    await get();
    await get();
    await stand.client.ask('GET', '/nowhere');
    const expected = { 'PUT /devices/{id}': 1, 'GET /devices/{id}': 2, unknown: 1 };
    expect(await a.counts()).toEqual(expected);
    expect(stand.hub.counts()).toEqual(expected);
    expect(await admin.counts()).toEqual({ a: expected, b: {} });
    expect(await a.outcomes()).toEqual({
      'PUT /devices/{id}': { 200: 1 },
      'GET /devices/{id}': { 200: 2 },
      unknown: { 400: 1 },
    });
    await a.resetCounters();
    expect(await a.counts()).toEqual({});
    await put();
    await admin.resetCounters();
    expect(await admin.counts()).toEqual({ a: {}, b: {} });
  });

  it('lists hubs with their connection strings', async () => {
    expect(await admin.hubs()).toEqual([
      {
        name: 'a',
        hostName: stand.hub.hostName,
        ownHostName: null,
        connectionString: stand.hub.connectionString(),
      },
      expect.objectContaining({ name: 'b' }),
    ]);
  });

  it('loads, dumps and clears whole registries', async () => {
    expect(await a.load(generateFleet({ devices: 400, seed: 9 }))).toBe(400);
    const dumped = [];
    for await (const record of a.dump()) dumped.push(record);
    expect(dumped).toEqual([...stand.hub.dump()]);
    expect(dumped.filter((record) => !record.moduleId?.startsWith('$'))).toHaveLength(400);
    await admin.hub('b').load(dumped);
    expect([...stand.sim.hub('b').dump()]).toEqual(dumped);
    await admin.hub('b').clear();
    expect(stand.sim.hub('b').store.deviceCount).toBe(0);
  });

  it('loads and dumps configurations', async () => {
    const condition = { id: 'c', targetCondition: "tags.city='Zürich'", priority: 3 };
    await a.loadConfigurations([condition]);
    const dumped = await a.configurations();
    expect(dumped).toEqual([expect.objectContaining(condition)]);
    await admin.hub('b').loadConfigurations(dumped);
    expect(await admin.hub('b').configurations()).toEqual(dumped);
    await a.clear();
    expect(await a.configurations()).toEqual([]);
  });

  it('sets faults of a hub, settings and the slot', async () => {
    const id = await a.addFault({ kind: 'status', status: 503, times: 2 });
    expect(await a.faults()).toEqual({
      requests: [{ kind: 'status', status: 503, times: 2, skip: 0, id }],
      jobs: [],
    });
    expect((await get()).status).toBe(503);
    await a.removeFault(id);
    expect((await get()).status).toBe(404);
    await a.addJobFault({ kind: 'hang' });
    expect((await a.faults()).jobs).toEqual([expect.objectContaining({ kind: 'hang' })]);
    await a.clearFaults();
    expect(stand.hub.jobs.faults.list()).toEqual([]);
    expect(await a.set({ rate: 7 })).toEqual({ ...defaultSettings, rate: 7 });
    expect(await a.settings()).toEqual({ ...defaultSettings, rate: 7 });
    const jobId = await a.occupySlot();
    expect((await stand.client.ask('GET', `/jobs/${jobId}`)).json.status).toBe('running');
    expect((await a.jobs()).map((job) => job.jobId)).toContain(jobId);
    await a.releaseSlot();
    expect((await stand.client.ask('GET', `/jobs/${jobId}`)).json.status).toBe('completed');
  });

  it('sets faults of all hubs', async () => {
    const id = await admin.addFault({ kind: 'status', code: 'ServerBusy', route: 'GET *', times: 2 });
    expect((await get()).headers['iothub-errorcode']).toBe('ServerBusy');
    expect(await admin.faults()).toEqual([expect.objectContaining({ id, times: 1 })]);
    await admin.clearFaults();
    expect(await admin.faults()).toEqual([]);
    expect((await get()).status).toBe(404);
  });

  it('drives the clock', async () => {
    const stopped = await admin.setClockSpeed(0);
    expect(stopped.speed).toBe(0);
    const later = await admin.advanceClock(3_600_000);
    expect(Date.parse(later.now) - Date.parse(stopped.now)).toBe(3_600_000);
    expect(await admin.clock()).toEqual(later);
    expect((await admin.resetClock()).speed).toBe(1);
    expect(Math.abs(stand.sim.clock.now() - Date.now())).toBeLessThan(5_000);
    await admin.advanceClock(1e14);
    await admin.advanceClock(1e14);
    await admin.advanceClock(1e14);
    expect((await admin.clock()).now).toMatch(/^9999-12-31/);
    expect((await put()).status).toBe(200);
  });

  it('issues bearer tokens', async () => {
    const ask = async (token: string) =>
      (await stand.client.ask('GET', '/devices', { authorization: `Bearer ${token}` })).status;
    expect(await ask(await admin.bearerToken())).toBe(200);
    expect(await ask(await admin.bearerToken({ roles: ['IoT Hub Registry Contributor'] }))).toBe(200);
    expect(await ask(await admin.bearerToken({ actions: ['twins/read'] }))).toBe(401);
    expect(await ask(await admin.bearerToken({ expiresIn: -1 }))).toBe(401);
  });

  it('resets a hub, or everything', async () => {
    await put();
    await a.set({ rate: 1, throttling: true });
    await a.addFault({ kind: 'drop', route: 'GET /jobs' });
    await a.loadConfigurations([{ id: 'c' }]);
    const jobId = await a.occupySlot();
    await admin.hub('b').load([{ deviceId: 'other' }]);
    await admin.addFault({ kind: 'drop', route: 'GET /jobs' });
    await admin.setClockSpeed(9);
    await a.reset();
    expect(stand.hub.store.deviceCount).toBe(0);
    expect(await a.configurations()).toEqual([]);
    expect(await a.counts()).toEqual({});
    expect((await a.faults()).requests).toEqual([]);
    // Back to what it was started with, not to the defaults.
    expect(await a.settings()).toEqual({ ...defaultSettings, rate: 5_000 });
    expect((await a.jobs()).find((job) => job.jobId === jobId)?.status).toBe('completed');
    expect(stand.sim.hub('b').store.deviceCount).toBe(1);
    expect(await admin.faults()).toHaveLength(1);
    await admin.reset();
    expect(stand.sim.hub('b').store.deviceCount).toBe(0);
    expect(await admin.faults()).toEqual([]);
    expect((await admin.clock()).speed).toBe(1);
  });

  it('says what is wrong', async () => {
    const wrong: [() => Promise<unknown>, number, RegExp][] = [
      [() => admin.hub('zz').counts(), 404, /no hub 'zz'/],
      [() => a.removeFault('99'), 404, /no fault '99'/],
      [() => admin.removeFault('99'), 404, /no fault '99'/],
      [() => a.addFault({ kind: 'burn' } as never), 400, /unknown kind "burn"/],
      [
        () => a.addFault({ kind: 'drop', route: 'GET /x' }),
        400,
        /unknown route "GET \/x"; routes are POST \/jobs\/create/,
      ],
      [() => a.addFault({ kind: 'drop', route: 'FETCH *' }), 400, /unknown route/],
      [() => a.addFault({ kind: 'status', status: 200 }), 400, /'status' must be an integer from 400 to 599/],
      [() => a.addFault({ kind: 'status' } as never), 400, /'status' must be an integer/],
      [() => a.addFault({ kind: 'status', code: 'Nope' } as never), 400, /unknown code "Nope"/],
      [() => a.addFault({ kind: 'drop', probability: 2 }), 400, /'probability' must be a number from 0 to 1/],
      [() => a.addFault({ kind: 'drop', skip: -1 }), 400, /'skip' must be an integer/],
      [() => a.addFault({ kind: 'slowBody', bytes: 0, ms: 1 }), 400, /'bytes' must be an integer from 1/],
      [() => a.addFault({ kind: 'refuseConnection', route: 'GET *' }), 400, /a connection has no 'route'/],
      [() => a.addFault([] as never), 400, /unknown kind undefined/],
      [() => a.addJobFault({ kind: 'failAfter' } as never), 400, /'lines' must be a count/],
      [() => a.set({ speed: 1 } as never), 400, /unknown setting 'speed'/],
      [() => a.set({ importTwinPart: 'x' } as never), 400, /must be one of replace, merge/],
      [() => a.set({ rate: -1 }), 400, /number from 0 up/],
      [() => a.set([] as never), 400, /a JSON object is needed/],
      [() => a.load([{} as never]), 400, /record 1: deviceId is missing/],
      [() => a.load([{ deviceId: 'm', moduleId: 'x' }]), 400, /before its device 'm'/],
      [() => a.loadConfigurations({} as never), 400, /an array of configurations/],
      [() => admin.setClockSpeed(-1), 400, /from 0 up/],
      [() => admin.setClockSpeed('fast' as never), 400, /'speed' must be a number/],
      [() => admin.advanceClock(-1), 400, /from 0 up/],
      [() => admin.bearerToken({ roles: ['Owner'] } as never), 400, /'roles' must be an array of names/],
      [() => admin.bearerToken({ expiresIn: 0.5 }), 400, /'expiresIn' must be a whole number/],
      [() => admin.bearerToken({ role: 'x' } as never), 400, /unknown 'role'/],
    ];
    for (const [act, status, said] of wrong) {
      const error: unknown = await act().catch((thrown: unknown) => thrown);
      expect.soft(error, String(said)).toBeInstanceOf(AdminError);
      expect.soft((error as AdminError).message).toMatch(said);
      expect.soft((error as AdminError).status, String(said)).toBe(status);
    }
    expect(stand.sim.internalErrors()).toEqual([]);
  });
});

describe('the admin port, to strangers', () => {
  interface Told {
    readonly status: number | undefined;
    readonly text: string;
  }
  const ask = (headers: Record<string, string>, method = 'GET', path = '/hubs', body = ''): Promise<Told> =>
    new Promise((resolve, reject) => {
      const request = plainRequest(
        { host: '127.0.0.1', port: stand.sim.adminPort, method, path, headers },
        (response) => {
          text(response).then((said) => resolve({ status: response.statusCode, text: said }), reject);
        },
      );
      request.on('error', reject);
      request.end(body);
    });

  it('does not serve browsers', async () => {
    for (const headers of [
      { origin: 'https://example.org' },
      { origin: 'null' },
      { host: 'rebound.example.org' },
      { host: '127.0.0.1.example.org' },
      { 'sec-fetch-site': 'none' },
    ]) {
      const told = await ask(headers);
      expect(told.status, JSON.stringify(headers)).toBe(403);
      expect(told.text).toContain('does not serve browsers');
      expect(told.text).not.toContain('SharedAccessKey');
    }
    expect((await ask({})).status).toBe(200);
  });

  it('answers {error} to whatever else is wrong', async () => {
    const wrong: [number, string, string, string][] = [
      [404, 'GET', '/', ''],
      [404, 'GET', '/nothing', ''],
      [404, 'PUT', '/hubs', ''],
      [404, 'GET', '/hubs/a', ''],
      [404, 'GET', '/hubs/a/counters/more', ''],
      [404, 'GET', '/hubs/constructor/counters', ''],
      [400, 'GET', '/hubs/%E0%A4%A/counters', ''],
      [400, 'PATCH', '/hubs/a/settings', '{'],
      [400, 'POST', '/hubs/a/records', 'not JSON'],
      [400, 'POST', '/token', '[]'],
    ];
    for (const [status, method, path, body] of wrong) {
      const told = await ask(
        body === '' ? {} : { 'content-length': String(body.length) },
        method,
        path,
        body,
      );
      expect.soft(told.status, path).toBe(status);
      expect.soft(JSON.parse(told.text), path).toEqual({ error: expect.stringMatching(/./) });
    }
  });

  it('answers {error} to what is not HTTP', async () => {
    const socket = connect(stand.sim.adminPort ?? 0, '127.0.0.1');
    socket.write('nonsense\r\n\r\n');
    const said = await text(socket);
    expect(said).toMatch(/^HTTP\/1\.1 400 /);
    expect(said).toMatch(/\{"error":"The request is not valid HTTP\."\}$/);
  });
});
