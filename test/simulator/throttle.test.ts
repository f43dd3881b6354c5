import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SimulatedClock } from '../../simulator/clock.js';
import { defaultSettings, type HubSettings, type Rate, rateOf, type Tier } from '../../simulator/index.js';
import type { OperationClass } from '../../simulator/traffic/rates.js';
import { Throttle } from '../../simulator/traffic/throttle.js';
import { until } from '../support/until.js';
import { startAzurite, writeBlob } from './azurite.js';
import { type Stand, startStand } from './stand.js';

describe('rateOf', () => {
  const minute = (amount: number): Rate => ({ amount, seconds: 60 });
  const second = (amount: number): Rate => ({ amount, seconds: 1 });
  const small = ['F1', 'B1', 'S1'] as const;
  const middle = ['B2', 'S2'] as const;
  const large = ['B3', 'S3'] as const;
  // The table of quotas (§5), for 1 and for 30 units.
  const table: [OperationClass, readonly Tier[], Rate, Rate][] = [
    ['registry', [...small, ...middle], minute(100), minute(3_000)],
    ['registry', large, minute(5_000), minute(150_000)],
    ['twinReads', small, second(100), second(100)],
    ['twinReads', middle, second(100), second(300)],
    ['twinReads', large, second(500), second(15_000)],
    ['twinUpdates', small, second(50), second(50)],
    ['twinUpdates', middle, second(50), second(150)],
    ['twinUpdates', large, second(250), second(7_500)],
    ['queries', [...small, ...middle], minute(20), minute(600)],
    ['queries', large, minute(1_000), minute(30_000)],
    ['jobs', [...small, ...middle], minute(100), minute(3_000)],
    ['jobs', large, minute(5_000), minute(150_000)],
    ['configurations', [...small, ...middle, ...large], minute(20), minute(600)],
  ];

  it.each(table)('%s in %j', (operation, tiers, one, thirty) => {
    for (const tier of tiers) {
      expect.soft(rateOf(operation, tier, 1), tier).toEqual(one);
      expect.soft(rateOf(operation, tier, 30), tier).toEqual(thirty);
    }
  });

  it('covers every class in every tier', () => {
    const pairs = table.flatMap(([operation, tiers]) => tiers.map((tier) => `${operation} ${tier}`));
    expect(new Set(pairs).size).toBe(6 * 7);
  });
});

