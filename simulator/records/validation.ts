import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject } from '../json.js';

const idPattern = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;
const keyPattern = /^[A-Za-z0-9+/]+={0,2}$/;
const thumbprintPattern = /^(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$/;

/** @throws {ServiceError} ArgumentInvalid unless `id` is a legal device or module id (§1.7). */
export function checkId(kind: 'device' | 'module', id: string): void {
  if (!idPattern.test(id)) throw new ServiceError('ArgumentInvalid', `The ${kind} identifier is invalid.`);
}

/** @throws {ServiceError} ArgumentInvalid unless `key` is base64 of 16 to 64 bytes (§1.7). */
export function checkKey(key: string): void {
  const bytes = keyPattern.test(key) && key.length % 4 === 0 ? Buffer.from(key, 'base64').length : 0;
  if (bytes < 16 || bytes > 64) {
    throw new ServiceError('ArgumentInvalid', 'A symmetric key must be base64 of 16 to 64 bytes.');
  }
}

/** @throws {ServiceError} ArgumentInvalid unless `thumbprint` is hexadecimal without separators (§1.7). */
export function checkThumbprint(thumbprint: string): void {
  if (!thumbprintPattern.test(thumbprint)) {
    throw new ServiceError('ArgumentInvalid', 'A thumbprint must be 40 or 64 hexadecimal digits.');
  }
}

/** @throws {ServiceError} ArgumentInvalid when longer than 128 characters (§1.7). */
export function checkStatusReason(reason: string): void {
  if (reason.length > 128)
    throw new ServiceError('ArgumentInvalid', 'statusReason is longer than 128 characters.');
}

const sectionBytes = { tags: 8 * 1024, desired: 32 * 1024, reported: 32 * 1024 } as const;
const valueBytes = 4 * 1024;
const keyBytes = 1024;
/** Objects and arrays inside each other, the section itself not counted. */
const depthLimit = 10;
const lowestInteger = -4503599627370496;
const highestInteger = 4503599627370495;
// oxlint-disable-next-line no-control-regex
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/g;

/**
 * Checks a whole section of a twin against the limits of §5: size, depth, keys, numbers, no nulls.
 * @throws {ServiceError} ArgumentInvalid that says which rule.
 */
export function checkTwinSection(kind: keyof typeof sectionBytes, section: JsonObject): void {
  checkTwinDepth(section);
  const bytes = objectBytes(section);
  if (bytes > sectionBytes[kind]) {
    throw invalidTwin(`${kind} has ${bytes} bytes, the limit is ${sectionBytes[kind]}`);
  }
}

/** @throws {ServiceError} ArgumentInvalid when objects and arrays are nested deeper than a section may be (§5). */
export function checkTwinDepth(section: JsonObject): void {
  checkDepth(section, 0);
}

function checkDepth(value: Json, depth: number): void {
  if (value === null || typeof value !== 'object') return;
  if (depth > depthLimit) throw tooDeep();
  for (const inner of Object.values(value)) checkDepth(inner, depth + 1);
}

function objectBytes(object: JsonObject): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(object)) bytes += checkTwinKey(key) + twinValueBytes(value);
  return bytes;
}

function twinValueBytes(value: Json): number {
  if (value === null) throw invalidTwin('a value is null');
  if (typeof value === 'boolean') return 4;
  if (typeof value === 'number') return checkTwinNumber(value);
  if (typeof value === 'string') {
    const bytes = textBytes(value);
    if (bytes > valueBytes) throw invalidTwin(`a value has ${bytes} bytes, the limit is ${valueBytes}`);
    return bytes;
  }
  if (isObject(value)) return objectBytes(value);
  let bytes = 0;
  for (const item of value) bytes += twinValueBytes(item);
  return bytes;
}

function checkTwinNumber(value: number): 8 {
  // JSON text may hold numbers that no double can, such as 1e400.
  if (!Number.isFinite(value)) throw invalidTwin('a number is out of range');
  // A number written with an exponent is a floating-point number to the service, however large.
  const whole = Number.isInteger(value) && !String(value).includes('e');
  if (whole && (value < lowestInteger || value > highestInteger))
    throw invalidTwin('an integer is out of range');
  return 8;
}

function checkTwinKey(key: string): number {
  const bytes = textBytes(key);
  if (Buffer.byteLength(key) > keyBytes) throw invalidTwin('a key is longer than 1 KB');
  if (/[.$# ]/.test(key) || key.search(controlCharacters) !== -1)
    throw invalidTwin('a key has an illegal character');
  return bytes;
}

function textBytes(text: string): number {
  return Buffer.byteLength(text.replace(controlCharacters, ''));
}

function tooDeep(): ServiceError {
  return invalidTwin(`nested deeper than ${depthLimit}`);
}

function invalidTwin(what: string): ServiceError {
  return new ServiceError('ArgumentInvalid', `The twin is invalid: ${what}.`);
}
