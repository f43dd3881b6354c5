import { maskSecrets } from '../registry/secrets.js';
import { propertyOf, textOf } from './unknown.js';

/** Deep enough for every object that is logged on purpose. */
const MAX_DEPTH = 6;

/**
 * A copy of a value that is safe to log: strings scrubbed, bigint as text, errors as type, message, code, stack and
 * cause. An error's `details` are left out: Temporal keeps payloads there.
 */
export function scrubValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return maskSecrets(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return scrubError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => scrubValue(item, depth + 1));
  return scrubFields(value, depth + 1);
}

/** `scrubValue` of every property. */
export function scrubFields(fields: object, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, item]) => [maskSecrets(name), scrubValue(item, depth)]),
  );
}

function scrubError(error: Error, depth: number): Record<string, unknown> {
  const code = propertyOf(error, 'code');
  const type = textOf(error, 'type');
  return {
    name: error.name,
    message: maskSecrets(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: scrubValue(code) } : {}),
    ...(type === undefined ? {} : { type: maskSecrets(type) }),
    ...(error.stack === undefined ? {} : { stack: maskSecrets(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: scrubValue(error.cause, depth + 1) }),
  };
}
