import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { errorCodes, isErrorName } from '../../simulator/errors.js';
import type { FaultRule } from '../../simulator/index.js';
import { Faults } from '../../simulator/traffic/faults.js';
import { until } from '../support/until.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ ownPort: 0 });
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.sim.reset();
});

/** A connection for hub a, on the port of all hubs unless another one is named. */
function connection(port = stand.sim.port, servername = 'a.localhost'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: readFileSync(stand.sim.caFile) });
    socket.on('secureConnect', () => resolve(socket));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
  });
}

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

  it('status: takes any code of the table, whose status follows from it', async () => {
    for (const code of Object.keys(errorCodes).filter(isErrorName)) {
      stand.hub.addFault({ kind: 'status', code });
      const answer = await get();
      expect.soft(answer.status, code).toBe(Math.floor(errorCodes[code] / 1000));
      expect.soft(answer.headers['iothub-errorcode'], code).toBe(code);
      const { Message, errorCode } = answer.json;
      // One code has an envelope of another kind (§7).
      if (errorCode !== undefined) expect.soft(errorCode, code).toBe(errorCodes[code]);
      else expect.soft(Message, code).toEqual(expect.stringMatching(`^ErrorCode:${code};`));
    }
  });

  it('status: takes any status, with the code that fits it or the one that is given', async () => {
    const pairs: [FaultRule, number, string][] = [
      [{ kind: 'status', status: 404 }, 404, 'DeviceNotFound'],
      [{ kind: 'status', status: 412 }, 412, 'PreconditionFailed'],
      [{ kind: 'status', status: 418 }, 418, 'GenericBadRequest'],
      [{ kind: 'status', status: 503 }, 503, 'ServiceUnavailable'],
      [{ kind: 'status', status: 504 }, 504, 'ServerError'],
      [{ kind: 'status', status: 500, code: 'ServerBusy' }, 500, 'ServerBusy'],
    ];
    for (const [rule, status, code] of pairs) {
      stand.hub.addFault(rule);
      const answer = await get();
      expect.soft([answer.status, answer.headers['iothub-errorcode']]).toEqual([status, code]);
    }
  });

  it('truncateBody: the reply breaks off at any byte', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const whole = (await get()).text;
    for (const byte of [0, 1, 7, whole.length - 1]) {
      stand.hub.addFault({ kind: 'truncateBody', byte });
      const token = stand.client.token();
      const socket = await connection();
      socket.write(
        'GET /devices/d?api-version=2021-04-12 HTTP/1.1\r\nHost: a.localhost\r\n' +
          `Authorization: ${token}\r\n\r\n`,
      );
      let received = '';
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
      });
      await new Promise((resolve) => socket.on('close', resolve));
      const [head = '', body] = received.split('\r\n\r\n');
      expect(head).toContain(`Content-Length: ${whole.length}`);
      expect(body).toBe(whole.slice(0, byte));
    }
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

describe('faults of bodies and connections', () => {
  it('slowBody: packets with simulated time between them', async () => {
    stand.hub.load([{ deviceId: 'd' }]);
    const whole = await get();
    stand.sim.clock.setSpeed(1_000_000);
    stand.hub.addFault({ kind: 'slowBody', bytes: 100, ms: 60_000 });
    const before = stand.sim.clock.now();
    const slow = await get();
    expect(slow.text).toHaveLength(whole.text.length);
    const pauses = Math.ceil(whole.text.length / 100) - 1;
    expect(stand.sim.clock.now() - before).toBeGreaterThanOrEqual(pauses * 60_000);
  });

  it('refuseConnection: no handshake for that hub, and the others are well', async () => {
    stand.hub.addFault({ kind: 'refuseConnection', times: 2 });
    await expect(connection()).rejects.toThrow();
    const other = await connection(stand.sim.port, 'b.localhost');
    other.destroy();
    await expect(connection()).rejects.toThrow();
    const back = await connection();
    back.destroy();
    expect(stand.hub.counts()).toEqual({});
  });

  it('refuseConnection: on its own port without any name', async () => {
    const port = Number(stand.hub.ownHostName?.split(':')[1]);
    stand.hub.addFault({ kind: 'refuseConnection' });
    await expect(connection(port, 'localhost')).rejects.toThrow();
    const back = await connection(port, 'localhost');
    back.destroy();
  });

  it('delay: is simulated time, and what was asked for is done though the client hangs up', async () => {
    stand.sim.clock.setSpeed(0);
    stand.hub.addFault({ kind: 'delay', ms: 3_600_000 });
    const socket = await connection();
    const head = `Host: a.localhost\r\nAuthorization: ${stand.client.token()}\r\nContent-Length: 2\r\n\r\n`;
    socket.write(`PUT /devices/d?api-version=2021-04-12 HTTP/1.1\r\n${head}{}`);
    await until('the request is there', () => stand.hub.counts()['PUT /devices/{id}'] === 1);
    socket.destroy();
    await new Promise((resolve) => socket.on('close', resolve));
    expect(stand.hub.record('d')).toBeUndefined();
    stand.sim.clock.advance(3_600_000);
    await until('the request is done', () => stand.hub.record('d') !== undefined);
  });
});

