/**
 * Mixes that stand for all others in the suites: seeds at which something was found, and some that differ much from each
 * other. A seed that fails `npm run test:chaos` is added here with what it found.
 */

/** Seconds, for `npm test`: a worker of two dies, and storage loses replies. */
export const QUICK = [8];

/** For `npm run test:long`. */
export const LONG = [
  // A step that was given up had its create on the way: the hub ran a second job for one chunk.
  13,
  // The hub takes no module lines: updates of modules ended rejected instead of going by REST.
  38,
  // Storage refuses the note of a job that was just created: a second export was made for one container.
  9013,
  // Everybody is killed at once, records are deleted, and a reply breaks off.
  9,
];
