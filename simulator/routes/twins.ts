import { ServiceError } from '../errors.js';
import type { HubState } from '../hub-state.js';
import { isObject } from '../json.js';
import { isModule, type StoredRecord, twinEtag } from '../records/records.js';
import { changeTwin, readSection } from '../records/twins.js';
import { twinJson } from '../records/views.js';
import { deviceMissing } from '../records/writes.js';
import type { Call, Reply, Route } from '../router.js';
import { requireStandardTier } from '../tiers.js';
import { checkIfMatch, id, okWithEtag, readIfMatch, readObject } from './reply.js';

const read = { rights: ['ServiceConnect'], actions: ['twins/read'] } as const;
const write = { rights: ['ServiceConnect'], actions: ['twins/write'] } as const;

const paths = ['/twins/{id}', '/twins/{id}/modules/{mid}'] as const;

export const twinReadRoutes: readonly Route[] = paths.map(
  (path): Route => ({ name: `GET ${path}`, access: read, operation: 'twinReads', handle: getTwin }),
);

export const twinWriteRoutes: readonly Route[] = paths.flatMap((path): Route[] => [
  {
    name: `PATCH ${path}`,
    access: write,
    operation: 'twinUpdates',
    handle: (call) => writeTwin(call, 'merge'),
  },
  {
    name: `PUT ${path}`,
    access: write,
    operation: 'twinUpdates',
    handle: (call) => writeTwin(call, 'replace'),
  },
]);

function getTwin({ hub, params }: Call): Reply {
  const record = seeTwin(hub, params);
  // There are no modules in these tiers, but devices have a twin of sorts (§5).
  if (isModule(record)) requireStandardTier(hub.settings);
  return okWithEtag(twinJson(record, hub.settings), twinEtag(record.twin.version));
}

function writeTwin(call: Call, how: 'merge' | 'replace'): Reply {
  const { store } = call.hub;
  const seen = seeTwin(call.hub, call.params);
  // What is seen may lag; what is written must start from what is there.
  const record =
    (isModule(seen) ? store.module(seen.deviceId, seen.moduleId) : store.device(seen.deviceId)) ?? seen;
  const body = readObject(call.body);
  const ifMatch = readIfMatch(call);
  if (ifMatch !== undefined) checkIfMatch(ifMatch, twinEtag(record.twin.version));
  const reserved = isModule(record) && record.moduleId.startsWith('$');
  if (reserved && call.hub.settings.systemModuleTwins === 'refuse') {
    throw new ServiceError('SystemModuleModifyUnauthorizedAccess', 'Unauthorized to modify reserved module.');
  }
  const properties = body.properties;
  if (properties !== undefined && properties !== null && !isObject(properties)) {
    throw new ServiceError('ArgumentInvalid', 'properties must be a JSON object.');
  }
  const change = {
    tags: readSection('tags', body.tags),
    desired: readSection('desired', properties?.desired),
  };
  const changed = { ...record, twin: changeTwin(record.twin, change, how, call.hub.clock.now()) };
  if (isModule(changed)) store.setModule(changed);
  else store.setDevice(changed);
  return okWithEtag(twinJson(changed, call.hub.settings), twinEtag(changed.twin.version));
}

/** The twin of a missing module answers DeviceNotFound, not ModuleNotFound (§7, seen live). */
function seeTwin(hub: HubState, params: readonly string[]): StoredRecord {
  const deviceId = id(params, 0);
  const moduleId = params[1];
  const record =
    moduleId === undefined
      ? hub.store.seeDevice(deviceId, 'get')
      : hub.store.seeModule(deviceId, moduleId, 'get');
  if (record === undefined) throw deviceMissing(deviceId);
  return record;
}
