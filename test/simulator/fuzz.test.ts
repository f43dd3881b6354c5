import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuzz, fuzzCredentials } from './fuzz.js';
import { type Stand, startStand } from './stand.js';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand.close());

describe('a simulator', () => {
  it('answers 500 bad requests, each with a status and envelope of the service', async () => {
    const credentials = await fuzzCredentials(stand.sim, stand.client);
    const { statuses, problems } = await fuzz(stand.sim, credentials, { requests: 500, seed: 20_240 });
    expect(problems).toEqual([]);
    // The requests are not so bad that none of them is taken.
    const { 200: ok = 0, 400: bad = 0, 404: missing = 0 } = statuses;
    expect(Math.min(ok, bad, missing)).toBeGreaterThan(10);
    expect((await stand.client.ask('GET', '/devices')).status).toBe(200);
  }, 60_000);
});
