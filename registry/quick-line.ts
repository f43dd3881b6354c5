import { readAuthentication } from './authentication.js';
import { type Authentication, isJsonObject, type JsonObject, MAX_ID, type RegistryRecord } from './record.js';

/**
 * Reads lines without parsing them: those that look as hubs export them (facts §2.1) or as hubferry prints them, with
 * nothing unusual in them. One regular expression checks every character and finds the parts, several times as fast as
 * `JSON.parse` (bench/codec.ts); tags and desired properties are parsed when somebody asks for them. Whatever it does not
 * match is left to `parseLine`, and where both answer they answer the same (a property test holds them equal).
 */

/** Text without escapes: what stands between the quotes is what is meant. */
const TEXT = String.raw`"[^"\\\x00-\x1f]*"`;
/** Names that the service takes (facts §5), and not its own, which begin with a dollar. */
const NAME = String.raw`"[^"\\\x00-\x20$.\x7f-\x9f]*"`;
/** Integers of so few digits are in the service's range whatever they are. */
const SCALAR = String.raw`${TEXT}|-?(?:0|[1-9]\d{0,14})(?=[,\]}])|true|false`;

/** A value with at most so many objects and lists in each other. */
const valueOf = (levels: number): string =>
  levels === 0 ? SCALAR : `${SCALAR}|${object(levels)}|${list(valueOf(levels - 1))}`;
/** An object that is one of so many levels. Each item is followed by a comma and another one, or by the end. */
const object = (levels: number): string =>
  String.raw`\{(?:${NAME}:(?:${valueOf(levels - 1)})(?:,(?=")|(?=\})))*\}`;
const list = (items: string): string => String.raw`\[(?:(?:${items})(?:,(?!\])|(?=\])))*\]`;

/** Levels of a part of a twin; more are rare, and make the expression long. */
const TWIN = object(4);

/** As hubs make them: base64, with one sign at its end. Others are left to the second way to read an authentication. */
const KEY = String.raw`"[A-Za-z\d+/]+="`;
const KEYS =
  String.raw`\{"symmetricKey":\{"primaryKey":(?<primaryKey>${KEY}),"secondaryKey":(?<secondaryKey>${KEY})\},` +
  String.raw`"x509Thumbprint":\{"primaryThumbprint":null,"secondaryThumbprint":null\},"type":"sas"\}`;
const OTHER = String.raw`\{"symmetricKey":(?:null|\{[^\\{}]*\}),"x509Thumbprint":\{[^\\{}]*\},"type":${TEXT}\}`;

const AUTHENTICATION = `(?<authentication>${KEYS}|${OTHER})`;
const CAPABILITIES = String.raw`(?<capabilities>\{"iotEdge":(?:true|false)\})`;
const REASON = `(?<statusReason>${TEXT}|null)`;
const SCOPES = `(?<parentScopes>${list(TEXT)})`;

const member = (name: string, text: string): string => `(?:,"${name}":${text})?`;
/** Characters that ids may be made of (facts §1.7). */
const ID = String.raw`"[A-Za-z\d\-:.+%_#*?!(),=@;$']+"`;
const WHOSE = `"id":(?<id>${ID})${member('moduleId', `(?<moduleId>${ID})`)}`;
const STATUS = `,"status":"(?<status>enabled|disabled)"${member('statusReason', REASON)}`;
const TAGS = member('tags', `(?<tags>${TWIN})`);

const EXPORTED = new RegExp(
  String.raw`^\{${WHOSE}${member('eTag', `(?<eTag>${TEXT})`)}${STATUS}${member('authentication', AUTHENTICATION)}` +
    `${member('twinETag', `(?<twinETag>${TEXT})`)}${TAGS}` +
    String.raw`${member('properties', String.raw`\{"desired":(?<desired>${TWIN})${member('reported', TWIN)}\}`)}` +
    member('capabilities', CAPABILITIES) +
    `${member('deviceScope', `(?<deviceScope>${TEXT}|null)`)}${member('parentScopes', SCOPES)}` +
    String.raw`\}$`,
);

const PRINTED = new RegExp(
  String.raw`^\{(?:"parent":(?<parent>${TEXT}),)?${WHOSE}${STATUS}${member('authentication', AUTHENTICATION)}` +
    `${member('capabilities', CAPABILITIES)}${TAGS}` +
    String.raw`,"properties":\{"desired":(?<desired>${TWIN})\}\}$`,
);

/** Of base64 of 32 bytes, in its quotes. */
const KEY_TEXT = 46;

/** UTF-16 units below every limit of the service for a part of a twin; a unit is four bytes at most as it counts. */
const SMALL = { name: 340, tags: 2_048, desired: 8_192 } as const;
const LONG_NAME = new RegExp(`[^"]{${SMALL.name + 1}}`);

/**
 * A record whose tags and desired properties are parsed when they are asked for. Its ids are within the service's limits.
 */
