const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What a duration looks like in the configuration: a whole number and its unit, as in `250ms`, `30s`, `15m`, `12h`, `1d`. */
export const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;

/** The milliseconds of a duration such as `15m`. @throws RangeError if it does not match {@link DURATION}. */
export function parseDuration(text: string): number {
  const [, count, unit = ''] = DURATION.exec(text) ?? [];
  const factor = UNITS[unit];
  if (count === undefined || factor === undefined) throw new RangeError(`not a duration: ${text}`);
  return Number(count) * factor;
}