describe('rules', () => {
  const statuses = async (count: number): Promise<number[]> => {
    const all: number[] = [];
    for (let n = 0; n < count; n++) all.push((await get()).status);
    return all;
  };
  beforeEach(() => {
    stand.hub.load([{ deviceId: 'd' }]);
  });

  it('skip the first requests that fit', async () => {
    stand.hub.addFault({ kind: 'status', status: 503, route: 'GET /devices/{id}', skip: 2, times: 2 });
    await stand.client.ask('GET', '/devices');
    expect(await statuses(5)).toEqual([200, 200, 503, 503, 200]);
  });

  it('mean several routes by a star', async () => {
    stand.hub.addFault({ kind: 'status', status: 503, route: 'GET *', times: 9 });
    stand.hub.addFault({ kind: 'status', status: 429, route: 'PUT /devices/*', times: 9 });
    const answers = [
      await stand.client.ask('GET', '/jobs'),
      await stand.client.ask('GET', '/twins/d'),
      await stand.client.ask('PUT', '/devices/x', { body: {} }),
      await stand.client.ask('PUT', '/devices/d/modules/m', { body: {} }),
      await stand.client.ask('PATCH', '/twins/d', { body: {} }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([503, 503, 429, 429, 200]);
  });

  it('hit with a probability, the same requests for the same seed', () => {
    const hits = (seed: number | undefined): boolean[] => {
      const faults = new Faults();
      faults.add({ kind: 'drop', probability: 0.3, times: 1_000, ...(seed === undefined ? {} : { seed }) });
      return Array.from({ length: 1_000 }, () => faults.take('GET /jobs') !== undefined);
    };
    const first = hits(1);
    expect(hits(1)).toEqual(first);
    expect(hits(undefined)).toEqual(first);
    expect(hits(2)).not.toEqual(first);
    const count = first.filter(Boolean).length;
    expect(count).toBeGreaterThan(250);
    expect(count).toBeLessThan(350);
  });

  it('with probability 0 never hit, and do not stand in the way of others', async () => {
    stand.hub.addFault({ kind: 'drop', probability: 0 });
    stand.hub.addFault({ kind: 'status', status: 503, skip: 1 });
    stand.hub.addFault({ kind: 'status', status: 412 });
    expect(await statuses(3)).toEqual([412, 503, 200]);
    expect(stand.hub.faults.list()).toHaveLength(1);
  });

  it('are listed with what is left of them, and go by their id', async () => {
    const one = stand.hub.addFault({ kind: 'status', status: 503, skip: 1, times: 3 });
    const two = stand.hub.addFault({ kind: 'delay', ms: 1, route: 'GET /jobs' });
    await statuses(2);
    expect(stand.hub.faults.list()).toEqual([
      { kind: 'status', status: 503, skip: 0, times: 2, id: one },
      { kind: 'delay', ms: 1, route: 'GET /jobs', skip: 0, times: 1, id: two },
    ]);
    expect(stand.hub.removeFault(one)).toBe(true);
    expect(stand.hub.removeFault(one)).toBe(false);
    expect(await statuses(1)).toEqual([200]);
    expect(stand.hub.faults.list().map((rule) => rule.id)).toEqual([two]);
  });

  it('of all hubs hit whichever comes first, after those of the hub', async () => {
    stand.sim.faults.add({ kind: 'status', status: 503, times: 2 });
    stand.hub.addFault({ kind: 'status', status: 412 });
    expect(await statuses(1)).toEqual([412]);
    const b = { authorization: `Bearer ${await stand.sim.bearerToken()}`, headers: { host: 'b.localhost' } };
    expect((await stand.client.ask('GET', '/devices', b)).status).toBe(503);
    expect(await statuses(2)).toEqual([503, 200]);
    expect(stand.sim.faults.list()).toEqual([]);
  });
});

describe('outcomes', () => {
  it('count what was answered, by hub, route and status', async () => {
    await put();
    await put();
    await get();
    await stand.client.ask('GET', '/nowhere');
    await stand.client.ask('GET', '/jobs', { authorization: '' });
    stand.hub.addFault({ kind: 'status', status: 429 });
    await get();
    stand.hub.addFault({ kind: 'drop' });
    await get().catch(() => undefined);
    stand.hub.addFault({ kind: 'loseReply' });
    await get().catch(() => undefined);
    expect(stand.hub.outcomes()).toEqual({
      'PUT /devices/{id}': { 200: 1, 409: 1 },
      'GET /devices/{id}': { 200: 1, 429: 1, dropped: 2 },
      unknown: { 400: 1 },
      'GET /jobs': { 401: 1 },
    });
    expect(stand.sim.hub('b').outcomes()).toEqual({});
    stand.hub.resetCounters();
    expect(stand.hub.outcomes()).toEqual({});
  });
});