export class QuickRecord implements RegistryRecord {
  readonly deviceId: string;
  readonly moduleId: string | null;
  readonly status: RegistryRecord['status'];
  readonly statusReason: string;
  readonly authentication: Authentication | null;
  readonly iotEdge: boolean;
  readonly deviceScope: string | null;
  readonly parentScopes: readonly string[];
  readonly eTag: string | null;
  readonly twinETag: string | null;
  readonly raw: RegistryRecord['raw'];
  /** Whether it has symmetric keys as hubs make them; false: `limits.ts` has to look. */
  readonly hasUsualKeys: boolean;
  /** Whether its twin is within the service's limits whatever it holds; false: `twinRefusal` has to look. */
  readonly hasSmallTwin: boolean;
  #tags: JsonObject | undefined;
  #desired: JsonObject | undefined;

  constructor(parts: Parts, deviceId: string, authentication: Authentication | null) {
    const { tags = null, desired = null, capabilities = null } = parts;
    this.deviceId = deviceId;
    this.moduleId = textIn(parts.moduleId);
    this.status = parts.status === 'disabled' ? 'disabled' : 'enabled';
    this.statusReason = textIn(parts.statusReason) ?? '';
    this.authentication = authentication;
    this.iotEdge = capabilities === '{"iotEdge":true}';
    this.deviceScope = textIn(parts.deviceScope);
    this.parentScopes = parts.parentScopes === undefined ? NONE : textsIn(parts.parentScopes);
    this.eTag = textIn(parts.eTag);
    this.twinETag = textIn(parts.twinETag);
    this.raw = { authentication: parts.authentication ?? null, capabilities, tags, desired };
    this.hasUsualKeys = parts.primaryKey?.length === KEY_TEXT && parts.secondaryKey?.length === KEY_TEXT;
    this.hasSmallTwin = isSmall(tags, SMALL.tags) && isSmall(desired, SMALL.desired);
  }

  get tags(): JsonObject {
    return (this.#tags ??= objectIn(this.raw.tags));
  }

  get desired(): JsonObject {
    return (this.#desired ??= objectIn(this.raw.desired));
  }
}

/** What an expression above finds: JSON texts, but for `status`. */
type Parts = Readonly<Partial<Record<string, string>>>;

const NONE: readonly string[] = [];

/** The record of a line of an export, or null where `parseLine` has to read it. */
export function quickRecord(line: string): QuickRecord | null {
  const parts = EXPORTED.exec(line)?.groups;
  return parts === undefined ? null : recordOf(parts);
}

/** The same of a desired line, with its parent. */
export function quickDesired(
  line: string,
): { readonly record: QuickRecord; readonly parent: string | null } | null {
  const parts = PRINTED.exec(line)?.groups;
  const record = parts && recordOf(parts);
  if (!record) return null;
  // The parent stands for whatever is in quotes, be it nothing.
  return { record, parent: parts['parent'] === undefined ? null : parts['parent'].slice(1, -1) };
}

/** A record as a plain object: one that can be spread. */
export function plainRecord(record: RegistryRecord): RegistryRecord {
  if (!(record instanceof QuickRecord)) return record;
  const { hasUsualKeys: _keys, hasSmallTwin: _twin, ...parts } = record;
  return { ...parts, tags: record.tags, desired: record.desired };
}

function recordOf(parts: Parts): QuickRecord | null {
  const deviceId = textIn(parts['id']) ?? '';
  if (deviceId.length > MAX_ID || (parts['moduleId']?.length ?? 0) > MAX_ID) return null;
  if (parts['authentication'] === undefined) return new QuickRecord(parts, deviceId, null);
  const authentication = authenticationIn(parts);
  return authentication && new QuickRecord(parts, deviceId, authentication);
}

/** The authentication of a line, or null where it is not in the usual spelling. */
function authenticationIn({ primaryKey, secondaryKey, authentication = '' }: Parts): Authentication | null {
  if (primaryKey !== undefined)
    return {
      type: 'sas',
      primaryKey: textIn(primaryKey),
      secondaryKey: textIn(secondaryKey),
      primaryThumbprint: null,
      secondaryThumbprint: null,
    };
  try {
    const value: unknown = JSON.parse(authentication);
    const found = isJsonObject(value) ? readAuthentication(value) : null;
    return found?.usual === true ? found.read : null;
  } catch {
    return null;
  }
}

/** What stands between the quotes; null, absent and empty are the same. */
function textIn(quoted: string | undefined): string | null {
  return quoted === undefined || quoted.length === 2 || quoted === 'null' ? null : quoted.slice(1, -1);
}

function textsIn(raw: string): readonly string[] {
  const texts = JSON.parse(raw) as readonly string[];
  return texts.filter((text) => text !== '');
}

function objectIn(raw: string | null): JsonObject {
  return raw === null ? {} : (JSON.parse(raw) as JsonObject);
}

function isSmall(raw: string | null, limit: number): boolean {
  if (raw === null || raw.length <= SMALL.name) return true;
  return raw.length <= limit && !LONG_NAME.test(raw);
}
