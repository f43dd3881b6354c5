/** 12345 → "12,345". */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** ms → "840 ms", "12.3 s", "4 min 5 s", "3 h 12 min". */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An estimate in ms, in whole seconds: "1 s", "42 s", "4 min 5 s". */
export function estimate(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
}

/** Characters that steer instead of being seen: controls, and those that turn the direction of what follows. */
// oxlint-disable-next-line no-control-regex -- they are what is taken out
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A name from a registry as it may be shown to people: characters that steer a terminal or a page are escaped. */
export function plain(name: string): string {
  return name.replace(STEERING, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`;
  });
}

/** JSON text that steers nothing either, and says the same. */
export function plainJson(text: string): string {
  return text
    .split('\n')
    .map((line) =>
      line.replace(STEERING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
    )
    .join('\n');
}

/** A duration as somebody would type it, such as `30m`, `24h` or `7d`; in the largest unit of which it is a whole number. */
export function typed(ms: number): string {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;
  // A day is rather 24h.
  const unit = Object.entries(units).find(([, size]) => ms % size === 0 && (size < units.d || ms > size));
  return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`;
}
