import { printAuthentication, readAuthentication } from './authentication.js';
import { type ErrorCode, HubferryError } from './errors.js';
import { damageAt, decodeString, endOfString, membersOf } from './json-scan.js';
import { type ImportMode, writesIdentity } from './modes.js';
import { quickDesired, quickRecord } from './quick-line.js';
import { type Authentication, isJsonObject, type JsonObject, quoted, type RegistryRecord } from './record.js';
import { isRefusalCode, type Refusal } from './refusal.js';
import { bytesOf, type LineBytes, textOf } from './scan-line.js';

/** Whose line it is. */
export interface Identity {
  readonly deviceId: string;
  readonly moduleId: string | null;
}

/** One line of the desired state: a record with its parent by device id, or the mark of a refused record. */
export type DesiredLine =
  | { readonly kind: 'record'; readonly record: RegistryRecord; readonly parent: string | null }
  | ({ readonly kind: 'refused'; readonly refusal: Refusal } & Identity);

/**
 * Reads one line of a `devices.txt` (facts §2.1), without its line end.
 *
 * Tolerated: a byte order mark, other casings of enums and of authentication's members, unknown members, and
 * `$metadata`/`$version` in tags and desired, which old exports held and which are left out.
 *
 * @throws HubferryError SNAPSHOT_LINE_NOT_JSON, SNAPSHOT_LINE_NO_ID or SNAPSHOT_LINE_BAD_FIELD where the line is
 *   damaged. The message holds the id and a position, never other content: the line holds keys.
 */
export function parseLine(line: string): RegistryRecord {
  const text = clean(line);
  const value = parseObject(text);
  const deviceId = value['id'];
  if (typeof deviceId !== 'string' || deviceId === '') throw noId();
  const damaged = (what: string): HubferryError =>
    new HubferryError('SNAPSHOT_LINE_BAD_FIELD', `The line of ${quoted(deviceId)} is damaged: ${what}.`);

  const spans = new Map<string, string>();
  for (const member of membersOf(text) ?? []) {
    if (spans.has(member.name)) {
      throw damaged(`a member stands in it twice, the second time at character ${member.at + 1}`);
    }
    spans.set(member.name, text.slice(member.from, member.to));
  }

  const moduleId = textMember(value, 'moduleId', damaged);
  const authentication = objectMember(value, 'authentication', damaged);
  const capabilities = objectMember(value, 'capabilities', damaged);
  const properties = objectMember(value, 'properties', damaged);
  const credentials = authentication && readAuthentication(authentication);
  if (authentication !== null && !credentials) throw damaged('"authentication" cannot be read');
  const tags = twinPart(objectMember(value, 'tags', damaged), spans.get('tags'));
  const desired = twinPart(
    properties && objectMember(properties, 'desired', damaged),
    properties === null ? undefined : desiredSpan(spans.get('properties') ?? '', damaged),
  );

  return {
    deviceId,
    moduleId,
    status: readStatus(value['status'], moduleId !== null, damaged),
    statusReason: textMember(value, 'statusReason', damaged) ?? '',
    authentication: credentials?.read ?? null,
    iotEdge: capabilities !== null && readIotEdge(capabilities['iotEdge'], damaged),
    deviceScope: textMember(value, 'deviceScope', damaged),
    parentScopes: readScopes(value['parentScopes'], damaged),
    eTag: textMember(value, 'eTag', damaged),
    twinETag: textMember(value, 'twinETag', damaged),
    tags: tags.value,
    desired: desired.value,
    raw: {
      authentication: rawAuthentication(credentials ?? null, spans.get('authentication')),
      capabilities: capabilities && (spans.get('capabilities') ?? null),
      tags: tags.raw,
      desired: desired.raw,
    },
  };
}

/** The same as `parseLine` in less time: what it returns is not to be spread, see `plainRecord`. */
export function readLine(line: LineBytes): RegistryRecord {
  return quickRecord(line) ?? parseLine(textOf(line));
}

/**
 * Whose line it is, without reading the rest: works on lines of snapshots, desired lines and refused markers. A line
 * that passes here may still be damaged; reading it whole tells.
 *
 * @throws HubferryError SNAPSHOT_LINE_NOT_JSON or SNAPSHOT_LINE_NO_ID.
 */
export function identityOfLine(line: string): Identity {
  const text = clean(line);
  const members = membersOf(text);
  if (members === null) {
    parseObject(text); // says what is wrong with it
    throw notJson(text);
  }
  let deviceId: string | null = null;
  let moduleId: string | null = null;
  for (const { name, from, to } of members) {
    if (name !== 'id' && name !== 'moduleId') continue;
    const id = text.charAt(from) === '"' ? decodeString(text.slice(from, to)) : null;
    if (name === 'id') deviceId = id;
    else moduleId = id === '' ? null : id;
  }
  if (deviceId === null || deviceId === '') throw noId();
  return { deviceId, moduleId };
}

