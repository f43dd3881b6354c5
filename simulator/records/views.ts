import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import type { HubSettings } from '../settings.js';
import { isBasicTier } from '../tiers.js';
import {
  type Authentication,
  authenticationJson,
  type DeviceRecord,
  identityEtag,
  isModule,
  type ModuleRecord,
  type StoredRecord,
  twinEtag,
} from './records.js';

/** The service's "never" in timestamps (§1.3). */
const never = '0001-01-01T00:00:00';

function time(at: number): string {
  return at === 0 ? never : new Date(at).toISOString();
}

/** A device as GET /devices/{id} shows it (§1.3). */
export function deviceJson(device: DeviceRecord): JsonObject {
  return {
    deviceId: device.deviceId,
    generationId: device.generationId,
    etag: identityEtag(device.etag),
    connectionState: 'Disconnected',
    status: device.enabled ? 'enabled' : 'disabled',
    statusReason: device.statusReason ?? null,
    connectionStateUpdatedTime: never,
    statusUpdatedTime: time(device.statusUpdatedAt),
    lastActivityTime: never,
    cloudToDeviceMessageCount: device.queuedMessages,
    authentication: authenticationJson(device.auth),
    capabilities: { iotEdge: device.iotEdge },
    ...scopesJson(device),
  };
}

/** A module as GET /devices/{id}/modules/{mid} shows it: no status, no capabilities (§1.3). */
export function moduleJson(module: ModuleRecord): JsonObject {
  return {
    moduleId: module.moduleId,
    managedBy: module.managedBy ?? null,
    deviceId: module.deviceId,
    generationId: module.generationId,
    etag: identityEtag(module.etag),
    connectionState: 'Disconnected',
    connectionStateUpdatedTime: never,
    lastActivityTime: never,
    cloudToDeviceMessageCount: 0,
    authentication: authenticationJson(module.auth),
  };
}

/** The settings that a twin's looks depend on. */
export type TwinSettings = Pick<HubSettings, 'tier' | 'twinThumbprintCase'>;

/**
 * A twin as /twins and queries show it: no keys, no generationId (§1.3); in tiers B1 to B3 neither tags nor
 * properties (§5).
 */
export function twinJson(record: StoredRecord, settings: TwinSettings): JsonObject {
  const { twin, auth } = record;
  const body: JsonObject = { deviceId: record.deviceId };
  if (isModule(record)) body.moduleId = record.moduleId;
  Object.assign(body, {
    etag: twinEtag(twin.version),
    deviceEtag: identityEtag(record.etag),
    status: isModule(record) || record.enabled ? 'enabled' : 'disabled',
    ...(isModule(record) || record.statusReason === undefined ? {} : { statusReason: record.statusReason }),
    statusUpdateTime: isModule(record) ? never : time(record.statusUpdatedAt),
    connectionState: 'Disconnected',
    lastActivityTime: never,
    cloudToDeviceMessageCount: isModule(record) ? 0 : record.queuedMessages,
    authenticationType: auth.type,
    x509Thumbprint: thumbprintsJson(auth, settings),
    modelId: '',
    version: twin.version,
  });
  if (!isBasicTier(settings)) {
    body.tags = JSON.parse(twin.tags) as Json;
    body.properties = {
      desired: withMetadata(twin.desired, twin.updatedAt, twin.desiredVersion),
      reported: withMetadata(twin.reported, 0, 1),
    };
  }
  if (twin.configurations !== '{}') body.configurations = JSON.parse(twin.configurations) as Json;
  if (!isModule(record))
    Object.assign(body, { capabilities: { iotEdge: record.iotEdge }, ...scopesJson(record) });
  return body;
}

/** Twins were seen to spell the names with a capital, identities never do (§1.3). */
function thumbprintsJson(auth: Authentication, { twinThumbprintCase }: TwinSettings): JsonObject {
  const primary = auth.type === 'selfSigned' ? auth.primaryThumbprint : null;
  const secondary = auth.type === 'selfSigned' ? auth.secondaryThumbprint : null;
  return twinThumbprintCase === 'pascal'
    ? { PrimaryThumbprint: primary, SecondaryThumbprint: secondary }
    : { primaryThumbprint: primary, secondaryThumbprint: secondary };
}

/** Scopes are omitted when there are none (§1.3). */
function scopesJson(device: DeviceRecord): JsonObject {
  return {
    ...(device.deviceScope === undefined ? {} : { deviceScope: device.deviceScope }),
    ...(device.parentScopes.length === 0 ? {} : { parentScopes: [...device.parentScopes] }),
  };
}

function withMetadata(text: string, updatedAt: number, version: number): JsonObject {
  const section = JSON.parse(text) as JsonObject;
  const $metadata = metadata(section, time(updatedAt));
  return { ...section, $metadata, $version: version };
}

function metadata(section: JsonObject, at: string): JsonObject {
  const result: JsonObject = { $lastUpdated: at };
  for (const [key, value] of Object.entries(section)) {
    setKey(result, key, isObject(value) ? metadata(value, at) : { $lastUpdated: at });
  }
  return result;
}
