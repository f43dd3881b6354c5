import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '../json.js';
import {
  type Authentication,
  type DeviceRecord,
  edgeScope,
  freshTwin,
  identityEtag,
  isModule,
  type ModuleRecord,
  type StoredRecord,
  type Twin,
  twinEtag,
} from './records.js';
import { noParents } from './scopes.js';
import type { RegistryStore } from './store.js';
import { systemModules } from './writes.js';

/**
 * One device or module to be put into a hub. What is left out is minted by the hub or has the service's default.
 * Parents come before their children, devices before their modules.
 */
export interface FleetRecord {
  deviceId: string;
  moduleId?: string;
  status?: 'enabled' | 'disabled';
  statusReason?: string;
  /** Left out: symmetric keys made by the hub. */
  authentication?: Authentication;
  iotEdge?: boolean;
  /** Device id of the parent edge; the hub fills in the scopes. */
  parent?: string;
  /** A scope taken as it is, stale or not; only for leaf devices without `parent`. */
  deviceScope?: string;
  /** Taken as they are; only for edge devices without `parent`. */
  parentScopes?: string[];
  managedBy?: string;
  tags?: JsonObject;
  desired?: JsonObject;
  reported?: JsonObject;
  generationId?: string;
  etag?: string;
  twinVersion?: number;
  desiredVersion?: number;
  /** Messages to the device that it has not fetched; left out: none. */
  queuedMessages?: number;
  /** Milliseconds since 1970; left out: never. */
  statusUpdatedAt?: number;
  /** Milliseconds since 1970; left out: never. */
  twinUpdatedAt?: number;
  /** `{id: {status: 'Targeted' | 'Applied'}}` of the configurations that target the twin; left out: none. */
  configurations?: JsonObject;
}

/**
 * Everything a hub knows about a record, keys included. Loading a dump restores it exactly: an edge device in a dump gets
 * no system modules by itself, because they are in the dump, too.
 */
export interface FullRecord extends FleetRecord {
  status: 'enabled' | 'disabled';
  authentication: Authentication;
  tags: JsonObject;
  desired: JsonObject;
  reported: JsonObject;
  generationId: string;
  etag: string;
  /** Follows from the version; that it is there marks a full record. */
  twinEtag: string;
  twinVersion: number;
  desiredVersion: number;
}

/** The whole of a stored record. */
export function toFullRecord(record: StoredRecord): FullRecord {
  const { twin } = record;
  const common = {
    deviceId: record.deviceId,
    authentication: record.auth,
    tags: JSON.parse(twin.tags) as JsonObject,
    desired: JSON.parse(twin.desired) as JsonObject,
    reported: JSON.parse(twin.reported) as JsonObject,
    generationId: record.generationId,
    etag: identityEtag(record.etag),
    twinEtag: twinEtag(twin.version),
    twinVersion: twin.version,
    desiredVersion: twin.desiredVersion,
    ...(twin.updatedAt === 0 ? {} : { twinUpdatedAt: twin.updatedAt }),
    ...(twin.configurations === '{}'
      ? {}
      : { configurations: JSON.parse(twin.configurations) as JsonObject }),
  };
  if (isModule(record)) {
    return {
      ...common,
      moduleId: record.moduleId,
      status: 'enabled',
      ...(record.managedBy === undefined ? {} : { managedBy: record.managedBy }),
    };
  }
  return {
    ...common,
    status: record.enabled ? 'enabled' : 'disabled',
    ...(record.statusReason === undefined ? {} : { statusReason: record.statusReason }),
    ...(record.statusUpdatedAt === 0 ? {} : { statusUpdatedAt: record.statusUpdatedAt }),
    ...(record.queuedMessages === 0 ? {} : { queuedMessages: record.queuedMessages }),
    iotEdge: record.iotEdge,
    ...(record.deviceScope === undefined ? {} : { deviceScope: record.deviceScope }),
    ...(record.parentScopes.length === 0 ? {} : { parentScopes: [...record.parentScopes] }),
  };
}

