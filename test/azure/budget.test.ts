import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Budget } from '../../azure/budget.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** One call a second in the long run. */
const minute = (): Budget => new Budget({ calls: 60, seconds: 60 });
const waits = (budget: Budget, calls: number): number[] =>
  Array.from({ length: calls }, () => Math.round(budget.take()));

describe('a budget', () => {
  it('holds what the service lets through in a period, and then goes at its rate', () => {
    const budget = minute();
    expect(Math.max(...waits(budget, 60))).toBe(0);
    expect(waits(budget, 3)).toEqual([1_000, 2_000, 3_000]);
    vi.advanceTimersByTime(10_000);
    expect(waits(budget, 9)).toEqual([0, 0, 0, 0, 0, 0, 0, 1_000, 2_000]);
    vi.advanceTimersByTime(3_600_000);
    expect(waits(budget, 61).filter((ms) => ms > 0)).toEqual([1_000]);
  });

  it('may hold less than one call', () => {
    expect(waits(new Budget({ calls: 0.5, seconds: 1 }), 2)).toEqual([1_000, 3_000]);
  });

  it('has a turn back that was not used', () => {
    const budget = minute();
    waits(budget, 60);
    expect(waits(budget, 1)).toEqual([1_000]);
    budget.giveBack();
    expect(waits(budget, 1)).toEqual([1_000]);
  });

  it('goes at half the rate after a refusal, once for all calls that were under way, and recovers', () => {
    const budget = minute();
    vi.advanceTimersByTime(1);
    const sentAt = performance.now();
    vi.advanceTimersByTime(1);
    for (let call = 0; call < 4; call++) budget.refused(sentAt);
    expect(waits(budget, 2)).toEqual([2_000, 4_000]);
    for (let call = 0; call < 16; call++) budget.served();
    vi.advanceTimersByTime(2_000);
    expect(waits(budget, 2)).toEqual([1_000, 2_000]);
  });

  it('never goes below a sixteenth', () => {
    const budget = minute();
    for (let refusal = 0; refusal < 10; refusal++) {
      vi.advanceTimersByTime(1);
      budget.refused(performance.now());
    }
    expect(waits(budget, 1)[0]).toBeGreaterThan(15_900);
    expect(waits(budget, 1)[0]).toBeLessThanOrEqual(32_000);
  });

  it('backs off for any time up to a few calls, twice as many with each try, 20 s at most', () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(1);
    const backOffs = (): number[] => [0, 1, 2, 3, 9].map((tries) => Math.round(minute().backOff(tries)));
    expect(backOffs()).toEqual([4_000, 8_000, 16_000, 20_000, 20_000]);
    random.mockReturnValue(0.25);
    expect(backOffs()).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  });
});
