/**
 * RUN: `<utc yyyymmdd-hhmmss>-<6 of a-z0-9>`, as users see and type it.
 *
 * @param random a whole number from 0 up, below what it is given
 */
export function runName(begun: Date, random: (below: number) => number): string {
  const digits = begun.toISOString().replace(/[-:]/g, '');
  const letters = Array.from({ length: 6 }, () => random(36).toString(36)).join('');
  return `${digits.slice(0, 8)}-${digits.slice(9, 15)}-${letters}`;
}

/** Whether what a report names as the source or target of its run is a hub, by its host. */
export const isHost = (name: string | null): name is string =>
  name !== null && name !== 'edits' && name !== 'probe' && !/^(snapshot|run):/.test(name);
