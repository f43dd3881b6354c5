/** What is known of a running job when the next look at it is planned. */
export interface PollPoint {
  /** ms since the job was accepted. */
  readonly elapsed: number;
  /** The hub's own percentage, or null where it gives none. */
  readonly progress: number | null;
}

/**
 * How long to wait before looking at a job again, in ms.
 *
 * Aims at the end predicted from the job's progress: half the way there each time, and never finer than 1 % of the
 * time it has run, so a job of any length is noticed within 1 % (or `first`) of its end with well under 100 looks.
 * Without progress the waits grow to an eighth of the elapsed time, which reaches twelve hours in about 90 looks.
 */
export function nextPoll(point: PollPoint, poll: { readonly first: number; readonly max: number }): number {
  const { elapsed, progress } = point;
  if (progress === null || progress <= 0 || elapsed <= 0) {
    return Math.min(poll.max, Math.max(poll.first, elapsed / 8));
  }
  const remaining = (elapsed * (100 - Math.min(progress, 100))) / progress;
  return Math.min(poll.max, Math.max(poll.first, elapsed / 100, remaining / 2));
}
