import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../../azure/pace.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('calls that spare a hub come one after the other, and others do not wait', () => {
  const pace = new Pace();
  expect([10, 10, undefined, 10, 20].map((rate) => pace.wait(rate))).toEqual([0, 100, 0, 200, 300]);
  vi.setSystemTime(Date.now() + 1_000);
  expect([10, 10].map((rate) => pace.wait(rate))).toEqual([0, 100]);
});
