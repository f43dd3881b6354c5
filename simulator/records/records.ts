import type { JsonObject } from '../json.js';

/** How a device or module proves who it is. */
export type Authentication =
  | { readonly type: 'sas'; readonly primaryKey: string; readonly secondaryKey: string }
  | {
      readonly type: 'selfSigned';
      readonly primaryThumbprint: string | null;
      readonly secondaryThumbprint: string | null;
    }
  | { readonly type: 'certificateAuthority' }
  | { readonly type: 'none' };

/**
 * The back-end half of a twin. Sections are JSON text, parsed only when somebody looks into them: a million parsed
 * twins would not fit into memory.
 */
export interface Twin {
  readonly tags: string;
  readonly desired: string;
  readonly reported: string;
  /** Counts writes of tags and desired; the twin's etag is its 8-byte form (§1.4). */
  readonly version: number;
  /** `$version` of the desired properties. */
  readonly desiredVersion: number;
  /** Milliseconds since 1970 of the last write of desired properties; 0 = never. */
  readonly updatedAt: number;
  /** JSON text `{id: {status: 'Targeted' | 'Applied'}}` of the configurations that target the twin. */
  readonly configurations: string;
}

export const freshTwin: Twin = {
  tags: '{}',
  desired: '{}',
  reported: '{}',
  version: 1,
  desiredVersion: 1,
  updatedAt: 0,
  configurations: '{}',
};

/** A device as the hub keeps it. Never changed in place: a reader that holds one has a consistent copy. */
export interface DeviceRecord {
  readonly deviceId: string;
  readonly generationId: string;
  /** The number inside the identity's etag. */
  readonly etag: number;
  readonly enabled: boolean;
  readonly statusReason: string | undefined;
  /** Milliseconds since 1970; 0 = never. */
  readonly statusUpdatedAt: number;
  readonly auth: Authentication;
  readonly iotEdge: boolean;
  /** Edge: its own scope. Leaf: the scope of its parent. */
  readonly deviceScope: string | undefined;
  readonly parentScopes: readonly string[];
  /** Messages to the device that it has not fetched. Only loading a record makes some. */
  readonly queuedMessages: number;
  readonly twin: Twin;
}

/** A module as the hub keeps it. Modules have no status of their own (§1.3). Never changed in place. */
export interface ModuleRecord {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly generationId: string;
  readonly etag: number;
  readonly managedBy: string | undefined;
  readonly auth: Authentication;
  readonly twin: Twin;
}

export type StoredRecord = DeviceRecord | ModuleRecord;

export function isModule(record: StoredRecord): record is ModuleRecord {
  return 'moduleId' in record;
}

/** Modules that the hub makes by itself and nobody may write through the registry (§6). */
export const systemModuleIds = ['$edgeAgent', '$edgeHub'] as const;

/** Identity etag: base64 of a decimal counter, e.g. `ODAxMjMyNDI2` (§1.4). */
export function identityEtag(counter: number): string {
  return Buffer.from(String(counter), 'latin1').toString('base64');
}

/** The counter in an identity etag; undefined when it holds none. */
export function readIdentityEtag(etag: string): number | undefined {
  const text = Buffer.from(etag, 'base64').toString('latin1');
  const counter = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(counter) ? counter : undefined;
}

/** Twin etag: base64 of an 8-byte big-endian counter, e.g. `AAAAAAAAAAE=` (§1.4). */
export function twinEtag(version: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(version));
  return bytes.toString('base64');
}

/** The scope of an edge device; a device made edge later has an empty suffix (§6). */
export function edgeScope(deviceId: string, generationId: string): string {
  return `ms-azure-iot-edge://${deviceId}-${generationId}`;
}

/** `authentication` as REST and exports write it: always all four secrets, null where the type has none (§2.1). */
export function authenticationJson(auth: Authentication): JsonObject {
  return {
    symmetricKey: {
      primaryKey: auth.type === 'sas' ? auth.primaryKey : null,
      secondaryKey: auth.type === 'sas' ? auth.secondaryKey : null,
    },
    x509Thumbprint: {
      primaryThumbprint: auth.type === 'selfSigned' ? auth.primaryThumbprint : null,
      secondaryThumbprint: auth.type === 'selfSigned' ? auth.secondaryThumbprint : null,
    },
    type: auth.type,
  };
}
