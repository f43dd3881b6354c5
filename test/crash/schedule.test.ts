import { expect, test } from 'vitest';
import { recurs } from './recurring.js';

// `npm run test:long` has it for two minutes.
test('a schedule goes on when server and worker are killed: no run beside another, none lost', async () => {
  const { schedule } = await recurs({
    every: 1_000,
    job: 1_200,
    outage: { from: 2_000, lasts: 1_500 },
    total: 6_000,
    runs: 3,
  });
  expect(schedule.counts.skippedByOverlap).toBeGreaterThan(0);
  // An outage of less than an hour misses nothing.
  expect(schedule.counts.missed).toBe(0);
}, 180_000);
