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
  let still = 0;
  for (let looks = 0; ; looks++) {
    if (elapsed >= length) return { looks, late: elapsed - length };
    elapsed += nextPoll({ elapsed, progress, still }, POLL);
    const now = progressAt(Math.min(elapsed, length));
    still = now === progress ? still + 1 : 0;
    progress = now;
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

  it.each([
    ['99 % after an hour, the end after four', 99, HOUR, 4 * HOUR],
    ['100 % after an hour, the end after three', 100, HOUR, 3 * HOUR],
    ['99 % after ten minutes, the end after twelve hours', 99, HOUR / 6, 12 * HOUR],
  ])('are few where the percentage stands still: %s', (_what, percent, until, length) => {
    const stopping = (elapsed: number): number => Math.min(percent, Math.floor((percent * elapsed) / until));
    expect(watch(length, stopping).looks).toBeLessThanOrEqual(100);
  });
});
