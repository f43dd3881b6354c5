import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';

/** One of the five fields. */
interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] as const;
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const FIELDS: readonly Field[] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, names: ['', ...MONTHS] },
  { name: 'day of the week', least: 0, most: 7, names: DAYS },
];

/** The longest that each month can be. */
const LENGTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

const SHORT: ReadonlySet<string> = new Set([
  '@yearly',
  '@annually',
  '@monthly',
  '@weekly',
  '@daily',
  '@midnight',
  '@hourly',
]);

/**
 * A cron expression as Temporal takes it: five fields in UTC, of which a time has to match all, or a word such as
 * `@daily`. Seconds, years and time zones, which Temporal knows too, are left out.
 *
 * @returns it with single blanks
 * @throws HubferryError USAGE that says what is wrong
 */
export function checkCron(text: string): string {
  const never = (why: string): HubferryError =>
    new HubferryError(
      'USAGE',
      `--cron ${maskSecrets(text)}: ${why}`,
      "Five fields in UTC: minute, hour, day of the month, month, day of the week; '30 2 * * mon-fri'.",
    );
  if (/^(CRON_TZ|TZ)=/.test(text.trim())) throw never('times are UTC; no other time zone can be named');
  const words = text.trim().toLowerCase().split(/\s+/);
  const [first = ''] = words;
  if (first.startsWith('@')) {
    if (words.length === 1 && SHORT.has(first)) return first;
    throw never(`expected ${[...SHORT].join(', ')}, or five fields; --every takes intervals`);
  }
  if (words.length !== FIELDS.length)
    throw never(`expected five fields, not ${first === '' ? 0 : words.length}`);
  const values = FIELDS.map((field, i) => {
    const found = valuesOf(words[i] ?? '', field);
    if (typeof found === 'string') throw never(found);
    return found;
  });
  const [, , days = [], months = []] = values;
  const possible = months.some((month) => days.some((day) => day <= (LENGTHS[month - 1] ?? 0)));
  if (!possible) throw never('there is no such day in these months');
  return words.join(' ');
}

/** The values that a field names, or what is wrong with it. */
function valuesOf(text: string, field: Field): readonly number[] | string {
  const { name, least, most } = field;
  const all: number[] = [];
  for (const part of text.split(',')) {
    const [, range = '', step] = /^([^/]*)(?:\/(\d{1,4}))?$/.exec(part) ?? [];
    const [, from, to] =
      range === '*' ? ['', String(least), String(most)] : (/^(\w+)(?:-(\w+))?$/.exec(range) ?? []);
    if (from === undefined) return `${name} "${part}" cannot be read`;
    const start = numberOf(from, field);
    const end = to === undefined ? (step === undefined ? start : most) : numberOf(to, field);
    if (start === null || end === null) return `${name} "${part}" is not from ${least} to ${most}`;
    if (end < start) return `${name} "${part}" ends before it begins`;
    const by = step === undefined ? 1 : Number(step);
    if (by === 0) return `${name} "${part}" has a step of 0`;
    for (let value = start; value <= end; value += by) all.push(value);
  }
  return all;
}

function numberOf(text: string, { least, most, names = [] }: Field): number | null {
  const value = /^\d{1,2}$/.test(text) ? Number(text) : names.indexOf(text);
  return value >= least && value <= most && text !== '' ? value : null;
}
