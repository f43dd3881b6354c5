import { beforeEach, describe, expect, it } from 'vitest';
import { SimulatedClock } from '../../simulator/clock.js';

const hour = 3_600_000;
let clock: SimulatedClock;
beforeEach(() => {
  clock = new SimulatedClock();
});

/** A sleep of which the test can see whether it is over. */
function sleeper(ms: number, signal?: AbortSignal): { over: boolean; promise: Promise<void> } {
  const state = { over: false, promise: Promise.resolve() };
  state.promise = clock.sleep(ms, signal).finally(() => {
    state.over = true;
  });
  return state;
}
const turn = () => new Promise(setImmediate);

describe('the clock of a simulator', () => {
  it("shows the machine's time", () => {
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
    expect(clock.speed).toBe(1);
  });

  it('runs at the speed that it is given, from the time that it had', async () => {
    clock.setSpeed(0);
    const stopped = clock.now();
    await clock.sleep(0);
    expect(clock.now()).toBe(stopped);
    clock.setSpeed(1_000_000);
    const began = performance.now();
    await clock.sleep(hour);
    // An hour takes 3.6 ms.
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(clock.now() - stopped).toBeGreaterThanOrEqual(hour - 1);
  });

  it('stands still at speed 0 until it is moved', async () => {
    clock.setSpeed(0);
    const before = clock.now();
    const early = sleeper(1_000);
    const late = sleeper(2_000);
    clock.advance(999);
    await turn();
    expect([early.over, late.over]).toEqual([false, false]);
    clock.advance(1);
    await early.promise;
    expect(late.over).toBe(false);
    clock.advance(hour);
    await late.promise;
    expect(clock.now() - before).toBe(1_000 + hour);
  });

  it('wakes those who sleep when it is sped up', async () => {
    const slow = sleeper(hour);
    clock.setSpeed(1e8);
    await slow.promise;
  });

  it('goes on from a stop where it was', async () => {
    clock.setSpeed(0);
    const sleep = sleeper(5);
    await turn();
    expect(sleep.over).toBe(false);
    clock.setSpeed(1);
    await sleep.promise;
  });

  it('sleeps longer than a timer of the machine can', async () => {
    const year = 365 * 24 * hour;
    clock.setSpeed(0);
    const sleep = sleeper(year);
    clock.advance(year - 1);
    await turn();
    expect(sleep.over).toBe(false);
    clock.advance(1);
    await sleep.promise;
  });

  it('lets a sleeper go by a signal, with its reason', async () => {
    clock.setSpeed(0);
    const stop = new AbortController();
    const sleep = sleeper(hour, stop.signal);
    const reason = new Error('enough');
    stop.abort(reason);
    await expect(sleep.promise).rejects.toBe(reason);
    await expect(clock.sleep(1, stop.signal)).rejects.toBe(reason);
  });

  it('can be set back to the time of the machine, which lets all go', async () => {
    clock.setSpeed(0);
    clock.advance(1_000 * hour);
    const sleep = sleeper(hour);
    clock.reset();
    await sleep.promise;
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
    expect(clock.speed).toBe(1);
  });

  it('refuses what is no speed and no time', () => {
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => clock.setSpeed(wrong)).toThrow(TypeError);
      expect(() => clock.advance(wrong)).toThrow(TypeError);
    }
    expect(clock.speed).toBe(1);
  });
});
