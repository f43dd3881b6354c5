import { isToGenerate } from './new-keys.js';
import { QuickRecord } from './quick-line.js';
import { type Authentication, ID_CHARACTERS, MAX_ID, type RegistryRecord } from './record.js';
import { type Refusal, refusal } from './refusal.js';
import { hasSmallTwin, isPlainDevice, lengthOf, REASON, type Spans } from './scan-line.js';
import { twinRefusal } from './twin-limits.js';

export type { Refusal, RefusalCode } from './refusal.js';

const MAX_STATUS_REASON = 128;

/** Bytes of a symmetric key (facts §1.7). */
const MIN_KEY = 16;
const MAX_KEY = 64;

/**
 * Why the service would not take this record, or null where it would (facts §1.7, §5).
 *
 * Only hard limits count, and what is in doubt is accepted: a false refusal loses a record, while a line that the hub
 * rejects is reported all the same. Limits that depend on other records are in scopes.ts and reconcile.ts.
 */
export function refusalOf(record: RegistryRecord): Refusal | null {
  const quick = record instanceof QuickRecord ? record : null;
  return (
    (quick === null ? idsRefusal(record) : null) ??
    statusReasonRefusal(record) ??
    (quick?.hasUsualKeys === true ? null : authenticationRefusal(record)) ??
    (quick?.hasSmallTwin === true ? null : twinRefusalOf(record))
  );
}

/**
 * Whether what was found in an exported line is a plain device that the service takes: then nothing has to be asked of its
 * record, and its desired line is made of its pieces.
 */
export function isPlainAndTaken(spans: Spans): boolean {
  return isPlainDevice(spans) && hasSmallTwin(spans) && lengthOf(spans, REASON) <= MAX_STATUS_REASON + 2;
}

function idsRefusal({ deviceId, moduleId }: RegistryRecord): Refusal | null {
  return idRefusal(deviceId) ?? (moduleId === null ? null : idRefusal(moduleId));
}

function twinRefusalOf({ tags, desired, raw }: RegistryRecord): Refusal | null {
  return twinRefusal('tags', tags, raw.tags) ?? twinRefusal('desired', desired, raw.desired);
}

function idRefusal(id: string): Refusal | null {
  if (!ID_CHARACTERS.test(id)) return refusal('ID_CHARACTERS');
  return id.length > MAX_ID ? refusal('ID_TOO_LONG') : null;
}

function statusReasonRefusal({ moduleId, statusReason }: RegistryRecord): Refusal | null {
  if (moduleId !== null || statusReason.length <= MAX_STATUS_REASON) return null;
  // Nothing says whether "characters" are UTF-16 units or whole ones; whole ones accept more.
  return Array.from(statusReason).length > MAX_STATUS_REASON ? refusal('STATUS_REASON_TOO_LONG') : null;
}

function authenticationRefusal({ moduleId, authentication }: RegistryRecord): Refusal | null {
  // A hub would make it one with symmetric keys, which nobody would know (facts §2.1).
  if (authentication === null) return refusal('AUTHENTICATION_UNKNOWN');
  switch (authentication.type) {
    case 'none':
      return moduleId === null ? refusal('AUTHENTICATION_NONE') : null;
    case 'sas':
      return keysRefusal(authentication);
    case 'selfSigned':
      return thumbprintRefusal(authentication);
    default:
      return null;
  }
}

function keysRefusal(authentication: Authentication): Refusal | null {
  const { primaryKey, secondaryKey } = authentication;
  // Both absent: the hub makes new ones.
  if (primaryKey === null && secondaryKey === null) return null;
  if (isToGenerate(authentication)) return null;
  const valid = isKey(primaryKey) && isKey(secondaryKey);
  return valid ? null : refusal('KEYS_INVALID');
}

function isKey(key: string | null): boolean {
  const digits = key?.replaceAll(/\s/g, '').replace(/={0,2}$/, '') ?? '';
  if (!/^[A-Za-z\d+/]*$/.test(digits) || digits.length % 4 === 1) return false;
  const bytes = Math.floor((digits.length * 3) / 4);
  return bytes >= MIN_KEY && bytes <= MAX_KEY;
}

/** Facts §1.7: none at all is accepted. No source fixes the number of digits, so it is not checked. */
function thumbprintRefusal({ primaryThumbprint, secondaryThumbprint }: Authentication): Refusal | null {
  const valid = [primaryThumbprint, secondaryThumbprint].every((text) => /^[\dA-Fa-f]*$/.test(text ?? ''));
  return valid ? null : refusal('THUMBPRINT_INVALID');
}
