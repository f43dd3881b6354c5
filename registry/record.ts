/** A JSON object as it stands in a twin. */
export type JsonObject = { readonly [key: string]: unknown };

/** Whether a parsed JSON value is an object: neither a list nor null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What ids of devices and modules are made of, and how long they are at most (facts §1.7). */
export const ID_CHARACTERS = /^[A-Za-z\d\-:.+%_#*?!(),=@;$']*$/;
export const MAX_ID = 128;

/** Names one record: `deviceId`, or `deviceId/moduleId`. Neither id may contain a slash, so it is unambiguous. */
export type RecordKey = string & { readonly __brand: 'RecordKey' };

export type AuthenticationType = 'sas' | 'selfSigned' | 'certificateAuthority' | 'none';

/** How a device or module proves who it is. Absent, null and empty values are all `null` here. */
export interface Authentication {
  readonly type: AuthenticationType;
  readonly primaryKey: string | null;
  readonly secondaryKey: string | null;
  readonly primaryThumbprint: string | null;
  readonly secondaryThumbprint: string | null;
}

/**
 * One device or one module of a registry, as an export line states it.
 *
 * `raw` holds the exact source text of the parts that are carried byte for byte, so that numbers, escapes and member
 * order survive where nothing changes; the parsed values serve comparison only.
 */
export interface RegistryRecord {
  readonly deviceId: string;
  readonly moduleId: string | null;
  readonly status: 'enabled' | 'disabled';
  /** Empty when there is none: null, absent and "" are the same reason. */
  readonly statusReason: string;
  /** Null in an export without keys, which loses type and thumbprints too. */
  readonly authentication: Authentication | null;
  readonly iotEdge: boolean;
  /** An edge device's own scope, or the scope of a leaf's parent. */
  readonly deviceScope: string | null;
  readonly parentScopes: readonly string[];
  readonly eTag: string | null;
  readonly twinETag: string | null;
  readonly tags: JsonObject;
  readonly desired: JsonObject;
  readonly raw: {
    readonly authentication: string | null;
    readonly capabilities: string | null;
    readonly tags: string | null;
    readonly desired: string | null;
  };
}

export type RecordKind = 'device' | 'edge' | 'module';

/** Whether a record is a device, an edge device or a module. */
export function kindOf({ moduleId, iotEdge }: Pick<RegistryRecord, 'moduleId' | 'iotEdge'>): RecordKind {
  if (moduleId !== null) return 'module';
  return iotEdge ? 'edge' : 'device';
}

/** The key of a record: `deviceId` or `deviceId/moduleId`. */
export function recordKey(deviceId: string, moduleId: string | null): RecordKey {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place that makes the brand
  return (moduleId === null ? deviceId : `${deviceId}/${moduleId}`) as RecordKey;
}

/**
 * Whether the service itself (or a deployment) owns this module: `$edgeAgent`, `$edgeHub`, and modules of edge devices
 * without authentication of their own. An import job cannot carry them (service facts: "System modules").
 */
export function isSystemModule(record: Pick<RegistryRecord, 'moduleId' | 'authentication'>): boolean {
  return (
    record.moduleId !== null && (record.moduleId.startsWith('$') || record.authentication?.type === 'none')
  );
}

/** An id for messages: in quotes, control characters escaped, and cut where it is longer than any valid id. */
export function quoted(id: string): string {
  return JSON.stringify(id.length > MAX_ID ? `${id.slice(0, MAX_ID)}…` : id);
}
