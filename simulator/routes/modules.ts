import { identityAccess, unauthorized } from '../access/access.js';
import { ServiceError } from '../errors.js';
import { readIdentity, restRules } from '../records/identity.js';
import { freshTwin, identityEtag } from '../records/records.js';
import { moduleJson } from '../records/views.js';
import { createModule, deviceMissing, moduleMissing, replaceModule, type Write } from '../records/writes.js';
import type { Call, Reply, Route } from '../router.js';
import {
  checkIfMatch,
  checkSameId,
  id,
  ok,
  okWithEtag,
  readIfMatch,
  readObject,
  requireIfMatch,
} from './reply.js';

const rest: Write = { door: 'rest' };

const { read, write, remove } = identityAccess;

export const moduleRoutes: readonly Route[] = [
  { name: 'GET /devices/{id}/modules', access: read, operation: 'registry', handle: listModules },
  { name: 'GET /devices/{id}/modules/{mid}', access: read, operation: 'registry', handle: getModule },
  { name: 'PUT /devices/{id}/modules/{mid}', access: write, operation: 'registry', handle: putModule },
  { name: 'DELETE /devices/{id}/modules/{mid}', access: remove, operation: 'registry', handle: deleteModule },
];

function listModules(call: Call): Reply {
  const deviceId = id(call.params, 0);
  checkSasQuirk(call, deviceId);
  return ok([...call.hub.store.seeModulesOf(deviceId, 'get')].map(moduleJson));
}

function getModule(call: Call): Reply {
  const deviceId = id(call.params, 0);
  const moduleId = id(call.params, 1);
  checkSasQuirk(call, deviceId);
  const module = call.hub.store.seeModule(deviceId, moduleId, 'get');
  if (module === undefined) throw moduleMissing(moduleId);
  return okWithEtag(moduleJson(module), identityEtag(module.etag));
}

function putModule(call: Call): Reply {
  const { store } = call.hub;
  const deviceId = id(call.params, 0);
  const moduleId = id(call.params, 1);
  checkSasQuirk(call, deviceId);
  const body = readObject(call.body);
  checkSameId('device', body.deviceId, deviceId);
  checkSameId('module', body.moduleId, moduleId);
  const wanted = { ...readIdentity(body, deviceId, moduleId, restRules), moduleId };
  const ifMatch = readIfMatch(call);
  if (moduleId.startsWith('$')) {
    if (ifMatch !== undefined) throw reserved();
    throw new ServiceError('ArgumentInvalid', 'The module identifier is reserved.');
  }
  if (ifMatch === undefined) {
    const made = createModule(store, wanted, freshTwin, rest);
    return okWithEtag(moduleJson(made), identityEtag(made.etag));
  }
  const before = store.module(deviceId, moduleId);
  if (before === undefined) throw moduleMissing(moduleId);
  checkIfMatch(ifMatch, identityEtag(before.etag));
  const changed = replaceModule(store, before, wanted, rest);
  return okWithEtag(moduleJson(changed), identityEtag(changed.etag));
}

function deleteModule(call: Call): Reply {
  const { store } = call.hub;
  const deviceId = id(call.params, 0);
  const moduleId = id(call.params, 1);
  checkSasQuirk(call, deviceId);
  const ifMatch = requireIfMatch(call);
  if (moduleId.startsWith('$')) throw reserved();
  const before = store.module(deviceId, moduleId);
  if (before === undefined) throw moduleMissing(moduleId);
  checkIfMatch(ifMatch, identityEtag(before.etag));
  store.removeModule(deviceId, moduleId);
  return { status: 204 };
}

/** What changes of system modules are answered with (§3). */
function reserved(): ServiceError {
  return new ServiceError('SystemModuleModifyUnauthorizedAccess', 'Unauthorized to modify reserved module.');
}

/** Under SAS, module identity calls on a missing or disabled device answer 401 (§1.5, seen live). */
function checkSasQuirk({ hub, principal }: Call, deviceId: string): void {
  const device = hub.store.seeDevice(deviceId, 'get');
  if (device?.enabled === true) return;
  if (hub.settings.sasModuleQuirk && principal.kind === 'sas') throw unauthorized();
  if (device === undefined) throw deviceMissing(deviceId);
}
