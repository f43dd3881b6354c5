import { MAX_ID } from './record.js';

/**
 * Finds the parts of a line without parsing it: one look at each byte, which also says whether there is anything unusual in
 * it. Lines that look as hubs export them (facts §2.1) or as hubferry prints them are told by it; whatever else there is, is
 * left to `parseLine`. It takes a third of the time of `JSON.parse` and makes nothing (bench/codec.ts).
 */

/** A line as bytes of UTF-8, without its line end. Where it is not the end of the bytes, a line end follows. */
export interface LineBytes {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** A line that is at hand as text; null for one that no bytes of UTF-8 stand for. */
export function bytesOf(text: string): LineBytes | null {
  const bytes = Buffer.from(text);
  if (bytes.length !== text.length && /\p{Surrogate}/u.test(text)) return null;
  return { bytes, from: 0, to: bytes.length };
}

export const textOf = ({ bytes, from, to }: LineBytes): string => bytes.toString('utf8', from, to);

/** Members of a line; the first ones in the order of a desired line. */
export const ID = 0;
export const MODULE = 1;
export const STATUS = 2;
export const REASON = 3;
export const AUTHENTICATION = 4;
export const CAPABILITIES = 5;
export const TAGS = 6;
/** Desired properties: the name is that of `properties`, the value what stands in it. */
export const DESIRED = 7;
export const ETAG = 8;
export const TWIN_ETAG = 9;
export const SCOPE = 10;
export const PARENT_SCOPES = 11;
/** What a desired line begins with: the parent's device id. */
export const PARENT = 12;
/** The symmetric keys, where the authentication is in the usual spelling. */
export const PRIMARY_KEY = 13;
export const SECONDARY_KEY = 14;
const PARTS = 15;

/** Whether a name or a text of the twin is a long one. */
const LONG = 2 * PARTS;

/**
 * Where the parts of a line are: of each its value's first byte and the byte after it; both 0 where there is none, or
 * nothing in it. One table serves many lines.
 */
export type Spans = Int32Array;

export const newSpans = (): Spans => new Int32Array(2 * PARTS + 1);

export const fromOf = (spans: Spans, part: number): number => spans[2 * part] ?? 0;
export const toOf = (spans: Spans, part: number): number => spans[2 * part + 1] ?? 0;
export const has = (spans: Spans, part: number): boolean => toOf(spans, part) > 0;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const EQUALS = 0x3d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const bytesWhere = (isOne: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (isOne(byte) ? 1 : 0));
const bytesIn = (characters: string): Uint8Array =>
  bytesWhere((byte) => characters.includes(String.fromCharCode(byte)));
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const isPlain = (byte: number): boolean => byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
/** Text without escapes: what stands between the quotes is what is meant. */
const TEXT = bytesWhere(isPlain);
/** Names that the service takes (facts §5), and not its own, which begin with a dollar; 0xC2 may begin a control. */
const NAME = bytesWhere((byte) => isPlain(byte) && !' $.\u007f\u00c2'.includes(String.fromCharCode(byte)));
/** Characters that ids may be made of (facts §1.7). */
const ID_TEXT = bytesIn(`${LETTERS}-:.+%_#*?!(),=@;$'`);
const BASE64 = bytesIn(`${LETTERS}+/`);

/** A text of ASCII that is looked for, with its words of four bytes: to compare these takes a third of the time. */
interface Expected {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly length: number;
}

function ascii(text: string): Expected {
  const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const words = Uint32Array.from({ length: bytes.length >> 2 }, (_, at) => view.getUint32(4 * at));
  return { bytes, words, length: bytes.length };
}

const ENABLED = ascii('"enabled"');
const DISABLED = ascii('"disabled"');
const NULL = ascii('null');
const TRUE = ascii('true');
const FALSE = ascii('false');
const EDGE = ascii('{"iotEdge":true}');
const NO_EDGE = ascii('{"iotEdge":false}');
const KEYS = ascii('{"symmetricKey":{"primaryKey":');
const SECOND_KEY = ascii(',"secondaryKey":');
const NO_THUMBPRINTS = ascii(
  '},"x509Thumbprint":{"primaryThumbprint":null,"secondaryThumbprint":null},"type":"sas"}',
);
const DESIRED_IN = ascii('{"desired":');
const REPORTED_IN = ascii(',"reported":');

/** The names of members with their colons. */
const NAMES = [
  'id',
  'moduleId',
  'status',
  'statusReason',
  'authentication',
  'capabilities',
  'tags',
  'properties',
  'eTag',
  'twinETag',
  'deviceScope',
  'parentScopes',
  'parent',
].map((name) => ascii(`"${name}":`));

/** Which member of a hub's line may come next: the order of exports. */
const EXPORTED = [
  ID,
  MODULE,
  ETAG,
  STATUS,
  REASON,
  AUTHENTICATION,
  TWIN_ETAG,
  TAGS,
  DESIRED,
  CAPABILITIES,
  SCOPE,
  PARENT_SCOPES,
];
/** The order of what hubferry prints. */
const PRINTED = [PARENT, ID, MODULE, STATUS, REASON, AUTHENTICATION, CAPABILITIES, TAGS, DESIRED];
const IDENTITY = [ID];
/** What a desired line of a plain device begins with. */
const HEAD = [ID, STATUS, REASON, AUTHENTICATION, CAPABILITIES];

/** Members that may be null or empty, which is the same as absent. */
const MAY_BE_NOTHING = Uint8Array.from(NAMES, (_, member) =>
  [REASON, ETAG, TWIN_ETAG, SCOPE, PARENT_SCOPES].includes(member) ? 1 : 0,
);

/** Objects and lists in each other in a part of a twin; more are rare. */
const TWIN_LEVELS = 4;

/** Of base64 of 32 bytes, in its quotes. */
const KEY_TEXT = 46;

/** Bytes below every limit of the service for a part of a twin, whatever it holds: at least a quarter of what counts. */
const SMALL = { text: 340, tags: 2_048, desired: 8_192 } as const;

/** Finds the parts of a line of an export. @returns false where it has to be parsed */
export function scanExported(line: LineBytes, spans: Spans): boolean {
  return scan(line, EXPORTED, spans);
}

/** Finds the parts of a desired line. @returns false where it has to be parsed, or is a mark */
export function scanDesired(line: LineBytes, spans: Spans): boolean {
  return scan(line, PRINTED, spans);
}

/** Looks at the beginning of a line of an export only: where its device id is. */
export function scanIdentity({ bytes, from }: LineBytes, spans: Spans): boolean {
  return scanMembers(bytes, from, IDENTITY, spans) > 0;
}

/**
 * Looks at the beginning of a desired line only.
 *
 * @returns whether it is one of a plain device: with symmetric keys as hubs make them, no edge device, below none
 */
export function scanHead({ bytes, from }: LineBytes, spans: Spans): boolean {
  const end = scanMembers(bytes, from, HEAD, spans);
  return end > 0 && bytes[end] === COMMA && isPlainDevice(spans);
}

/** Whether what was found is a device with symmetric keys as hubs make them, and neither an edge device nor below one. */
export function isPlainDevice(spans: Spans): boolean {
  return (
    has(spans, STATUS) &&
    !has(spans, MODULE) &&
    hasUsualKeys(spans) &&
    lengthOf(spans, CAPABILITIES) === NO_EDGE.length &&
    !has(spans, PARENT) &&
    !has(spans, SCOPE) &&
    !has(spans, PARENT_SCOPES)
  );
}

/** What a member is preceded by: a comma or brace, and its name. */
const LEADS = NAMES.map(({ length }, member) => 1 + length + (member === DESIRED ? DESIRED_IN.length : 0));

/** Where a member begins, with the comma or brace before it. */
export const startOf = (spans: Spans, member: number): number => fromOf(spans, member) - (LEADS[member] ?? 0);

/** Whether the keys are as hubs make them; false: `limits.ts` has to look. */
export function hasUsualKeys(spans: Spans): boolean {
  return lengthOf(spans, PRIMARY_KEY) === KEY_TEXT && lengthOf(spans, SECONDARY_KEY) === KEY_TEXT;
}

/** Whether a twin is within the service's limits whatever it holds; false: `twinRefusal` has to look. */
export function hasSmallTwin(spans: Spans): boolean {
  return (
    spans[LONG] === 0 && lengthOf(spans, TAGS) <= SMALL.tags && lengthOf(spans, DESIRED) <= SMALL.desired
  );
}

export const lengthOf = (spans: Spans, part: number): number => toOf(spans, part) - fromOf(spans, part);

function scan({ bytes, from, to }: LineBytes, order: readonly number[], spans: Spans): boolean {
  const end = scanMembers(bytes, from, order, spans);
  return end >= 0 && end + 1 === to && bytes[end] === CLOSE && has(spans, ID) && has(spans, STATUS);
}

/** The byte after the last of these members, as far as they come in this order; -1 where one of them has to be parsed. */
function scanMembers(bytes: Buffer, from: number, order: readonly number[], spans: Spans): number {
  spans.fill(0);
  if (bytes[from] !== OPEN) return -1;
  let at = from + 1;
  let last = -1;
  for (const member of order) {
    const value = endOf(bytes, at, NAMES[member] ?? NULL);
    if (value < 0) continue;
    const end = endOfMember(bytes, value, member, spans);
    if (end < 0) return -1;
    last = member === DESIRED ? endOfProperties(bytes, end, spans) : end;
    if (last < 0) return -1;
    if (!isNothing(bytes, member, value, end)) {
      spans[2 * member] = member === DESIRED ? value + DESIRED_IN.length : value;
      spans[2 * member + 1] = end;
    }
    if (bytes[last] !== COMMA) return last;
    at = last + 1;
  }
  return last;
}

/** Whether a value says no more than if it were absent: null, or an empty text or list. */
function isNothing(bytes: Buffer, member: number, value: number, end: number): boolean {
  return MAY_BE_NOTHING[member] === 1 && (end - value === 2 || bytes[value] === LETTER_N);
}

/** The byte after a value, or -1. */
function endOfMember(bytes: Buffer, at: number, member: number, spans: Spans): number {
  switch (member) {
    case ID:
    case MODULE: {
      const end = endOfText(bytes, at, ID_TEXT);
      const length = end - at - 2;
      return length > 0 && length <= MAX_ID ? end : -1;
    }
    case STATUS: {
      const end = endOf(bytes, at, ENABLED);
      return end >= 0 ? end : endOf(bytes, at, DISABLED);
    }
    case AUTHENTICATION:
      return endOfAuthentication(bytes, at, spans);
    case CAPABILITIES: {
      const end = endOf(bytes, at, NO_EDGE);
      return end >= 0 ? end : endOf(bytes, at, EDGE);
    }
    case TAGS:
      return endOfObject(bytes, at, TWIN_LEVELS, spans);
    case DESIRED: {
      const object = endOf(bytes, at, DESIRED_IN);
      return object < 0 ? -1 : endOfObject(bytes, object, TWIN_LEVELS, spans);
    }
    case PARENT_SCOPES:
      return endOfTexts(bytes, at);
    case REASON:
    case SCOPE:
      return bytes[at] === QUOTE ? endOfText(bytes, at, TEXT) : endOf(bytes, at, NULL);
    default:
      return endOfText(bytes, at, TEXT);
  }
}

/** The byte after `properties`, from the one after what is desired; what is reported stays out of the limits of a twin. */
function endOfProperties(bytes: Buffer, at: number, spans: Spans): number {
  if (bytes[at] === CLOSE) return at + 1;
  const reported = endOf(bytes, at, REPORTED_IN);
  if (reported < 0) return -1;
  const isLong = spans[LONG] ?? 0;
  const end = endOfObject(bytes, reported, TWIN_LEVELS, spans);
  spans[LONG] = isLong;
  return end >= 0 && bytes[end] === CLOSE ? end + 1 : -1;
}

function endOfAuthentication(bytes: Buffer, at: number, spans: Spans): number {
  const first = endOf(bytes, at, KEYS);
  const second = first < 0 ? -1 : endOf(bytes, endOfKey(bytes, first), SECOND_KEY);
  const last = second < 0 ? -1 : endOfKey(bytes, second);
  const end = last < 0 ? -1 : endOf(bytes, last, NO_THUMBPRINTS);
  // Another spelling: to be parsed on its own.
  if (end < 0) return endOfFlat(bytes, at);
  spans[2 * PRIMARY_KEY] = first;
  spans[2 * PRIMARY_KEY + 1] = second - SECOND_KEY.length;
  spans[2 * SECONDARY_KEY] = second;
  spans[2 * SECONDARY_KEY + 1] = last;
  return end;
}

/** As hubs make them: base64, with one sign at its end. */
function endOfKey(bytes: Buffer, at: number): number {
  if (bytes[at] !== QUOTE) return -1;
  let end = at + 1;
  while (BASE64[bytes[end] ?? 0] === 1) end += 1;
  return end > at + 1 && bytes[end] === EQUALS && bytes[end + 1] === QUOTE ? end + 2 : -1;
}

/** The byte after an object in which objects hold no others, without a look at what it is made of. */
function endOfFlat(bytes: Buffer, from: number): number {
  if (bytes[from] !== OPEN) return -1;
  let levels = 0;
  let at = from;
  while (at >= 0) {
    const byte = bytes[at] ?? 0;
    if (byte === OPEN) levels += 1;
    else if (byte === CLOSE) levels -= 1;
    else if (byte < 0x20) return -1;
    if (levels > 2) return -1;
    at = byte === QUOTE ? endOfText(bytes, at, TEXT) : at + 1;
    if (levels === 0) return at;
  }
  return -1;
}

function endOfObject(bytes: Buffer, from: number, levels: number, spans: Spans): number {
  if (bytes[from] !== OPEN || levels === 0) return -1;
  let at = from + 1;
  if (bytes[at] === CLOSE) return at + 1;
  for (;;) {
    const name = endOfText(bytes, at, NAME);
    if (name < 0 || bytes[name] !== COLON) return -1;
    if (name - at > SMALL.text) spans[LONG] = 1;
    at = endOfValue(bytes, name + 1, levels - 1, spans);
    if (at < 0) return -1;
    const byte = bytes[at];
    at += 1;
    if (byte === CLOSE) return at;
    if (byte !== COMMA) return -1;
  }
}

function endOfList(bytes: Buffer, from: number, levels: number, spans: Spans): number {
  if (levels === 0) return -1;
  let at = from + 1;
  if (bytes[at] === CLOSE_LIST) return at + 1;
  for (;;) {
    at = endOfValue(bytes, at, levels - 1, spans);
    if (at < 0) return -1;
    const byte = bytes[at];
    at += 1;
    if (byte === CLOSE_LIST) return at;
    if (byte !== COMMA) return -1;
  }
}

function endOfValue(bytes: Buffer, at: number, levels: number, spans: Spans): number {
  const byte = bytes[at] ?? 0;
  if (byte === QUOTE) {
    const end = endOfText(bytes, at, TEXT);
    if (end - at > SMALL.text) spans[LONG] = 1;
    return end;
  }
  if (byte === OPEN) return endOfObject(bytes, at, levels, spans);
  if (byte === OPEN_LIST) return endOfList(bytes, at, levels, spans);
  if (byte === LETTER_T) return endOf(bytes, at, TRUE);
  if (byte === LETTER_F) return endOf(bytes, at, FALSE);
  return endOfInteger(bytes, at);
}

/** Integers of up to 15 digits are in the service's range whatever they are. */
function endOfInteger(bytes: Buffer, from: number): number {
  const first = bytes[from] === MINUS ? from + 1 : from;
  let at = first;
  for (let byte = bytes[at] ?? 0; byte >= ZERO && byte <= NINE; byte = bytes[at] ?? 0) at += 1;
  const digits = at - first;
  if (digits === 0 || digits > 15 || (digits > 1 && bytes[first] === ZERO)) return -1;
  // No fraction and no exponent.
  const byte = bytes[at];
  return byte === COMMA || byte === CLOSE || byte === CLOSE_LIST ? at : -1;
}

function endOfTexts(bytes: Buffer, from: number): number {
  if (bytes[from] !== OPEN_LIST) return -1;
  let at = from + 1;
  if (bytes[at] === CLOSE_LIST) return at + 1;
  for (;;) {
    at = endOfText(bytes, at, TEXT);
    if (at < 0) return -1;
    const byte = bytes[at];
    at += 1;
    if (byte === CLOSE_LIST) return at;
    if (byte !== COMMA) return -1;
  }
}

/** The byte after a text of such characters, from its first quote on. */
function endOfText(bytes: Buffer, from: number, characters: Uint8Array): number {
  if (bytes[from] !== QUOTE) return -1;
  let at = from + 1;
  while (characters[bytes[at] ?? 0] === 1) at += 1;
  return bytes[at] === QUOTE ? at + 1 : -1;
}

/** The byte after these, if they are what comes next. */
function endOf(bytes: Buffer, from: number, expected: Expected): number {
  const { words, length } = expected;
  if (from < 0 || from + length > bytes.length) return -1;
  const view = viewOf(bytes);
  for (let word = 0; word < words.length; word += 1)
    if (view.getUint32(from + 4 * word) !== words[word]) return -1;
  for (let at = 4 * words.length; at < length; at += 1)
    if (bytes[from + at] !== expected.bytes[at]) return -1;
  return from + length;
}

/** A view of the bytes that were looked at last: many lines share them. */
let viewed: { readonly bytes: Buffer; readonly view: DataView } | null = null;

function viewOf(bytes: Buffer): DataView {
  if (viewed?.bytes !== bytes)
    viewed = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
  return viewed.view;
}
