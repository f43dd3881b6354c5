import { identityAccess } from '../access/access.js';
import type { JsonObject } from '../json.js';
import { readIdentity, restRules } from '../records/identity.js';
import { freshTwin, identityEtag } from '../records/records.js';
import { deviceJson } from '../records/views.js';
import { createDevice, deviceMissing, replaceDevice, type Write } from '../records/writes.js';
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

/** The most devices that a list returns; other numbers are treated as this (§1.2). */
const longestList = 1000;

const { read, write, remove } = identityAccess;

export const deviceRoutes: readonly Route[] = [
  { name: 'GET /devices', access: read, operation: 'registry', handle: listDevices },
  { name: 'GET /devices/{id}', access: read, operation: 'registry', handle: getDevice },
  { name: 'PUT /devices/{id}', access: write, operation: 'registry', handle: putDevice },
  { name: 'DELETE /devices/{id}', access: remove, operation: 'registry', handle: deleteDevice },
];

function listDevices({ hub, query }: Call): Reply {
  const asked = Number(query.get('top') ?? longestList);
  const top = Number.isInteger(asked) && asked >= 1 && asked <= longestList ? asked : longestList;
  const devices: JsonObject[] = [];
  for (const device of hub.store.seeDevices('get')) {
    if (devices.length === top) break;
    devices.push(deviceJson(device));
  }
  return ok(devices);
}

function getDevice({ hub, params }: Call): Reply {
  const deviceId = id(params, 0);
  const device = hub.store.seeDevice(deviceId, 'get');
  if (device === undefined) throw deviceMissing(deviceId);
  return okWithEtag(deviceJson(device), identityEtag(device.etag));
}

function putDevice(call: Call): Reply {
  const { store } = call.hub;
  const deviceId = id(call.params, 0);
  const body = readObject(call.body);
  checkSameId('device', body.deviceId, deviceId);
  const wanted = readIdentity(body, deviceId, undefined, restRules);
  const ifMatch = readIfMatch(call);
  const before = store.device(deviceId);
  // Without If-Match a PUT only creates, with it only updates (§1.4).
  if (ifMatch === undefined) {
    const made = createDevice(store, wanted, freshTwin, rest);
    return okWithEtag(deviceJson(made), identityEtag(made.etag));
  }
  if (before === undefined) throw deviceMissing(deviceId);
  checkIfMatch(ifMatch, identityEtag(before.etag));
  const changed = replaceDevice(store, before, wanted, rest);
  return okWithEtag(deviceJson(changed), identityEtag(changed.etag));
}

function deleteDevice(call: Call): Reply {
  const { store } = call.hub;
  const deviceId = id(call.params, 0);
  const ifMatch = requireIfMatch(call);
  const before = store.device(deviceId);
  if (before === undefined) throw deviceMissing(deviceId);
  checkIfMatch(ifMatch, identityEtag(before.etag));
  store.removeDevice(deviceId);
  return { status: 204 };
}
