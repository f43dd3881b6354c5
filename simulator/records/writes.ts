import { ServiceError } from '../errors.js';
import { requireStandardTier } from '../tiers.js';
import type { WantedIdentity } from './identity.js';
import {
  type Authentication,
  type DeviceRecord,
  freshTwin,
  type ModuleRecord,
  systemModuleIds,
  type Twin,
} from './records.js';
import { type Door, placeDevice } from './scopes.js';
import type { RegistryStore } from './store.js';
import type { WriteGroup } from './visibility.js';

/** A write that both doors (REST and import jobs) make in the same way. */
export interface Write {
  readonly door: Door;
  /** The job's group; left out for REST. */
  readonly group?: WriteGroup;
}

/**
 * Creates a device, with its system modules when it is an edge.
 * @throws {ServiceError} DeviceAlreadyExists, IotHubQuotaExceeded, scope errors, OperationNotAvailableInCurrentTier.
 */
export function createDevice(
  store: RegistryStore,
  wanted: WantedIdentity,
  twin: Twin,
  write: Write,
): DeviceRecord {
  if (store.device(wanted.deviceId) !== undefined) throw deviceExists(wanted.deviceId);
  if (wanted.iotEdge) requireStandardTier(store.settings);
  const generationId = store.mintGenerationId();
  const record: DeviceRecord = {
    deviceId: wanted.deviceId,
    generationId,
    etag: store.mintEtag(),
    enabled: wanted.enabled,
    statusReason: wanted.statusReason,
    statusUpdatedAt: 0,
    auth: wanted.auth ?? mintKeys(store),
    iotEdge: wanted.iotEdge,
    ...placeDevice(store, write.door, wanted, undefined, generationId),
    queuedMessages: 0,
    twin,
  };
  store.setDevice(record, write.group);
  if (record.iotEdge) createSystemModules(store, record.deviceId, write.group);
  return record;
}

/**
 * Replaces the whole identity of a device: what the client left out is cleared, missing keys are minted anew (§1.4).
 * `twin` left out keeps the twin.
 * @throws {ServiceError} scope errors, OperationNotAvailableInCurrentTier.
 */
export function replaceDevice(
  store: RegistryStore,
  before: DeviceRecord,
  wanted: WantedIdentity,
  write: Write,
  twin: Twin = before.twin,
): DeviceRecord {
  if (wanted.iotEdge) requireStandardTier(store.settings);
  const record: DeviceRecord = {
    deviceId: before.deviceId,
    generationId: before.generationId,
    etag: store.mintEtag(),
    enabled: wanted.enabled,
    statusReason: wanted.statusReason,
    statusUpdatedAt: wanted.enabled === before.enabled ? before.statusUpdatedAt : store.clock.now(),
    auth: wanted.auth ?? mintKeys(store),
    iotEdge: wanted.iotEdge,
    ...placeDevice(store, write.door, wanted, before, before.generationId),
    queuedMessages: before.queuedMessages,
    twin,
  };
  store.setDevice(record, write.group);
  if (record.iotEdge && !before.iotEdge) createSystemModules(store, record.deviceId, write.group);
  if (!record.iotEdge && before.iotEdge) {
    for (const moduleId of systemModuleIds) store.removeModule(record.deviceId, moduleId, write.group);
  }
  return record;
}

/**
 * Creates a module on an existing device.
 * @throws {ServiceError} ModuleAlreadyExistsOnDevice, DeviceNotFound, quota errors, OperationNotAvailableInCurrentTier.
 */
export function createModule(
  store: RegistryStore,
  wanted: ModuleWanted,
  twin: Twin,
  write: Write,
): ModuleRecord {
  requireStandardTier(store.settings);
  if (store.device(wanted.deviceId) === undefined) throw deviceMissing(wanted.deviceId);
  if (store.module(wanted.deviceId, wanted.moduleId) !== undefined) {
    throw new ServiceError(
      'ModuleAlreadyExistsOnDevice',
      `A module with ID '${wanted.moduleId}' is already registered.`,
    );
  }
  const record: ModuleRecord = {
    deviceId: wanted.deviceId,
    moduleId: wanted.moduleId,
    generationId: store.mintGenerationId(),
    etag: store.mintEtag(),
    managedBy: wanted.managedBy,
    auth: wanted.auth ?? mintKeys(store),
    twin,
  };
  store.setModule(record, write.group);
  return record;
}

/** Replaces the whole identity of a module; `twin` left out keeps the twin. */
export function replaceModule(
  store: RegistryStore,
  before: ModuleRecord,
  wanted: WantedIdentity,
  write: Write,
  twin: Twin = before.twin,
): ModuleRecord {
  const keepsManager = write.door === 'import' && !store.settings.importClearsManagedBy;
  const record: ModuleRecord = {
    deviceId: before.deviceId,
    moduleId: before.moduleId,
    generationId: before.generationId,
    etag: store.mintEtag(),
    managedBy: keepsManager ? before.managedBy : wanted.managedBy,
    auth: wanted.auth ?? mintKeys(store),
    twin,
  };
  store.setModule(record, write.group);
  return record;
}

export type ModuleWanted = WantedIdentity & { readonly moduleId: string };

export function deviceMissing(deviceId: string): ServiceError {
  return new ServiceError('DeviceNotFound', `Device '${deviceId}' not found`);
}

export function deviceExists(deviceId: string): ServiceError {
  return new ServiceError('DeviceAlreadyExists', `A device with ID '${deviceId}' is already registered.`);
}

export function moduleMissing(moduleId: string): ServiceError {
  return new ServiceError('ModuleNotFound', `Module '${moduleId}' not found`);
}

/** The service makes $edgeAgent and $edgeHub with an edge identity: managedBy iotEdge, no authentication (§6). */
export function createSystemModules(store: RegistryStore, deviceId: string, group?: WriteGroup): void {
  for (const module of systemModules(store, deviceId)) store.setModule(module, group);
}

/** Those system modules of an edge device that are not there, minted. */
export function systemModules(store: RegistryStore, deviceId: string): ModuleRecord[] {
  return systemModuleIds
    .filter((moduleId) => store.module(deviceId, moduleId) === undefined)
    .map((moduleId) => ({
      deviceId,
      moduleId,
      generationId: store.mintGenerationId(),
      etag: store.mintEtag(),
      managedBy: 'iotEdge',
      auth: noAuthentication,
      twin: freshTwin,
    }));
}

const noAuthentication: Authentication = { type: 'none' };

function mintKeys(store: RegistryStore): Authentication {
  return { type: 'sas', primaryKey: store.mintKey(), secondaryKey: store.mintKey() };
}
