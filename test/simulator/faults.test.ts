import { request as plainRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AdminError, generateFleet, SimulatorAdmin } from '../../simulator/index.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
let admin: SimulatorAdmin;
beforeAll(async () => {
  stand = await startStand({}, 0);
  admin = new SimulatorAdmin(stand.sim.adminPort ?? 0);
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.hub.clear();
  stand.hub.clearFaults();
  stand.hub.resetCounters();
});

const get = () => stand.client.ask('GET', '/devices/d');
const put = () => stand.client.ask('PUT', '/devices/d', { body: {} });

describe('request faults', () => {
  it('status: answers with a code for as long as it lasts', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    stand.hub.addFault({ route: 'GET /devices/{id}', times: 2, kind: 'status', status: 429 });
    const first = await get();
    expect(first.status).toBe(429);
    expect(first.headers['iothub-errorcode']).toBe('ThrottlingBacklogTimeout');
    expect(first.headers).not.toHaveProperty('retry-after');
    expect((await stand.client.ask('GET', '/devices')).status).toBe(200);
    expect((await get()).status).toBe(429);
    expect((await get()).status).toBe(200);
  });

  it('drop: the connection dies and nothing was done', async () => {
    stand.hub.addFault({ kind: 'drop' });
    await expect(put()).rejects.toThrow();
    expect(stand.hub.record('d')).toBeUndefined();
    expect(stand.hub.counts()).toEqual({ 'PUT /devices/{id}': 1 });
  });

  it('loseReply: the connection dies and it was done', async () => {
    stand.hub.addFault({ kind: 'loseReply' });
    await expect(put()).rejects.toThrow();
    expect(stand.hub.record('d')).toBeDefined();
  });

  it('truncateBody: the reply breaks off', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    stand.hub.addFault({ kind: 'truncateBody' });
    await expect(get()).rejects.toThrow();
    expect((await get()).status).toBe(200);
  });

  it('delay: the reply comes later', async () => {
    stand.hub.addFault({ kind: 'delay', ms: 200 });
    const began = performance.now();
    await put();
    expect(performance.now() - began).toBeGreaterThan(190);
  });

  it('splitBody: two packets, cut within a character', async () => {
    stand.hub.load([{ deviceId: 'd', tags: { city: 'Zürich' } }]);
    const whole = await stand.client.ask('GET', '/twins/d');
    const byte = Buffer.from(whole.text).indexOf(Buffer.from('ü')) + 1;
    stand.hub.addFault({ route: 'GET /twins/{id}', kind: 'splitBody', byte });
    const split = await stand.client.ask('GET', '/twins/d');
    expect(split.text).toBe(whole.text);
    expect(split.chunks.map((chunk) => chunk.length)).toEqual([byte, Buffer.byteLength(whole.text) - byte]);
  });
});

describe('the admin port', () => {
  it('counts calls by route', async () => {
    await put();
    await get();
    await get();
    await stand.client.ask('GET', '/nowhere');
    const expected = { 'PUT /devices/{id}': 1, 'GET /devices/{id}': 2, unknown: 1 };
    expect(await admin.hub('a').counts()).toEqual(expected);
    expect(stand.hub.counts()).toEqual(expected);
    await admin.hub('a').resetCounters();
    expect(await admin.hub('a').counts()).toEqual({});
  });

  it('lists hubs with their connection strings', async () => {
    expect(await admin.hubs()).toMatchObject([
      {
        name: 'a',
        hostName: stand.hub.hostName,
        ownHostName: null,
        connectionString: stand.hub.connectionString(),
      },
      { name: 'b' },
    ]);
  });

  it('loads, dumps and clears whole registries', async () => {
    const a = admin.hub('a');
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

  it('sets faults, settings and the slot', async () => {
    const a = admin.hub('a');
    await a.addFault({ kind: 'status', status: 503, times: 1 });
    expect((await get()).status).toBe(503);
    await a.addJobFault({ kind: 'hang' });
    await a.clearFaults();
    expect(stand.hub.jobs.faults.list()).toEqual([]);
    expect(await a.set({ rate: 7 })).toMatchObject({ rate: 7 });
    stand.hub.set({ rate: 0 });
    const jobId = await a.occupySlot();
    expect((await stand.client.ask('GET', `/jobs/${jobId}`)).json.status).toBe('running');
    await a.releaseSlot();
    await a.loadConfigurations([{ id: 'c' }]);
    expect(stand.hub.configurations.list()).toHaveLength(1);
  });

  it('says what is wrong', async () => {
    const a = admin.hub('a');
    const wrong: [() => Promise<unknown>, RegExp][] = [
      [() => admin.hub('zz').counts(), /no hub 'zz'/],
      [() => a.addFault({ kind: 'burn' } as never), /unknown kind "burn"/],
      [
        () => a.addFault({ kind: 'drop', route: 'GET /x' }),
        /unknown route "GET \/x"; routes are POST \/jobs\/create/,
      ],
      [() => a.addFault({ kind: 'status', status: 200 }), /'status' must be an integer from 400 to 599/],
      [() => a.addJobFault({ kind: 'failAfter' } as never), /'lines' must be a count/],
      [() => a.set({ speed: 1 } as never), /unknown setting 'speed'/],
      [() => a.set({ importTwinPart: 'x' } as never), /must be one of replace, merge/],
      [() => a.set({ rate: -1 }), /number from 0 up/],
      [() => a.load([{} as never]), /record 1: deviceId is missing/],
      [() => a.load([{ deviceId: 'm', moduleId: 'x' }]), /before its device 'm'/],
    ];
    for (const [act, text] of wrong) {
      const error: unknown = await act().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(AdminError);
      expect((error as AdminError).message).toMatch(text);
    }
  });

  it('does not serve browsers', async () => {
    const ask = (headers: Record<string, string>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const request = plainRequest(
          { host: '127.0.0.1', port: stand.sim.adminPort, path: '/hubs', headers },
          (response) => {
            response.resume();
            resolve(response.statusCode);
          },
        );
        request.on('error', reject);
        request.end();
      });
    expect(await ask({ origin: 'https://example.org' })).toBe(403);
    expect(await ask({ host: 'rebound.example.org' })).toBe(403);
    expect(await ask({})).toBe(200);
  });
});
