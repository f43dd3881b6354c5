import { ServiceError } from '../errors.js';
import {
  type DeviceRecord,
  freshTwin,
  identityEtag,
  type ModuleRecord,
  type StoredRecord,
  type Twin,
  twinEtag,
} from '../records/records.js';
import type { RegistryStore } from '../records/store.js';
import { changeTwin, startTwin } from '../records/twins.js';
import { checkTwinSection } from '../records/validation.js';
import {
  createDevice,
  createModule,
  deviceMissing,
  type ModuleWanted,
  moduleMissing,
  replaceDevice,
  replaceModule,
  type Write,
} from '../records/writes.js';
import type { ImportLine } from './import-line.js';

/**
 * Does what one line of an import, or one entry of a bulk POST, asks for, by the table of modes in §3.
 * @throws {ServiceError} what the error log says about the line; nothing was changed then.
 */
export function applyImportLine(store: RegistryStore, line: ImportLine, write: Write): void {
  const { deviceId, moduleId } = line.wanted;
  if (moduleId === undefined) {
    applyTo(deviceTarget(store, line, write), store.device(deviceId), store, line);
    return;
  }
  if (write.door === 'import' && store.settings.importModules === 'refuse') {
    throw new ServiceError('DeserializationError', 'Modules cannot be imported.');
  }
  const system = moduleId.startsWith('$');
  if (system) {
    const rule = systemModuleRule(store, line, write);
    if (rule === 'ignore') return;
    if (rule === 'refuse') {
      throw new ServiceError(
        'SystemModuleModifyUnauthorizedAccess',
        'Unauthorized to modify reserved module.',
      );
    }
  }
  if (store.device(deviceId) === undefined) throw deviceMissing(deviceId);
  const wanted: ModuleWanted = system
    ? { ...line.wanted, moduleId, auth: { type: 'none' }, managedBy: 'iotEdge' }
    : // The format of a line has no managedBy (§2.1).
      { ...line.wanted, moduleId, managedBy: undefined };
  applyTo(moduleTarget(store, wanted, line, write), store.module(deviceId, moduleId), store, line);
}

/** Imports have a switch of their own; a bulk POST follows that of REST, which is about twins only. */
function systemModuleRule(
  { settings }: RegistryStore,
  { mode }: ImportLine,
  { door }: Write,
): 'refuse' | 'ignore' | 'apply' {
  if (door === 'import') return settings.importSystemModules;
  const twinOnly = mode === 'updateTwin' || mode === 'updateTwinIfMatchETag';
  return twinOnly && settings.systemModuleTwins === 'accept' ? 'apply' : 'refuse';
}

/** The four things that can be done to a record of one kind. */
interface Target<T extends StoredRecord> {
  missing(): ServiceError;
  create(twin: Twin): void;
  replace(before: T, twin: Twin): void;
  setTwin(before: T, twin: Twin): void;
  remove(): void;
}

function applyTo<T extends StoredRecord>(
  target: Target<T>,
  before: T | undefined,
  store: RegistryStore,
  line: ImportLine,
): void {
  switch (line.mode) {
    case 'create':
      // On an existing record create() itself throws the code of the record's kind.
      target.create(startedTwin(store, line));
      return;
    case 'createOrUpdate':
    case 'createOrUpdateIfMatchETag':
      if (before === undefined) {
        target.create(startedTwin(store, line));
        return;
      }
      if (line.mode === 'createOrUpdateIfMatchETag') checkEtag(line.etag, identityEtag(before.etag));
      // Create-family modes check a given twinETag whatever the mode says about eTag (§2.2).
      if (line.twinEtag !== undefined) checkEtag(line.twinEtag, twinEtag(before.twin.version));
      target.replace(before, changedTwin(store, before, line));
      return;
    case 'update':
    case 'updateIfMatchETag':
      if (before === undefined) throw target.missing();
      if (line.mode === 'updateIfMatchETag') checkEtag(line.etag, identityEtag(before.etag));
      target.replace(before, changedTwin(store, before, line));
      return;
    case 'delete':
    case 'deleteIfMatchETag':
      if (before === undefined) throw target.missing();
      if (line.mode === 'deleteIfMatchETag') checkEtag(line.etag, identityEtag(before.etag));
      target.remove();
      return;
    case 'updateTwin':
    case 'updateTwinIfMatchETag':
      if (before === undefined) throw target.missing();
      if (line.mode === 'updateTwinIfMatchETag') checkEtag(line.twinEtag, twinEtag(before.twin.version));
      target.setTwin(before, changedTwin(store, before, line));
      return;
  }
}

function startedTwin(store: RegistryStore, line: ImportLine): Twin {
  return withReported(startTwin(freshTwin, line.twin, store.clock.now()), line);
}

function changedTwin(store: RegistryStore, before: StoredRecord, line: ImportLine): Twin {
  const { tags, desired } = line.twin;
  if (tags === undefined && desired === undefined) return withReported(before.twin, line);
  return withReported(
    changeTwin(before.twin, line.twin, store.settings.importTwinPart, store.clock.now()),
    line,
  );
}

function withReported(twin: Twin, { reported }: ImportLine): Twin {
  if (reported === undefined) return twin;
  checkTwinSection('reported', reported);
  return { ...twin, reported: JSON.stringify(reported) };
}

function checkEtag(given: string | undefined, current: string): void {
  if (given === '*' || given === current) return;
  throw new ServiceError('PreconditionFailed', 'PreconditionFailed, ETag may be invalid.');
}

function deviceTarget(store: RegistryStore, line: ImportLine, write: Write): Target<DeviceRecord> {
  const { wanted } = line;
  return {
    missing: () => deviceMissing(wanted.deviceId),
    create: (twin) => void createDevice(store, wanted, twin, write),
    replace: (before, twin) => {
      const kept = keepsAuthentication(store, line, write) ? { ...wanted, auth: before.auth } : wanted;
      replaceDevice(store, before, kept, write, twin);
    },
    setTwin: (before, twin) => store.setDevice({ ...before, twin }, write.group),
    remove: () => store.removeDevice(wanted.deviceId, write.group),
  };
}

function moduleTarget(
  store: RegistryStore,
  wanted: ModuleWanted,
  line: ImportLine,
  write: Write,
): Target<ModuleRecord> {
  return {
    missing: () => moduleMissing(wanted.moduleId),
    create: (twin) => void createModule(store, wanted, twin, write),
    replace: (before, twin) => {
      const kept = keepsAuthentication(store, line, write) ? { ...wanted, auth: before.auth } : wanted;
      replaceModule(store, before, kept, write, twin);
    },
    setTwin: (before, twin) => store.setModule({ ...before, twin }, write.group),
    remove: () => store.removeModule(wanted.deviceId, wanted.moduleId, write.group),
  };
}

/** REST mints keys for whoever sends none (§1.4); imports may be told to keep them. */
function keepsAuthentication({ settings }: RegistryStore, line: ImportLine, { door }: Write): boolean {
  return door === 'import' && settings.importNoAuthentication === 'keep' && !line.saysAuthentication;
}
