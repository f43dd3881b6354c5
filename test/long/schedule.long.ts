import { expect, test } from 'vitest';
import { recurs } from '../crash/recurring.js';

test('every 10 s for two minutes, with longer runs and two outages', async () => {
  const { schedule } = await recurs({
    every: 10_000,
    job: 12_000,
    outage: { from: 22_000, lasts: 15_000 },
    // Temporal takes no window below ten seconds.
    beyond: { from: 70_000, lasts: 25_000, window: 10_000 },
    total: 120_000,
    runs: 4,
  });
  const { skippedByOverlap, missed } = schedule.counts;
  expect(skippedByOverlap, JSON.stringify(schedule.counts)).toBeGreaterThan(0);
  expect(missed, JSON.stringify(schedule.counts)).toBeGreaterThan(0);
}, 400_000);
