import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stand, startStand } from './stand.js';

let stand: Stand;

beforeAll(async () => {
  stand = await startStand();
  await stand.client.ask('PUT', '/devices/d', { body: { deviceId: 'd' } });
});
afterAll(() => stand.close());

describe("a POST that says it is a PATCH, as Microsoft's client for Java sends it", () => {
  const headers = { 'X-HTTP-Method-Override': 'PATCH' };

  it('is one, to routes and to counters', async () => {
    stand.hub.resetCounters();
    const answer = await stand.client.ask('POST', '/twins/d', { body: { tags: { a: 1 } }, headers });
    expect(answer).toMatchObject({ status: 200, json: { tags: { a: 1 } } });
    expect(stand.hub.counts()).toEqual({ 'PATCH /twins/{id}': 1 });
  });

  it('is none without the header, or with another method in it', async () => {
    const body = { tags: { a: 2 } };
    const plain = await stand.client.ask('POST', '/twins/d', { body });
    const other = await stand.client.ask('POST', '/twins/d', {
      body,
      headers: { 'X-HTTP-Method-Override': 'PUT' },
    });
    const get = await stand.client.ask('GET', '/twins/d', { headers });
    expect([plain.status, other.status]).toEqual([400, 400]);
    expect(get).toMatchObject({ status: 200, json: { tags: { a: 1 } } });
  });
});
