/** What is known of a running job when the next look at it is planned. */
export interface PollPoint {
  /** ms since the job was accepted. */
  readonly elapsed: number;
  /** The hub's own percentage, or null where it gives none. */
  readonly progress: number | null;
  /** Looks in a row that found the percentage unchanged. */
  readonly still: number;
}

/**
 * How long to wait before looking at a job again, in ms.
 *
 * Aims at the end predicted from the job's progress: half the way there each time, and never finer than 1 % of the
 * time it has run, so a job of any length is noticed within 1 % (or `first`) of its end with well under 100 looks.
 * Where the percentage stands still the waits double, and without one they grow at once, up to an eighth of the elapsed
 * time: that reaches twelve hours in about 90 looks.
 */
export function nextPoll(point: PollPoint, poll: { readonly first: number; readonly max: number }): number {
  const { elapsed, progress, still } = point;
  const coarsest = elapsed / 8;
  if (progress === null || progress <= 0 || elapsed <= 0) {
    return Math.min(poll.max, Math.max(poll.first, coarsest));
  }
  const remaining = (elapsed * (100 - Math.min(progress, 100))) / progress;
  const finest = Math.min(coarsest, (elapsed / 100) * 2 ** still);
  return Math.min(poll.max, Math.max(poll.first, finest, remaining / 2));
}
