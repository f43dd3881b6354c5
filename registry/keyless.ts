import { printAuthentication, readAuthentication, withAuthentication } from './authentication.js';
import { type Authentication, isJsonObject, type JsonObject, type RegistryRecord } from './record.js';

/**
 * Whether a line at the beginning of an export is no record but the warning that keys were left out. Its wording is not
 * known, only that it is no JSON (facts §2.1).
 */
export function isExportWarning(line: string): boolean {
  return !line.startsWith('{');
}

/** How a record proves who it is, as a hub tells it elsewhere than in an export. Without keys. */
export interface Learnt {
  readonly authentication: Authentication;
  /** The identity's ETag: of an older one the answer may be out of date. Null where the hub does not tell it. */
  readonly eTag: string | null;
}

/** What a twin tells, of a device or of a module; null where it does not tell the type. Queries never show keys. */
export function learntOfTwin(twin: JsonObject): Learnt | null {
  const { authenticationType, x509Thumbprint, deviceEtag } = twin;
  const known = learnt({ type: authenticationType, x509Thumbprint: x509Thumbprint ?? null }, deviceEtag);
  // One that says nothing of thumbprints does not say that there are none.
  const half = known?.authentication.type === 'selfSigned' && !isJsonObject(x509Thumbprint);
  return half ? null : known;
}

/** What an identity tells, without its keys; null where it does not tell the type. */
export function learntOfIdentity(identity: JsonObject): Learnt | null {
  const { authentication, etag } = identity;
  return isJsonObject(authentication) ? learnt(authentication, etag) : null;
}

/** The type must be told: what else is there says little about it. */
function learnt(authentication: JsonObject, eTag: unknown): Learnt | null {
  const { type } = authentication;
  if (typeof type !== 'string' || type === '') return null;
  const known = readAuthentication(authentication);
  if (known === null) return null;
  return { authentication: keyless(known.read), eTag: typeof eTag === 'string' ? eTag : null };
}

/** Whether it is about the record as the export has it: not about an earlier device of its name, and not out of date. */
export function isAbout({ eTag }: Learnt, record: Pick<RegistryRecord, 'eTag'>): boolean {
  return eTag === null || record.eTag === null || unquoted(eTag) === unquoted(record.eTag);
}

const unquoted = (eTag: string): string => eTag.replaceAll('"', '');

/** A line of an export with what is known of its record's authentication, and without keys. */
export function withLearnt(line: string, { authentication }: Pick<Learnt, 'authentication'>): string {
  return withAuthentication(line, printAuthentication(keyless(authentication)));
}

/** A line of an export as it is, but for keys that should not be in it. */
export function withoutKeys(line: string, { authentication }: RegistryRecord): string {
  if (authentication === null) return line;
  const { primaryKey, secondaryKey } = authentication;
  return primaryKey === null && secondaryKey === null ? line : withLearnt(line, { authentication });
}

function keyless(authentication: Authentication): Authentication {
  return { ...authentication, primaryKey: null, secondaryKey: null };
}

/** Whether a record has symmetric keys that nobody knows. */
export function lacksKeys({ authentication }: Pick<RegistryRecord, 'authentication'>): boolean {
  return (
    authentication?.type === 'sas' &&
    authentication.primaryKey === null &&
    authentication.secondaryKey === null
  );
}
