import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import type { Call, Reply } from '../router.js';

/** 200 with a body. */
export function ok(json: unknown): Reply {
  return { status: 200, json };
}

/** 200 with a body and its ETag header, quoted. */
export function okWithEtag(json: unknown, etag: string): Reply {
  return { status: 200, json, headers: { ETag: `"${etag}"` } };
}

/** A parameter of the path. */
export function id(params: readonly string[], index: number): string {
  return params[index] ?? '';
}

/** @throws {ServiceError} IotHubFormatError unless the body is a JSON object. */
export function readObject(body: Buffer): JsonObject {
  let parsed: Json;
  try {
    parsed = JSON.parse(body.toString('utf8')) as Json;
  } catch {
    throw new ServiceError('IotHubFormatError', 'The body is not valid JSON.');
  }
  if (!isObject(parsed)) throw new ServiceError('IotHubFormatError', 'The body is not a JSON object.');
  return parsed;
}

/**
 * The If-Match header without its quotes and without the mark of a weak etag: all Microsoft clients send `"*"` quoted
 * (§1.4). An empty header counts as none.
 */
export function readIfMatch(call: Call): string | undefined {
  const value = call.header('if-match')?.trim() ?? '';
  return value === '' ? undefined : value.replace(/^(?:W\/)?"(.*)"$/s, '$1');
}

/** @throws {ServiceError} PreconditionFailed when there is no If-Match. */
export function requireIfMatch(call: Call): string {
  const value = readIfMatch(call);
  if (value === undefined) throw new ServiceError('PreconditionFailed', 'Etag missing');
  return value;
}

/** @throws {ServiceError} PreconditionFailed unless it is `*` or the current etag. */
export function checkIfMatch(given: string, current: string): void {
  if (given === '*' || given === current) return;
  throw new ServiceError('PreconditionFailed', 'PreconditionFailed, ETag may be invalid.');
}

/**
 * A body may leave out what the path says, but not say something else.
 * @throws {ServiceError} ArgumentInvalid
 */
export function checkSameId(kind: 'device' | 'module', inBody: Json | undefined, inPath: string): void {
  if (inBody === undefined || inBody === null || inBody === inPath) return;
  throw new ServiceError('ArgumentInvalid', `The ${kind} id in the body differs from the one in the path.`);
}