/** What a desired line begins with, where nothing in it is escaped. */
const PRINTED_IDENTITY = /^\{(?:"parent":"[^"\\]*",)?"id":"([^"\\]+)"(?:,"moduleId":"([^"\\]+)")?,"status":"/;

/** The same of a line that `printDesiredLine` has printed, or another one of ours, in less time. */
export function identityOfDesired(line: string): Identity {
  const [, deviceId, moduleId = null] = PRINTED_IDENTITY.exec(line) ?? [];
  return deviceId === undefined ? identityOfLine(line) : { deviceId, moduleId };
}

/**
 * The line of the desired state for one record: the same text for the same content, whatever hub or time it came from
 * (no ETags, no scopes), because plans are hashed over it. `parent` is the device id of the parent edge device.
 *
 * Tags and desired are always written, so that "none" is said and not left open.
 */
export function printDesiredLine(record: RegistryRecord, parent: string | null): string {
  const { moduleId, raw } = record;
  let line = parent === null ? '{' : `${PARENT}${JSON.stringify(parent)},`;
  line += `"id":${JSON.stringify(record.deviceId)}`;
  if (moduleId !== null) line += `,"moduleId":${JSON.stringify(moduleId)}`;
  // The service requires a status on every line, a module's too (facts §2.2).
  line += `,"status":"${record.status}"`;
  if (moduleId === null && record.statusReason !== '') {
    line += `,"statusReason":${JSON.stringify(record.statusReason)}`;
  }
  if (raw.authentication !== null) line += `,"authentication":${raw.authentication}`;
  if (moduleId === null && raw.capabilities !== null) line += `,"capabilities":${raw.capabilities}`;
  return `${line},"tags":${raw.tags ?? '{}'},"properties":{"desired":${raw.desired ?? '{}'}}}`;
}

/** The mark that a record of the source is refused, in the place of its desired line. */
export function printRefused(record: Identity, { code, reason }: Refusal): string {
  const { deviceId: id, moduleId } = record;
  return JSON.stringify({ refused: code, reason, id, ...(moduleId === null ? {} : { moduleId }) });
}

/** Whether a desired line is the mark of a refused record; it is told by its first member. */
export function isRefusedMark(line: string): boolean {
  return line.startsWith(REFUSED);
}

/**
 * Reads what `printDesiredLine` and `printRefused` print.
 *
 * @throws HubferryError like `parseLine`; INTERNAL for a marker that is not one of ours.
 */
export function parseDesiredLine(line: string): DesiredLine {
  const bytes = bytesOf(line);
  return (bytes && quickDesiredLine(bytes)) ?? exactDesiredLine(line);
}

/** The same of a line that is at hand as bytes. */
export function readDesiredLine(line: LineBytes): DesiredLine {
  return quickDesiredLine(line) ?? exactDesiredLine(textOf(line));
}

/** The record of a desired line in less time, or null for any other line. */
export function quickDesiredLine(line: LineBytes): Extract<DesiredLine, { readonly kind: 'record' }> | null {
  const quick = quickDesired(line);
  return quick && { kind: 'record', ...quick };
}

function exactDesiredLine(line: string): DesiredLine {
  if (isRefusedMark(line)) return parseRefused(line);
  const { parent, rest } = splitParent(line);
  return { kind: 'record', record: parseLine(rest), parent };
}

/**
 * Turns a desired line into a line of an import job. The content is copied as text; the parent, which the desired line
 * names by device id, becomes that device's scope on the target: a leaf says it as `deviceScope`, an edge device as
 * `parentScopes` (its own scope is the hub's to make; facts §6).
 *
 * @param scopeOf the target's current scope of an edge device; throws where it has none. Only called for a line with a
 *   parent, in a mode that writes the identity.
 */
export function printImportLine(
  desiredLine: string,
  mode: ImportMode,
  scopeOf: (parentDeviceId: string) => string,
): string {
  const { parent, rest } = splitParent(desiredLine);
  const open = `${rest.slice(0, -1)},"importMode":"${mode}"`;
  if (parent === null || !writesIdentity(mode)) return `${open}}`;
  const scope = JSON.stringify(scopeOf(parent));
  return parseLine(rest).iotEdge ? `${open},"parentScopes":[${scope}]}` : `${open},"deviceScope":${scope}}`;
}

const PARENT = '{"parent":';
const REFUSED = '{"refused":';

/** A desired line's parent, and the line as it is without it. Only our own print puts a parent there, and first. */
export function splitParent(line: string): { parent: string | null; rest: string } {
  if (!line.startsWith(PARENT)) return { parent: null, rest: line };
  const end = endOfString(line, PARENT.length);
  const parent = end < 0 ? null : decodeString(line.slice(PARENT.length, end));
  if (parent === null) throw notJson(line);
  return { parent, rest: `{${line.slice(end + 1)}` };
}

function parseRefused(line: string): DesiredLine {
  const { refused: code, reason, id: deviceId, moduleId = null } = parseObject(line);
  if (
    !isRefusalCode(code) ||
    typeof reason !== 'string' ||
    typeof deviceId !== 'string' ||
    !(moduleId === null || typeof moduleId === 'string')
  ) {
    throw new HubferryError('INTERNAL', 'The mark of a refused record cannot be read.');
  }
  return { kind: 'refused', deviceId, moduleId, refusal: { code, reason } };
}

/** Without a byte order mark, and with stray line ends (which JSON allows between tokens only) as spaces. */
function clean(line: string): string {
  const text = line.charCodeAt(0) === 0xfeff ? line.slice(1) : line;
  return text.includes('\r') || text.includes('\n') ? text.replaceAll(/[\r\n]/g, ' ') : text;
}

function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which holds keys: it must not go on as a cause.
    throw notJson(text);
  }
  if (!isJsonObject(value)) throw new HubferryError(NOT_JSON, 'The line is not a JSON object.');
  return value;
}

