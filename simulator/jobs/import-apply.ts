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
import type { WriteGroup } from '../records/visibility.js';
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
 * Does what one line of an import asks for, by the table of modes in §3.
 * @throws {ServiceError} what the error log says about the line; nothing was changed then.
 */
export function applyImportLine(store: RegistryStore, line: ImportLine, group: WriteGroup): void {
  const write: Write = { door: 'import', group };
  const { deviceId, moduleId } = line.wanted;
  if (moduleId === undefined) {
    applyTo(deviceTarget(store, line, write), store.device(deviceId), store, line);
    return;
  }
  if (store.settings.importModules === 'refuse') {
    throw new ServiceError('DeserializationError', 'Modules cannot be imported.');
  }
  if (moduleId.startsWith('$')) {
    throw new ServiceError('SystemModuleModifyUnauthorizedAccess', 'Unauthorized to modify reserved module.');
  }
  if (store.device(deviceId) === undefined) throw deviceMissing(deviceId);
  const target = moduleTarget(store, { ...line.wanted, moduleId }, write);
  applyTo(target, store.module(deviceId, moduleId), store, line);
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
      target.create(startTwin(freshTwin, line.twin, store.clock.now()));
      return;
    case 'createOrUpdate':
    case 'createOrUpdateIfMatchETag':
      if (before === undefined) {
        target.create(startTwin(freshTwin, line.twin, store.clock.now()));
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

function changedTwin(store: RegistryStore, before: StoredRecord, line: ImportLine): Twin {
  if (line.twin.tags === undefined && line.twin.desired === undefined) return before.twin;
  return changeTwin(before.twin, line.twin, store.settings.importTwinPart, store.clock.now());
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
    replace: (before, twin) => void replaceDevice(store, before, wanted, write, twin),
    setTwin: (before, twin) => store.setDevice({ ...before, twin }, write.group),
    remove: () => store.removeDevice(wanted.deviceId, write.group),
  };
}

function moduleTarget(store: RegistryStore, wanted: ModuleWanted, write: Write): Target<ModuleRecord> {
  return {
    missing: () => moduleMissing(wanted.moduleId),
    create: (twin) => void createModule(store, wanted, twin, write),
    replace: (before, twin) => void replaceModule(store, before, wanted, write, twin),
    setTwin: (before, twin) => store.setModule({ ...before, twin }, write.group),
    remove: () => store.removeModule(wanted.deviceId, wanted.moduleId, write.group),
  };
}
