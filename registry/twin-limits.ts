import { isJsonObject, type JsonObject } from './record.js';
import { type Refusal, type RefusalCode, refusal } from './refusal.js';
import { countedBytes, isControl } from './utf8.js';

/** The service's limits of a twin, in bytes unless said (facts §5; the service's device-twin page). */
const MAX_KEY = 1024;
const MAX_TEXT = 4096;
/** Objects in objects; a scalar may stand inside the tenth. Lists are not counted, as nothing says that they are. */
const MAX_DEPTH = 10;
const MIN_INTEGER = -4503599627370496;
const MAX_INTEGER = 4503599627370495;
const KILOBYTE = 1024;
const NUMBER_BYTES = 8;
const BOOLEAN_BYTES = 4;

const PARTS = {
  tags: { bytes: 8 * KILOBYTE, code: 'TAGS_TOO_LARGE' },
  desired: { bytes: 32 * KILOBYTE, code: 'DESIRED_TOO_LARGE' },
} as const satisfies Record<string, { bytes: number; code: RefusalCode }>;

/** One object or list on the way down; `depth` counts the objects around it. */
interface Level {
  readonly value: JsonObject | readonly unknown[];
  readonly depth: number;
  readonly name: string;
  readonly above: Level | null;
}

/** What one member is worth: bytes, something to look into, a code to refuse it by, or an integer out of range. */
type Finding = number | JsonObject | readonly unknown[] | RefusalCode | 'WIDE';

/**
 * Why the service would not take one part of a twin, or null. `raw` is the part's source text.
 *
 * Walks with a stack of its own: a line may be nested deeper than the call stack. `#` in names is not refused: one
 * live hub refused it (facts §5), the service's documentation does not.
 */
export function twinRefusal(part: keyof typeof PARTS, value: JsonObject, raw: string | null): Refusal | null {
  const levels: Level[] = [{ value, depth: 0, name: part, above: null }];
  let size = 0;
  let wide: string | null = null;
  for (let level = levels.pop(); level !== undefined; level = levels.pop()) {
    const { value: members, depth } = level;
    const names = Object.keys(members);
    const isList = Array.isArray(members);
    for (const [index, name] of names.entries()) {
      const keyBytes = isList ? 0 : countedBytes(name);
      size += keyBytes;
      if (!isList && (keyBytes > MAX_KEY || !isKey(name)))
        return refusal('TWIN_KEY_INVALID', pathOf(level, name));
      const found = inspect(isJsonObject(members) ? members[name] : members[index]);
      if (typeof found === 'number') size += found;
      else if (found === 'WIDE') {
        size += NUMBER_BYTES;
        wide ??= pathOf(level, name);
      } else if (typeof found === 'string') return refusal(found, pathOf(level, name));
      else {
        const below = Array.isArray(found) ? depth : depth + 1;
        if (below > MAX_DEPTH) return refusal('TWIN_TOO_DEEP', pathOf(level, name));
        levels.push({ value: found, depth: below, name, above: level });
      }
    }
  }
  if (wide !== null && raw !== null && holdsWideInteger(raw))
    return refusal('TWIN_NUMBER_OUT_OF_RANGE', wide);
  return size > PARTS[part].bytes ? refusal(PARTS[part].code) : null;
}

function inspect(value: unknown): Finding {
  if (typeof value === 'string') {
    const bytes = countedBytes(value);
    return bytes > MAX_TEXT ? 'TWIN_VALUE_TOO_LONG' : bytes;
  }
  if (typeof value === 'number') return Number.isInteger(value) && !isInRange(value) ? 'WIDE' : NUMBER_BYTES;
  if (typeof value === 'boolean') return BOOLEAN_BYTES;
  if (isJsonObject(value)) return value;
  return Array.isArray(value) ? value : 'TWIN_NULL';
}

function isKey(name: string): boolean {
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (isControl(code) || code === 0x20 || code === 0x24 || code === 0x2e) return false;
  }
  return true;
}

function isInRange(value: number): boolean {
  return value >= MIN_INTEGER && value <= MAX_INTEGER;
}

/**
 * Whether a number out of range is written as an integer: the limit is one of integers, and 1e20 and
 * 9007199254740993.0 are none. The parsed value no longer tells, so this looks at the text; it is rarely asked.
 */
function holdsWideInteger(raw: string): boolean {
  for (const [token] of raw.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g)) {
    if (/^-?\d+$/.test(token) && !isInRange(Number(token))) return true;
  }
  return false;
}

/** Names the place for the user; names only, since a value may be a secret, and cut since a name may be long. */
function pathOf(level: Level, name: string): string {
  const names = [name];
  for (let at: Level | null = level; at !== null; at = at.above) names.push(at.name);
  const path = names.toReversed().join('.');
  return JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
}