/**
 * Puts records into a hub's registry, replacing those with the same ids. No check of limits is made: tests want hubs
 * with oddities in them.
 * @throws {Error} when a parent or the device of a module is not there.
 */
export function loadRecords(store: RegistryStore, records: Iterable<FleetRecord>): number {
  let count = 0;
  for (const record of records) {
    if (record.moduleId === undefined) loadDevice(store, record);
    else loadModule(store, record, record.moduleId);
    count++;
  }
  return count;
}

function loadDevice(store: RegistryStore, record: FleetRecord): void {
  const generationId = record.generationId ?? store.mintGenerationId();
  const iotEdge = record.iotEdge === true;
  const parent = record.parent === undefined ? undefined : parentScope(store, record.deviceId, record.parent);
  const parents = parent === undefined ? (record.parentScopes ?? noParents) : [parent];
  const leafScope = parent ?? record.deviceScope;
  const device: DeviceRecord = {
    deviceId: record.deviceId,
    generationId,
    etag: readEtag(record.etag) ?? store.mintEtag(),
    enabled: record.status !== 'disabled',
    statusReason: record.statusReason,
    statusUpdatedAt: record.statusUpdatedAt ?? 0,
    queuedMessages: record.queuedMessages ?? 0,
    auth: record.authentication ?? mintKeys(store),
    iotEdge,
    deviceScope: iotEdge ? (record.deviceScope ?? edgeScope(record.deviceId, generationId)) : leafScope,
    parentScopes: iotEdge ? parents : leafScope === undefined ? noParents : [leafScope],
    twin: readTwin(record),
  };
  store.put(device);
  if (iotEdge && !isFull(record)) {
    for (const module of systemModules(store, device.deviceId)) store.put(module);
  }
}

function isFull(record: FleetRecord): record is FullRecord {
  return 'twinEtag' in record;
}

function loadModule(store: RegistryStore, record: FleetRecord, moduleId: string): void {
  if (store.device(record.deviceId) === undefined) {
    throw new Error(`module '${moduleId}' was loaded before its device '${record.deviceId}'`);
  }
  const module: ModuleRecord = {
    deviceId: record.deviceId,
    moduleId,
    generationId: record.generationId ?? store.mintGenerationId(),
    etag: readEtag(record.etag) ?? store.mintEtag(),
    managedBy: record.managedBy,
    auth: record.authentication ?? mintKeys(store),
    twin: readTwin(record),
  };
  store.put(module);
}

function parentScope(store: RegistryStore, child: string, parent: string): string {
  const edge = store.device(parent);
  if (edge?.iotEdge !== true || edge.deviceScope === undefined) {
    throw new Error(`device '${child}' was loaded before its parent edge '${parent}'`);
  }
  return edge.deviceScope;
}

function readTwin(record: FleetRecord): Twin {
  const twin: Twin = {
    tags: sectionText(record.tags),
    desired: sectionText(record.desired),
    reported: sectionText(record.reported),
    version: record.twinVersion ?? freshTwin.version,
    desiredVersion: record.desiredVersion ?? freshTwin.desiredVersion,
    updatedAt: record.twinUpdatedAt ?? 0,
    configurations: sectionText(record.configurations),
  };
  // One twin for all that nobody ever wrote: in a large fleet that is a third of the memory of twins.
  return isDeepStrictEqual(twin, freshTwin) ? freshTwin : twin;
}

/** JSON text; `{}` is always the same string. */
function sectionText(section: JsonObject | undefined): string {
  const text = section === undefined ? '{}' : JSON.stringify(section);
  return text === '{}' ? '{}' : text;
}

function readEtag(etag: string | undefined): number | undefined {
  const counter = etag === undefined ? Number.NaN : Number(Buffer.from(etag, 'base64').toString('latin1'));
  return Number.isSafeInteger(counter) ? counter : undefined;
}

function mintKeys(store: RegistryStore): Authentication {
  return { type: 'sas', primaryKey: store.mintKey(), secondaryKey: store.mintKey() };
}