describe('a throttle', () => {
  let clock: SimulatedClock;
  let settings: HubSettings;
  let throttle: Throttle;
  let closing: AbortController;
  /** Names of requests in the order in which they were let through. */
  let passed: string[];
  beforeEach(() => {
    clock = new SimulatedClock();
    clock.setSpeed(0);
    settings = { ...defaultSettings, throttling: true };
    closing = new AbortController();
    throttle = new Throttle(settings, clock, closing.signal);
    passed = [];
  });

  /** Sends a request. @returns the code of its refusal, or 'passed'. */
  async function pass(operation: OperationClass, weight = 1, name = '', method = 'PUT'): Promise<string> {
    try {
      await throttle.pass({ operation, weight, method });
      passed.push(name);
      return 'passed';
    } catch (error) {
      return (error as { errorName?: string }).errorName ?? String(error);
    }
  }
  const spend = (operation: OperationClass, weight: number) => pass(operation, weight, 'spent');
  const registryWait = () => until('nobody waits', () => throttle.waiting('registry') === 0);

  it("lets the documented period's budget through at once, then delays", async () => {
    for (let n = 0; n < 100; n++) expect(await pass('registry')).toBe('passed');
    const late = pass('registry', 1, 'late');
    expect(throttle.waiting('registry')).toBe(1);
    clock.advance(590);
    await new Promise(setImmediate);
    expect(throttle.waiting('registry')).toBe(1);
    clock.advance(10);
    expect(await late).toBe('passed');
  });

  it('keeps a budget for each class', async () => {
    await spend('queries', 20);
    void pass('queries');
    expect(throttle.waiting('queries')).toBe(1);
    for (const other of ['registry', 'twinReads', 'twinUpdates', 'jobs', 'configurations'] as const) {
      expect(await pass(other)).toBe('passed');
    }
    closing.abort();
  });

  it('lets those who wait through in the order in which they came, whatever they weigh', async () => {
    settings.throttleQueue = 120_000;
    await spend('registry', 100);
    void pass('registry', 50, 'heavy');
    void pass('registry', 1, 'light');
    clock.advance(600);
    await new Promise(setImmediate);
    expect(passed).toEqual(['spent']);
    clock.advance(30_000);
    await registryWait();
    expect(passed).toEqual(['spent', 'heavy', 'light']);
  });

  it('counts every device of a bulk write: two of 50 a minute with one unit of S1 (§5)', async () => {
    expect(await pass('registry', 50)).toBe('passed');
    expect(await pass('registry', 50)).toBe('passed');
    expect(await pass('registry', 50)).toBe('ThrottlingBacklogTimeout');
    clock.advance(60_000);
    expect(await pass('registry', 50)).toBe('passed');
  });

  it('lets through who weighs more than a whole budget, once it is full, and remembers the debt', async () => {
    expect(await pass('queries', 60)).toBe('passed');
    settings.throttleQueue = 200_000;
    const next = pass('queries', 1, 'next');
    clock.advance(122_000);
    await new Promise(setImmediate);
    expect(throttle.waiting('queries')).toBe(1);
    clock.advance(1_000);
    expect(await next).toBe('passed');
  });

  it('refuses at once who would wait too long', async () => {
    await spend('registry', 100);
    const waiters = Array.from({ length: 16 }, () => pass('registry'));
    expect(throttle.waiting('registry')).toBe(16);
    // The 17th would wait 10.2 s.
    expect(await pass('registry')).toBe('ThrottlingBacklogTimeout');
    clock.advance(10_000);
    expect(new Set(await Promise.all(waiters))).toEqual(new Set(['passed']));
  });

  it('refuses at once when too many wait', async () => {
    settings.throttleBacklog = 2;
    await spend('twinReads', 100);
    const waiters = [pass('twinReads'), pass('twinReads')];
    expect(await pass('twinReads')).toBe('ThrottleBacklogLimitExceeded');
    clock.advance(100);
    expect(await Promise.all(waiters)).toEqual(['passed', 'passed']);
  });

  it('refuses who waited too long because the budget shrank', async () => {
    settings.units = 10;
    await spend('registry', 1000);
    // 1.2 s with ten units, 12 s with one.
    const waiter = pass('registry', 20);
    settings.units = 1;
    throttle.settingsChanged();
    clock.advance(9_999);
    await new Promise(setImmediate);
    expect(throttle.waiting('registry')).toBe(1);
    clock.advance(1);
    expect(await waiter).toBe('ThrottlingBacklogTimeout');
  });

  it('feels a change of tier, units or the switch while requests wait', async () => {
    for (const change of [{ tier: 'S3' }, { units: 50 }, { throttling: false }] as const) {
      Object.assign(settings, { throttling: true, tier: 'S1', units: 1, throttleQueue: 60_000 });
      throttle.settingsChanged();
      throttle.refill();
      await spend('registry', 100);
      const waiter = pass('registry', 10);
      Object.assign(settings, change);
      throttle.settingsChanged();
      // 6 s for S1 with one unit, 0.12 s for these.
      clock.advance(200);
      expect(await waiter, JSON.stringify(change)).toBe('passed');
    }
  });

  it('brings nothing when the clock is set back', async () => {
    clock.advance(3_600_000);
    await spend('registry', 100);
    clock.reset();
    clock.setSpeed(0);
    void pass('registry');
    expect(throttle.waiting('registry')).toBe(1);
    closing.abort();
    await registryWait();
  });

  it('with no units lets nothing through and never hangs', async () => {
    settings.units = 0;
    expect(await pass('registry')).toBe('ThrottlingBacklogTimeout');
    expect(await pass('twinReads')).toBe('passed');
  });

  it('lets everybody go when the hub closes', async () => {
    await spend('registry', 100);
    const waiters = [pass('registry'), pass('registry')];
    closing.abort();
    expect(await Promise.all(waiters)).toEqual(Array(2).fill(String(closing.signal.reason)));
  });
});

