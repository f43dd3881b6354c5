/**
 * Finds where the members of a JSON object stand in its text, so that values can be carried byte for byte.
 *
 * `membersOf` trusts the text to be JSON inside its values (a caller parses it as well); it never loops or throws on
 * text that is not. No function here recurses: a line may be nested as deep as it is long.
 */

/** One member of a JSON object. Offsets count UTF-16 units; `text.slice(from, to)` is the value. */
export interface Member {
  readonly name: string;
  /** Where the member's name begins (its opening quote). */
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** The members of the object that `text` is, in their order, or null where it is not an object. */
export function membersOf(text: string): Member[] | null {
  const members: Member[] = [];
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACE) return null;
  at = skipSpace(text, at + 1);
  if (text.charCodeAt(at) === CLOSE_BRACE) return members;
  for (;;) {
    const nameEnd = text.charCodeAt(at) === QUOTE ? endOfString(text, at) : -1;
    if (nameEnd < 0) return null;
    const name = decodeString(text.slice(at, nameEnd));
    const colon = skipSpace(text, nameEnd);
    if (name === null || text.charCodeAt(colon) !== COLON) return null;
    const from = skipSpace(text, colon + 1);
    const to = endOfValue(text, from);
    if (to < 0) return null;
    members.push({ name, at, from, to });
    at = skipSpace(text, to);
    if (text.charCodeAt(at) === CLOSE_BRACE) return members;
    if (text.charCodeAt(at) !== COMMA) return null;
    at = skipSpace(text, at + 1);
  }
}

/**
 * The object that `text` is with other values for some of its members, as JSON text; the rest byte for byte. Members that
 * it lacks come last.
 *
 * @returns null where it is no object
 */
export function withMembers(text: string, values: Readonly<Record<string, string>>): string | null {
  const members = membersOf(text);
  if (members === null) return null;
  let out = '';
  let at = 0;
  for (const { name, from, to } of members) {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) continue;
    out += text.slice(at, from) + value;
    at = to;
  }
  const close = text.lastIndexOf('}');
  out += text.slice(at, close);
  const there = new Set(members.map(({ name }) => name));
  let comma = members.length > 0;
  for (const [name, value] of Object.entries(values)) {
    if (there.has(name)) continue;
    out += `${comma ? ',' : ''}${JSON.stringify(name)}:${value}`;
    comma = true;
  }
  return out + text.slice(close);
}

/** Where the items of the list that `text` is stand in it, or null where it is not a list. */
export function itemsOf(text: string): { readonly from: number; readonly to: number }[] | null {
  const items: { from: number; to: number }[] = [];
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACKET) return null;
  at = skipSpace(text, at + 1);
  if (text.charCodeAt(at) === CLOSE_BRACKET) return items;
  for (;;) {
    const to = endOfValue(text, at);
    if (to < 0) return null;
    items.push({ from: at, to });
    at = skipSpace(text, to);
    if (text.charCodeAt(at) === CLOSE_BRACKET) return items;
    if (text.charCodeAt(at) !== COMMA) return null;
    at = skipSpace(text, at + 1);
  }
}

/** The offset after the string that begins with the quote at `open`, or -1 where it does not end. */
export function endOfString(text: string, open: number): number {
  let quote = text.indexOf('"', open + 1);
  while (quote !== -1) {
    let escapes = quote - 1;
    while (text.charCodeAt(escapes) === BACKSLASH) escapes -= 1;
    // An even number of backslashes before the quote escape each other, and the quote ends the string.
    if ((quote - escapes) % 2 === 1) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
  return -1;
}

/** The value of a JSON string with its quotes, or null where it is not one. */
export function decodeString(quoted: string): string | null {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === QUOTE) return endOfString(text, from);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfContainer(text, from);
  let at = from;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at += 1;
  return at === from ? -1 : at;
}

function endOfContainer(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      if (at < 0) return -1;
      continue;
    }
    at += 1;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

// oxlint-disable-next-line no-control-regex -- JSON forbids raw control characters in strings
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * Where a text stops being JSON: the offset of the first token that does not fit, or the text's length where it ends
 * too early. Only for messages about a text that `JSON.parse` refused, whose own message would quote the text.
 */
export function damageAt(text: string): number {
  /** The closing bracket of every open object and array, outermost first. */
  const closers: number[] = [];
  let expected: 'value' | 'valueOrClose' | 'name' | 'nameOrClose' | 'next' = 'value';
  let at = skipSpace(text, 0);
  for (; at < text.length; at = skipSpace(text, at)) {
    const code = text.charCodeAt(at);
    const closer = closers.at(-1);
    if (code === closer && (expected === 'next' || expected.endsWith('OrClose'))) {
      closers.pop();
      at += 1;
      expected = 'next';
    } else if (expected === 'next') {
      if (code !== COMMA || closer === undefined) return at;
      at += 1;
      expected = closer === CLOSE_BRACE ? 'name' : 'value';
    } else if (expected === 'name' || expected === 'nameOrClose') {
      const end = match(STRING, text, at);
      const colon = end < 0 ? at : skipSpace(text, end);
      if (text.charCodeAt(colon) !== COLON) return colon;
      at = colon + 1;
      expected = 'value';
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      closers.push(code === OPEN_BRACE ? CLOSE_BRACE : CLOSE_BRACKET);
      at += 1;
      expected = code === OPEN_BRACE ? 'nameOrClose' : 'valueOrClose';
    } else {
      const end = match(code === QUOTE ? STRING : SCALAR, text, at);
      if (end < 0) return at;
      at = end;
      expected = 'next';
    }
  }
  return at;
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}
