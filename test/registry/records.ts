import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { HubferryError } from '../../registry/errors.js';
import { parseLine } from '../../registry/line.js';
import type { RegistryRecord } from '../../registry/record.js';
import type { LineBytes } from '../../registry/scan-line.js';

export const KEY_A = 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=';
export const KEY_B = 'MDEyMzQ1Njc4OWFiY2RlZg==';
export const THUMBPRINT = '89AbCdEf0123456789aBcDeF0123456789abcdef';

export const SAS = authentication({ type: 'sas', keys: [KEY_A, KEY_B] });
export const SELF_SIGNED = authentication({ type: 'selfSigned', thumbprints: [THUMBPRINT, null] });
export const AUTHORITY = authentication({ type: 'certificateAuthority' });
export const NO_AUTHENTICATION = authentication({ type: 'none' });

export function authentication(of: {
  type: string;
  keys?: readonly [string | null, string | null];
  thumbprints?: readonly [string | null, string | null];
}): string {
  const [primaryKey, secondaryKey] = of.keys ?? [null, null];
  const [primaryThumbprint, secondaryThumbprint] = of.thumbprints ?? [null, null];
  return JSON.stringify({
    symmetricKey: { primaryKey, secondaryKey },
    x509Thumbprint: { primaryThumbprint, secondaryThumbprint },
    type: of.type,
  });
}

/** The members of an export line; texts named `…Text` are JSON that stands in the line as it is. */
export interface LineParts {
  readonly id: string;
  readonly moduleId?: string | undefined;
  readonly status?: 'enabled' | 'disabled' | undefined;
  readonly statusReason?: string | undefined;
  readonly authenticationText?: string | undefined;
  readonly tagsText?: string | undefined;
  readonly desiredText?: string | undefined;
  readonly iotEdge?: boolean | undefined;
  readonly deviceScope?: string | null | undefined;
  readonly parentScopes?: readonly string[] | undefined;
  readonly eTag?: string | undefined;
  readonly twinETag?: string | undefined;
}

/** A line as the service exports it: its order of members, a status on modules too (facts §2.1). */
export function exportLine(parts: LineParts): string {
  const members = [`"id":${JSON.stringify(parts.id)}`];
  if (parts.moduleId !== undefined) members.push(`"moduleId":${JSON.stringify(parts.moduleId)}`);
  members.push(`"eTag":"${parts.eTag ?? 'MTAx'}"`, `"status":"${parts.status ?? 'enabled'}"`);
  if (parts.statusReason !== undefined) members.push(`"statusReason":${JSON.stringify(parts.statusReason)}`);
  members.push(
    `"authentication":${parts.authenticationText ?? SAS}`,
    `"twinETag":"${parts.twinETag ?? 'AAAAAAAAAAE='}"`,
    `"tags":${parts.tagsText ?? '{}'}`,
    `"properties":{"desired":${parts.desiredText ?? '{}'},"reported":{}}`,
    `"capabilities":{"iotEdge":${parts.iotEdge ?? false}}`,
  );
  if (parts.deviceScope !== undefined) members.push(`"deviceScope":${JSON.stringify(parts.deviceScope)}`);
  if (parts.parentScopes !== undefined) members.push(`"parentScopes":${JSON.stringify(parts.parentScopes)}`);
  return `{${members.join(',')}}`;
}

export function record(parts: LineParts): RegistryRecord {
  return parseLine(exportLine(parts));
}

/** Runs `work` and gives the HubferryError that it throws. */
export function thrown(work: () => unknown): HubferryError {
  try {
    work();
  } catch (error) {
    if (error instanceof HubferryError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}

/** Strict equality of the values, in which `__proto__` is a member like any other. */
export function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
  expect(isDeepStrictEqual(actual, expected)).toBe(true);
}

/** A line as a blob holds it. */
export const lineBytes = (text: string): LineBytes => {
  const bytes = Buffer.from(`${text}\n`);
  return { bytes, from: 0, to: bytes.length - 1 };
};