describe('a hub that throttles', () => {
  let stand: Stand;
  beforeAll(async () => {
    stand = await startStand({ throttling: true });
    stand.sim.clock.setSpeed(0);
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    stand.hub.reset();
    stand.hub.load([{ deviceId: 'd' }]);
  });
  const get = () => stand.client.ask('GET', '/devices/d');

  it('delays, then answers 429 as the service does, without Retry-After', async () => {
    stand.hub.set({ throttleQueue: 1_000 });
    for (let n = 0; n < 100; n++) await get();
    const delayed = get();
    await until('it waits', () => stand.hub.throttle.waiting('registry') === 1);
    const refused = await stand.client.ask('PUT', '/devices/e', { body: {} });
    expect(refused.status).toBe(429);
    expect(refused.headers).toMatchObject({
      'iothub-errorcode': 'ThrottlingBacklogTimeout',
      connection: 'close',
    });
    expect(refused.headers).not.toHaveProperty('retry-after');
    expect(refused.json.Message).toBe(
      'ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. Wait 10 seconds and try again. ' +
        'Operation type: IdentityWrite',
    );
    expect(refused.json.ExceptionMessage).toEqual(expect.stringMatching(/^Tracking ID:/));
    expect(stand.hub.record('e')).toBeUndefined();
    stand.sim.clock.advance(600);
    expect((await delayed).status).toBe(200);
    expect(stand.hub.outcomes()).toEqual({
      'GET /devices/{id}': { 200: 101 },
      'PUT /devices/{id}': { 429: 1 },
    });
  });

  it('names the operation in the text that was seen', async () => {
    stand.hub.set({ throttleQueue: 0 });
    const put = () => stand.client.ask('PUT', '/configurations/c', { body: { id: 'c', content: {} } });
    let last = await put();
    for (let n = 0; n < 20; n++) last = await put();
    expect(last.json.Message).toEqual(expect.stringMatching(/Operation type: ConfigurationWrite$/));
  });

  it('charges a bulk write for each of its devices, and one that is too long like any bad request', async () => {
    stand.hub.set({ throttleQueue: 0 });
    const bulk = async (count: number, prefix: string) => {
      const body = Array.from({ length: count }, (_, n) => ({ id: `${prefix}${n}`, importMode: 'create' }));
      return (await stand.client.ask('POST', '/devices', { body })).status;
    };
    expect(await bulk(101, 'long')).toBe(413);
    expect(await bulk(50, 'a')).toBe(200);
    expect(await bulk(50, 'b')).toBe(429);
    expect(await bulk(49, 'c')).toBe(200);
    expect((await get()).status).toBe(429);
    expect(stand.hub.store.deviceCount).toBe(1 + 50 + 49);
  });

  it('does not charge the lines of an import (§4)', async () => {
    const azurite = await startAzurite();
    const container = await azurite.container('throttled');
    const uri = azurite.uri(container);
    const lines = Array.from({ length: 150 }, (_, n) => JSON.stringify({ id: `i${n}`, status: 'enabled' }));
    await writeBlob(container, 'devices.txt', lines.join('\n'));
    stand.sim.clock.setSpeed(1);
    const job = await stand.client.job({
      type: 'import',
      inputBlobContainerUri: uri,
      outputBlobContainerUri: uri,
    });
    stand.sim.clock.setSpeed(0);
    await azurite.stop();
    expect(job.status).toBe('completed');
    expect(stand.hub.store.deviceCount).toBe(151);
    stand.hub.set({ throttleQueue: 0 });
    const body = Array.from({ length: 100 }, (_, n) => ({ id: `b${n}`, importMode: 'create' }));
    expect((await stand.client.ask('POST', '/devices', { body })).status).toBe(200);
    expect((await get()).status).toBe(429);
  });

  it('charges applyConfigurationContent to the budget that is switched on', async () => {
    const charged = async () => {
      const body = { modulesContent: {} };
      await stand.client.ask('POST', '/devices/d/applyConfigurationContent', { body });
      const statuses: number[] = [];
      for (const path of ['/configurations', '/devices/d']) {
        statuses.push((await stand.client.ask('GET', path)).status);
      }
      return statuses;
    };
    // What is left of a minute's budget after all but one.
    const spend = async () => {
      stand.hub.set({ throttleQueue: 0 });
      for (let n = 0; n < 19; n++) await stand.client.ask('GET', '/configurations');
      for (let n = 0; n < 99; n++) await get();
    };
    await spend();
    expect(await charged()).toEqual([429, 200]);
    stand.hub.reset();
    stand.hub.load([{ deviceId: 'd' }]);
    stand.hub.set({ applyThrottle: 'registry' });
    await spend();
    expect(await charged()).toEqual([200, 429]);
  });

  it('does not charge requests that are not allowed or not served', async () => {
    for (let n = 0; n < 101; n++) {
      await stand.client.ask('GET', '/devices/d', { authorization: '' });
      await stand.client.ask('GET', '/nowhere');
    }
    stand.hub.set({ throttleQueue: 0 });
    expect((await get()).status).toBe(200);
  });

  it('does nothing of the kind until it is told to', async () => {
    stand.hub.set({ throttling: false, throttleQueue: 0 });
    for (let n = 0; n < 150; n++) expect((await get()).status).toBe(200);
  });

  it('can be closed while requests wait', async () => {
    const other = await startStand({ throttling: true, units: 1 });
    other.sim.clock.setSpeed(0);
    for (let n = 0; n < 100; n++) await other.client.ask('GET', '/devices');
    const waiting = other.client.ask('GET', '/devices').catch((error: unknown) => error);
    await until('it waits', () => other.hub.throttle.waiting('registry') === 1);
    await other.close();
    expect(await waiting).toBeInstanceOf(Error);
    expect(other.sim.internalErrors()).toEqual([]);
  });
});