const NOT_JSON: ErrorCode = 'SNAPSHOT_LINE_NOT_JSON';

function notJson(text: string): HubferryError {
  const at = damageAt(text);
  const what =
    at >= text.length
      ? `ends too early, after ${text.length} characters`
      : `is not JSON, from character ${at + 1} on`;
  return new HubferryError(NOT_JSON, `The line ${what}.`);
}

function noId(): HubferryError {
  return new HubferryError('SNAPSHOT_LINE_NO_ID', 'The line has no device id.');
}

type Damaged = (what: string) => HubferryError;

/** A text, or null where it is null, absent or empty. */
function textMember(from: JsonObject, name: string, damaged: Damaged): string | null {
  const value = from[name] ?? '';
  if (typeof value !== 'string') throw damaged(`"${name}" is not a text`);
  return value === '' ? null : value;
}

/** An object, or null where it is null or absent. */
function objectMember(from: JsonObject, name: string, damaged: Damaged): JsonObject | null {
  const value = from[name] ?? null;
  if (value !== null && !isJsonObject(value)) throw damaged(`"${name}" is not an object`);
  return value;
}

function readStatus(value: unknown, isModule: boolean, damaged: Damaged): RegistryRecord['status'] {
  // The service has no status for modules, although exports write one (facts §1.3, §2.1).
  if (isModule && (value === undefined || value === null)) return 'enabled';
  const status = typeof value === 'string' ? value.toLowerCase() : '';
  if (status === 'enabled' || status === 'disabled') return status;
  throw damaged('"status" is neither enabled nor disabled');
}

function readIotEdge(value: unknown, damaged: Damaged): boolean {
  if (value !== undefined && value !== null && typeof value !== 'boolean') {
    throw damaged('"capabilities.iotEdge" is neither true nor false');
  }
  return value === true;
}

function readScopes(value: unknown, damaged: Damaged): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((scope) => typeof scope === 'string')) {
    return value.filter((scope) => scope !== '');
  }
  throw damaged('"parentScopes" is not a list of texts');
}

/** The source text, except in an unusual spelling, which another hub need not understand. */
function rawAuthentication(
  credentials: { read: Authentication; usual: boolean } | null,
  raw: string | undefined,
): string | null {
  if (credentials === null) return null;
  return credentials.usual && raw !== undefined ? raw : printAuthentication(credentials.read);
}

function desiredSpan(properties: string, damaged: Damaged): string | undefined {
  const spans = (membersOf(properties) ?? []).filter(({ name }) => name === 'desired');
  if (spans.length > 1) throw damaged('"properties.desired" stands in it twice');
  const [span] = spans;
  return span && properties.slice(span.from, span.to);
}

/** Tags or desired with its source text, both without what the service wrote there (facts §2.1: strip). */
function twinPart(
  value: JsonObject | null,
  raw: string | undefined,
): { value: JsonObject; raw: string | null } {
  if (value === null || raw === undefined) return { value: {}, raw: null };
  if (!Object.hasOwn(value, '$metadata') && !Object.hasOwn(value, '$version')) return { value, raw };
  // Put together from the members' own texts: printing parsed values would change numbers.
  const kept = (membersOf(raw) ?? []).filter(({ name }) => isUsers(name));
  return {
    value: Object.fromEntries(Object.entries(value).filter(([name]) => isUsers(name))),
    raw: `{${kept.map(({ at, to }) => raw.slice(at, to)).join(',')}}`,
  };
}

function isUsers(name: string): boolean {
  return name !== '$metadata' && name !== '$version';
}
