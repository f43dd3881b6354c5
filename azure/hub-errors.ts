import type { IncomingHttpHeaders } from 'node:http';
import { type ErrorCode, HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import { HUB_ROLE } from './entra.js';
import { textOrNull } from './json.js';
import { scrub } from './scrub.js';

/** Who was asked, and for what: the first half of every message. */
export interface HubCall {
  readonly host: string;
  /** Null under Microsoft Entra ID. */
  readonly policy: string | null;
  /** Ends "cannot …": `list its jobs`, `read device x`. */
  readonly what: string;
}

/** An answer that is not the one hoped for. */
export interface HubRefusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** An error that the hub itself answered with. */
export class HubAnswerError extends HubferryError {
  /** The HTTP status. */
  readonly status: number;
  /** The service's own name for the fault, such as `DeviceNotFound`; its number where it gave no name; else null. */
  readonly serviceCode: string | null;
  /** For how long it asks for no further call, ms; null: it does not say. */
  readonly retryAfter: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    { status, serviceCode, retryAfter }: Pick<HubAnswerError, 'status' | 'serviceCode' | 'retryAfter'>,
  ) {
    super(code, message);
    this.status = status;
    this.serviceCode = serviceCode;
    this.retryAfter = retryAfter;
  }
}

/** Whether the hub has no room for what it was given. */
export function isFull(error: unknown): boolean {
  return error instanceof HubAnswerError && error.serviceCode === 'IotHubQuotaExceeded';
}

/** The codes that decide, by number: the second envelope and the text of some faults give no name. */
const NAMES: Readonly<Record<string, string>> = {
  400008: 'BlobContainerValidationError',
  400032: 'ManagedIdentityNotEnabled',
  401002: 'IotHubUnauthorizedAccess',
  403002: 'IotHubQuotaExceeded',
  403003: 'JobQuotaExceeded',
  404001: 'DeviceNotFound',
  404002: 'JobNotFound',
  404010: 'ModuleNotFound',
  404012: 'IotHubFailingOver',
  409001: 'DeviceAlreadyExists',
  409301: 'ModuleAlreadyExistsOnDevice',
  412001: 'PreconditionFailed',
};

/** Faults whose code says more than their status. */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  JobQuotaExceeded: 'HUB_SLOT_TAKEN',
  BlobContainerValidationError: 'CONTAINER_REFUSED',
  ManagedIdentityNotEnabled: 'HUB_HAS_NO_IDENTITY',
  IotHubFailingOver: 'HUB_UNAVAILABLE',
};

/**
 * The one mapping from what a hub answers to our codes. The header `iothub-errorcode` is the reliable discriminator,
 * then the two envelopes (service facts: "Error format"), then the status. Microsoft's client maps by status alone, so
 * that a taken slot arrives there as `TooManyDevicesError`.
 */
export function hubAnswerError(call: HubCall, refusal: HubRefusal): HubAnswerError {
  const { status } = refusal;
  const { name, words } = readRefusal(refusal);
  const code = (name === null ? undefined : BY_NAME[name]) ?? codeOfStatus(refusal);
  const labels = [name, `HTTP ${status}`].filter((label) => label !== null).join(', ');
  const [who, role] = code === 'HUB_UNAUTHORIZED' ? rightsOf(call) : ['', ''];
  const said = words === '' ? '' : `: ${words}`;
  return new HubAnswerError(code, `${call.host}${who} cannot ${call.what} (${labels})${said}${role}`, {
    status,
    serviceCode: name,
    retryAfter: readRetryAfter(refusal),
  });
}

/** Seconds, or a date. */
function readRetryAfter({ headers }: HubRefusal): number | null {
  const text = headers['retry-after'];
  if (text === undefined) return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : null;
}

/** Who was refused, and what they lack where that can be told. */
function rightsOf({ policy }: HubCall): [who: string, role: string] {
  if (policy !== null) return [` with policy "${policy}"`, ''];
  const words = `The worker’s identity needs the role ${HUB_ROLE}; Owner and Contributor do not let anybody read or write devices.`;
  return [' under Microsoft Entra ID', `. ${words}`];
}

function codeOfStatus({ status, headers }: HubRefusal): ErrorCode {
  if (status === 401) return 'HUB_UNAUTHORIZED';
  if (status === 429) return 'HUB_THROTTLED';
  // A page is the word of a proxy on the way, not the hub's.
  if (/\bhtml\b/.test(headers['content-type'] ?? '')) return 'HUB_UNAVAILABLE';
  return status === 408 || status >= 500 ? 'HUB_UNAVAILABLE' : 'HUB_REFUSED';
}

function readRefusal({ headers, text }: HubRefusal): { name: string | null; words: string } {
  const header = headers['iothub-errorcode'];
  const body = parseObject(text);
  const message = textOrNull(body?.['Message']) ?? textOrNull(body?.['message']);
  // Some gateways put the second envelope, as text, into the first.
  const inner = message === null ? null : parseObject(message);
  const envelope = inner ?? body;
  const [, named, rest] = /^ErrorCode:\s*(\w+);?\s*(.*)$/s.exec(message ?? '') ?? [];
  const number = envelope?.['errorCode'] ?? envelope?.['ErrorCode'];
  const name = (typeof header === 'string' && header !== '' ? header : undefined) ?? named ?? nameOf(number);
  const words = rest ?? textOrNull(inner?.['message']) ?? message ?? text;
  return { name: name === undefined ? null : scrub(NAMES[name] ?? name), words: scrub(words) };
}

function nameOf(code: unknown): string | undefined {
  return typeof code === 'number' || typeof code === 'string' ? String(code) : undefined;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The hub answered something that cannot be read: a proxy's page, or half a body. */
export function unreadableAnswer(call: HubCall): HubferryError {
  return new HubferryError(
    'HUB_UNAVAILABLE',
    `${call.host} cannot ${call.what}: its answer is not what an IoT hub sends`,
  );
}

/** OpenSSL's and Node's codes for a certificate that is not trusted here. */
const UNTRUSTED = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** OpenSSL's codes for an answer that is no TLS at all, such as plain HTTP. */
const NO_TLS = new Set(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

/** No answer came: name resolution, TCP, TLS, or a connection cut in the middle. */
export function hubSilentError(call: HubCall, error: unknown): HubferryError {
  // No token to ask with.
  if (error instanceof HubferryError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  if (code !== null && UNTRUSTED.has(code)) {
    return new HubferryError(
      'HUB_UNTRUSTED',
      `${call.host} shows a certificate that is not trusted here (${code})`,
    );
  }
  if (code !== null && NO_TLS.has(code)) {
    return new HubferryError('HUB_UNREACHABLE', `${call.host} does not speak TLS on this port (${code})`);
  }
  const words = scrub(error instanceof Error ? error.message : String(error));
  const reason = [code, words].filter((part) => part !== null && part !== '').join(': ');
  return new HubferryError('HUB_UNREACHABLE', `${call.host} cannot be reached to ${call.what} (${reason})`);
}
