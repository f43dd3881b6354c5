import { readAuthentication } from './authentication.js';
import { type Authentication, isJsonObject, type JsonObject, type RegistryRecord } from './record.js';
import * as scan from './scan-line.js';
import {
  fromOf,
  has,
  hasSmallTwin,
  hasUsualKeys,
  type LineBytes,
  type Spans,
  textOf,
  toOf,
} from './scan-line.js';

/**
 * Records of lines that were scanned instead of parsed. Where both answer, they answer the same as `parseLine` (a property
 * test holds them equal).
 */

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

  constructor(parts: Parts, authentication: Authentication | null, spans: Spans) {
    const scopes = parts.raw(scan.PARENT_SCOPES);
    const capabilities = parts.raw(scan.CAPABILITIES);
    this.deviceId = parts.text(scan.ID) ?? '';
    this.moduleId = parts.text(scan.MODULE);
    this.status = parts.raw(scan.STATUS) === '"disabled"' ? 'disabled' : 'enabled';
    this.statusReason = parts.text(scan.REASON) ?? '';
    this.authentication = authentication;
    this.iotEdge = capabilities === '{"iotEdge":true}';
    this.deviceScope = parts.text(scan.SCOPE);
    this.parentScopes = scopes === null ? NONE : textsIn(scopes);
    this.eTag = parts.text(scan.ETAG);
    this.twinETag = parts.text(scan.TWIN_ETAG);
    this.raw = {
      authentication: parts.raw(scan.AUTHENTICATION),
      capabilities,
      tags: parts.raw(scan.TAGS),
      desired: parts.raw(scan.DESIRED),
    };
    this.hasUsualKeys = hasUsualKeys(spans);
    this.hasSmallTwin = hasSmallTwin(spans);
  }

  get tags(): JsonObject {
    return (this.#tags ??= objectIn(this.raw.tags));
  }

  get desired(): JsonObject {
    return (this.#desired ??= objectIn(this.raw.desired));
  }
}

const NONE: readonly string[] = [];

/** The parts of a line as text. */
class Parts {
  readonly #line: LineBytes;
  readonly #spans: Spans;
  readonly #text: string;
  readonly #isAscii: boolean;

  constructor(line: LineBytes, spans: Spans) {
    this.#line = line;
    this.#spans = spans;
    this.#text = textOf(line);
    this.#isAscii = this.#text.length === line.to - line.from;
  }

  /** What stands there, or null where there is nothing. */
  raw(part: number): string | null {
    return has(this.#spans, part) ? this.#slice(fromOf(this.#spans, part), toOf(this.#spans, part)) : null;
  }

  /** The same of a text, without its quotes. */
  text(part: number): string | null {
    if (!has(this.#spans, part)) return null;
    return this.#slice(fromOf(this.#spans, part) + 1, toOf(this.#spans, part) - 1);
  }

  #slice(from: number, to: number): string {
    const { bytes, from: start } = this.#line;
    return this.#isAscii ? this.#text.slice(from - start, to - start) : bytes.toString('utf8', from, to);
  }
}

/** One for all lines: nothing is done between a scan and the look at what it found. */
const SPANS = scan.newSpans();

/** The record of a line of an export, or null where `parseLine` has to read it. */
export function quickRecord(line: LineBytes): QuickRecord | null {
  return scan.scanExported(line, SPANS) ? recordOf(new Parts(line, SPANS), SPANS) : null;
}

/** The same of a desired line, with its parent. */
export function quickDesired(
  line: LineBytes,
): { readonly record: QuickRecord; readonly parent: string | null } | null {
  if (!scan.scanDesired(line, SPANS)) return null;
  const parts = new Parts(line, SPANS);
  const record = recordOf(parts, SPANS);
  return record && { record, parent: parts.text(scan.PARENT) };
}

/** The record of a line whose parts were found; null where its authentication is in no usual spelling. */
function recordOf(parts: Parts, spans: Spans): QuickRecord | null {
  if (!has(spans, scan.AUTHENTICATION)) return new QuickRecord(parts, null, spans);
  const authentication = authenticationIn(parts, spans);
  return authentication && new QuickRecord(parts, authentication, spans);
}

/** The authentication of a line, or null where it is not in the usual spelling. */
function authenticationIn(parts: Parts, spans: Spans): Authentication | null {
  if (has(spans, scan.PRIMARY_KEY))
    return {
      type: 'sas',
      primaryKey: parts.text(scan.PRIMARY_KEY),
      secondaryKey: parts.text(scan.SECONDARY_KEY),
      primaryThumbprint: null,
      secondaryThumbprint: null,
    };
  try {
    const value: unknown = JSON.parse(parts.raw(scan.AUTHENTICATION) ?? '');
    const found = isJsonObject(value) ? readAuthentication(value) : null;
    return found?.usual === true ? found.read : null;
  } catch {
    return null;
  }
}

function textsIn(raw: string): readonly string[] {
  const texts = JSON.parse(raw) as readonly string[];
  return texts.filter((text) => text !== '');
}

function objectIn(raw: string | null): JsonObject {
  return raw === null ? {} : (JSON.parse(raw) as JsonObject);
}
