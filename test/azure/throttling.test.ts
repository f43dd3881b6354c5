import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HubClient, HubObserver, OpenHubOptions } from '../../azure/hub-client.js';
import { type Handler, hubAt, json, type Service, startService } from './service.js';

let service: Service;
let hub: HubClient;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
afterEach(() => {
  hub.close();
  service.forget();
});

const open = (options: OpenHubOptions = {}): HubClient => {
  hub = hubAt(`localhost:${service.port}`, { ca: service.ca, rates: 1_000, ...options });
  return hub;
};

const THROTTLED = {
  Message:
    'ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. Wait 10 seconds and try again.',
  ExceptionMessage: '',
};
const TWIN = { deviceId: 'd', etag: 'e' };

/** Refuses the first calls, as a hub does: without `Retry-After`, and with the connection closed. */
function refusing(times: number, then: Handler, headers: Record<string, string> = {}): void {
  let left = times;
  service.answer((response, request) => {
    left -= 1;
    const refusal = json(429, THROTTLED, { connection: 'close', ...headers });
    (left < 0 ? then : refusal)(response, request);
  });
}

interface Seen extends HubObserver {
  readonly called: HubObserver['called'];
  throttles: number;
  readonly backOffs: number[];
  readonly turns: number[];
}

function watch(): Seen {
  const seen: Seen = {
    throttles: 0,
    backOffs: [],
    turns: [],
    called: () => undefined,
    throttled: () => (seen.throttles += 1),
    backsOff: (seconds) => seen.backOffs.push(seconds),
    waits: (_host, seconds) => seen.turns.push(seconds),
  };
  return seen;
}

describe('a call that the hub refuses with 429', () => {
  it.each<[string, (client: HubClient) => Promise<unknown>, unknown]>([
    ['our own', (client) => client.getTwin('d'), TWIN],
    ['a write of our own', (client) => client.putTwin({ deviceId: 'd', moduleId: null }, '{}', '*'), TWIN],
    ['Microsoft’s', (client) => client.listJobs(), []],
    ['a new job', (client) => client.createExport('https://x', { excludeKeys: true }), { jobId: 'j' }],
  ])('is made again: %s', async (_whose, ask, answer) => {
    const seen = watch();
    refusing(4, json(200, answer));
    await ask(open({ observer: seen }));
    expect(service.asked).toHaveLength(5);
    expect(seen).toMatchObject({ throttles: 4 });
    expect(seen.backOffs).toHaveLength(4);
    const { jobs, other } = hub.takeCalls();
    expect(jobs + other).toBe(5);
  });

  it('is told of in the end, so that whoever made it waits longer', async () => {
    refusing(5, json(200, TWIN));
    await expect(open().getTwin('d')).rejects.toMatchObject({ code: 'HUB_THROTTLED', status: 429 });
    expect(service.asked).toHaveLength(5);
  });

  it('waits for as long as a proxy on the way asks', async () => {
    const seen = watch();
    refusing(1, json(200, TWIN), { 'Retry-After': '1' });
    await open({ observer: seen }).getTwin('d');
    refusing(1, json(200, []), { 'Retry-After': new Date(Date.now() + 1_500).toUTCString() });
    await hub.listJobs();
    const [byNumber = 0, byDate = 0] = seen.backOffs;
    expect(byNumber).toBe(1);
    expect(byDate).toBeLessThanOrEqual(2);
  });

  it('is the only fault that is met here: others may have been carried out', async () => {
    service.answer(json(503, { Message: 'ErrorCode:ServiceUnavailable;' }));
    await expect(open().getTwin('d')).rejects.toMatchObject({ code: 'HUB_UNAVAILABLE' });
    expect(service.asked).toHaveLength(1);
  });
});

describe('calls of one class', () => {
  // Nothing comes in while they are made.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each<[string, unknown, number, (client: HubClient) => Promise<unknown>]>([
    ['configurations', [], 10, (client) => client.listConfigurations()],
    ['manifests', {}, 10, (client) => client.applyConfiguration('d', '{}')],
    ['queries', [], 10, (client) => client.query('SELECT 1')[Symbol.asyncIterator]().next()],
    ['registry', { deviceId: 'd' }, 50, (client) => client.getDevice('d')],
    ['the count of devices', { totalDeviceCount: 1 }, 50, (client) => client.statistics()],
    ['jobs', { jobId: 'j', status: 'running' }, 50, (client) => client.getJob('j')],
    ['twins read', TWIN, 50, (client) => client.getTwin('d')],
    ['twins written', {}, 25, (client) => client.patchTwin({ deviceId: 'd', moduleId: null }, '{}', '*')],
  ])(
    '%s wait where there are more than half of what one unit of S1 takes',
    async (_class, answer, most, ask) => {
      service.answer(json(200, answer));
      const seen = watch();
      const given = new AbortController();
      const view = open({ rates: 0.5, observer: seen }).view({ signal: given.signal });
      for (let call = 0; call < most; call++) await ask(view);
      expect(seen.turns).toEqual([]);
      const more = Promise.allSettled([ask(view), ask(view), ask(view)]);
      expect(seen.turns).toHaveLength(3);
      given.abort();
      await more;
      expect(service.asked).toHaveLength(most);
    },
  );

  it('do not wait for those of another, and wait for all views of the hub', async () => {
    const seen = watch();
    service.answer(json(200, []));
    const client = open({ rates: 0.1, observer: seen });
    await client.view().listConfigurations();
    await client.view().listConfigurations();
    expect(seen.turns).toEqual([]);
    await client.listJobs();
    expect(seen.turns).toEqual([]);
    const given = new AbortController();
    const third = client.view({ signal: given.signal }).listConfigurations();
    expect(seen.turns).toHaveLength(1);
    given.abort();
    await expect(third).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a rate that a run is given', () => {
  it('holds for every call but those about jobs, and the smaller limit counts', async () => {
    const seen = watch();
    service.answer(json(200, { totalDeviceCount: 1 }));
    const given = new AbortController();
    const view = open({ observer: seen }).view({ rate: 0.5, signal: given.signal });
    await view.statistics();
    const others = [view.statistics(), view.getDevice('d'), view.getTwin('d')];
    expect(seen.turns.map((seconds) => Math.round(seconds))).toEqual([2, 4, 6]);
    service.answer(json(200, []));
    await view.listJobs();
    expect(seen.turns).toHaveLength(3);
    given.abort();
    for (const one of await Promise.allSettled(others)) expect(one.status).toBe('rejected');
  });
});
