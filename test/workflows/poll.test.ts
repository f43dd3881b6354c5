import { describe, expect, it } from 'vitest';
import { nextPoll } from '../../workflows/poll.js';

const HOUR = 3_600_000;
const POLL = { first: 1_000, max: 1_800_000 };

/** Looks at a job of a length until it is over. @returns how many looks, and how late the last one was. */
function watch(
  length: number,
  progressAt: (elapsed: number) => number | null,
): { looks: number; late: number } {
  let elapsed = 0;
  let progress: number | null = null;
  for (let looks = 0; ; looks++) {
    if (elapsed >= length) return { looks, late: elapsed - length };
    elapsed += nextPoll({ elapsed, progress }, POLL);
    progress = progressAt(Math.min(elapsed, length));
  }
}

describe('looks at a job', () => {
  const steady = (length: number) => (elapsed: number) => Math.floor((100 * elapsed) / length);

  it.each([3_000, 60_000, HOUR / 4, 4 * HOUR, 12 * HOUR])(
    'of %i ms are few, and the end is noticed soon',
    (length) => {
      const { looks, late } = watch(length, steady(length));
      expect(looks).toBeLessThanOrEqual(100);
      expect(late).toBeLessThanOrEqual(Math.max(POLL.first, length / 100));
    },
  );

  it.each([3_000, HOUR, 12 * HOUR])('of %i ms are few even where the hub shows no progress', (length) => {
    expect(watch(length, () => null).looks).toBeLessThanOrEqual(100);
    expect(watch(length, () => 0).looks).toBeLessThanOrEqual(100);
  });

  it('are few when the job slows down near its end', () => {
    const length = 4 * HOUR;
    const slowing = (elapsed: number): number => Math.floor(100 * (1 - (1 - elapsed / length) ** 2));
    expect(watch(length, slowing).looks).toBeLessThanOrEqual(100);
  });
});
