/** What to do about records that the target already has (design §8). */
export interface Policy {
  /** About those that differ: refuse to run, leave them, or make them equal. */
  readonly existing: 'fail' | 'skip' | 'overwrite';
  /** About those that are not desired. */
  readonly extra: 'keep' | 'delete';
}
