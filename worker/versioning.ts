/**
 * What becomes of a run when another build becomes the current one: `pinned` runs are finished by workers of the build
 * that they began under, the others go over to the current build. The queue of a hub's jobs always goes over (`hubQueue`
 * in activities/deps.ts).
 */
export const VERSIONINGS = ['pinned', 'auto-upgrade'] as const;
export type Versioning = (typeof VERSIONINGS)[number];
