import { type Right, unauthorized } from '../access/sas.js';
import { ServiceError } from '../errors.js';
import type { HubState } from '../hub-state.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import { readIdentity, restRules } from '../registry/identity.js';
import { freshTwin, identityEtag, isModule, type StoredRecord, twinEtag } from '../registry/records.js';
import { changeTwin, readSection } from '../registry/twins.js';
import { deviceJson, moduleJson, twinJson } from '../registry/views.js';
import {
  createDevice,
  createModule,
  deviceMissing,
  moduleMissing,
  replaceDevice,
  replaceModule,
  type Write,
} from '../registry/writes.js';
import { type Call, type Reply, type Route, Router } from '../router.js';

const rest: Write = { door: 'rest' };

const read = (): Right[] => ['RegistryRead'];
const write = (): Right[] => ['RegistryWrite'];
const service = (): Right[] => ['ServiceConnect'];

function policyOf(which: 'jobsPolicy' | 'configurationsPolicy'): (hub: HubState) => Right[] {
  return (hub) =>
    hub.settings[which] === 'owner'
      ? ['RegistryRead', 'RegistryWrite', 'ServiceConnect']
      : ['RegistryRead', 'RegistryWrite'];
}

/** The most devices that a list returns; other numbers are treated as this (§1.2). */
const longestList = 1000;

/** The part of §1.2 that this simulator serves. */
export const router = new Router([
  { name: 'POST /jobs/create', rights: policyOf('jobsPolicy'), handle: createJob },
  { name: 'GET /jobs', rights: policyOf('jobsPolicy'), handle: ({ hub }) => ok(hub.jobs.list()) },
  {
    name: 'GET /jobs/{id}',
    rights: policyOf('jobsPolicy'),
    handle: ({ hub, params }) => ok(hub.jobs.get(id(params, 0))),
  },
  { name: 'DELETE /jobs/{id}', rights: policyOf('jobsPolicy'), handle: cancelJob },
  { name: 'GET /devices', rights: read, handle: listDevices },
  { name: 'POST /devices/query', rights: service, handle: runQuery },
  { name: 'GET /devices/{id}', rights: read, handle: getDevice },
  { name: 'PUT /devices/{id}', rights: write, handle: putDevice },
  { name: 'DELETE /devices/{id}', rights: write, handle: deleteDevice },
  { name: 'GET /devices/{id}/modules', rights: read, handle: listModules },
  { name: 'GET /devices/{id}/modules/{mid}', rights: read, handle: getModule },
  { name: 'PUT /devices/{id}/modules/{mid}', rights: write, handle: putModule },
  { name: 'DELETE /devices/{id}/modules/{mid}', rights: write, handle: deleteModule },
  { name: 'GET /twins/{id}', rights: service, handle: getTwin },
  { name: 'PATCH /twins/{id}', rights: service, handle: (call) => writeTwin(call, 'merge') },
  { name: 'PUT /twins/{id}', rights: service, handle: (call) => writeTwin(call, 'replace') },
  { name: 'GET /twins/{id}/modules/{mid}', rights: service, handle: getTwin },
  { name: 'PATCH /twins/{id}/modules/{mid}', rights: service, handle: (call) => writeTwin(call, 'merge') },
  { name: 'PUT /twins/{id}/modules/{mid}', rights: service, handle: (call) => writeTwin(call, 'replace') },
  {
    name: 'GET /configurations',
    rights: policyOf('configurationsPolicy'),
    handle: ({ hub }) => ok(hub.configurations.list()),
  },
  {
    name: 'GET /configurations/{id}',
    rights: policyOf('configurationsPolicy'),
    handle: ({ hub, params }) => ok(hub.configurations.get(id(params, 0))),
  },
  { name: 'GET /statistics/devices', rights: read, handle: deviceStatistics },
  { name: 'GET /statistics/service', rights: read, handle: () => ok({ connectedDeviceCount: 0 }) },
] satisfies readonly Route[]);

// ----- jobs

async function createJob({ hub, body }: Call): Promise<Reply> {
  return ok(await hub.jobs.create(readObject(body)));
}

function cancelJob({ hub, params }: Call): Reply {
  hub.jobs.cancel(id(params, 0));
  return { status: 204 };
}

// ----- devices

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
  if (body.deviceId !== undefined && body.deviceId !== deviceId) {
    throw new ServiceError('ArgumentInvalid', 'The device id in the body differs from the one in the path.');
  }
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

function deviceStatistics({ hub }: Call): Reply {
  const { deviceCount, disabledCount } = hub.store;
  return ok({
    totalDeviceCount: deviceCount,
    enabledDeviceCount: deviceCount - disabledCount,
    disabledDeviceCount: disabledCount,
  });
}

// ----- modules

function listModules({ hub, params }: Call): Reply {
  const deviceId = id(params, 0);
  checkSasQuirk(hub, deviceId);
  return ok([...hub.store.seeModulesOf(deviceId, 'get')].map(moduleJson));
}

function getModule({ hub, params }: Call): Reply {
  const deviceId = id(params, 0);
  const moduleId = id(params, 1);
  checkSasQuirk(hub, deviceId);
  const module = hub.store.seeModule(deviceId, moduleId, 'get');
  if (module === undefined) throw moduleMissing(moduleId);
  return okWithEtag(moduleJson(module), identityEtag(module.etag));
}

function putModule(call: Call): Reply {
  const { store } = call.hub;
  const deviceId = id(call.params, 0);
  const moduleId = id(call.params, 1);
  checkSasQuirk(call.hub, deviceId);
  const body = readObject(call.body);
  if (body.moduleId !== undefined && body.moduleId !== moduleId) {
    throw new ServiceError('ArgumentInvalid', 'The module id in the body differs from the one in the path.');
  }
  const wanted = { ...readIdentity(body, deviceId, moduleId, restRules), moduleId };
  const ifMatch = readIfMatch(call);
  if (moduleId.startsWith('$'))
    throw new ServiceError('ArgumentInvalid', 'The module identifier is reserved.');
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
  checkSasQuirk(call.hub, deviceId);
  const ifMatch = requireIfMatch(call);
  if (moduleId.startsWith('$')) {
    throw new ServiceError('SystemModuleModifyUnauthorizedAccess', 'Unauthorized to modify reserved module.');
  }
  const before = store.module(deviceId, moduleId);
  if (before === undefined) throw moduleMissing(moduleId);
  checkIfMatch(ifMatch, identityEtag(before.etag));
  store.removeModule(deviceId, moduleId);
  return { status: 204 };
}

/** Under SAS, module identity calls on a missing or disabled device answer 401 (§1.5, seen live). */
function checkSasQuirk(hub: HubState, deviceId: string): void {
  const device = hub.store.seeDevice(deviceId, 'get');
  if (device?.enabled === true) return;
  if (hub.settings.sasModuleQuirk) throw unauthorized();
  if (device === undefined) throw deviceMissing(deviceId);
}

// ----- twins

function getTwin({ hub, params }: Call): Reply {
  const record = seeTwin(hub, params);
  return okWithEtag(twinJson(record), twinEtag(record.twin.version));
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
  if (isModule(record) && record.moduleId.startsWith('$')) {
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
  const changed = { ...record, twin: changeTwin(record.twin, change, how, call.hub.now()) };
  if (isModule(changed)) store.setModule(changed);
  else store.setDevice(changed);
  return okWithEtag(twinJson(changed), twinEtag(changed.twin.version));
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

// ----- query

function runQuery(call: Call): Reply {
  const text = readObject(call.body).query;
  if (typeof text !== 'string') throw new ServiceError('ArgumentInvalid', "BadRequest: 'query' is missing");
  const asked = call.header('x-ms-max-item-count');
  const size = asked === undefined ? undefined : Number(asked);
  if (size !== undefined && !(Number.isInteger(size) && size > 0)) {
    throw new ServiceError('ArgumentInvalid', 'BadRequest: x-ms-max-item-count');
  }
  // An empty token, which some clients send for the first page, counts as none.
  const page = call.hub.queries.page(text, size, call.header('x-ms-continuation') || undefined);
  const more = page.continuation === undefined ? {} : { 'x-ms-continuation': page.continuation };
  return { status: 200, json: page.rows, headers: { 'x-ms-item-type': page.itemType, ...more } };
}

// ----- shared by handlers

function ok(json: unknown): Reply {
  return { status: 200, json };
}

function okWithEtag(json: unknown, etag: string): Reply {
  return { status: 200, json, headers: { ETag: `"${etag}"` } };
}

function id(params: readonly string[], index: number): string {
  return params[index] ?? '';
}

function readObject(body: Buffer): JsonObject {
  let parsed: Json;
  try {
    parsed = JSON.parse(body.toString('utf8')) as Json;
  } catch {
    throw new ServiceError('IotHubFormatError', 'The body is not valid JSON.');
  }
  if (!isObject(parsed)) throw new ServiceError('IotHubFormatError', 'The body is not a JSON object.');
  return parsed;
}

/** The If-Match header without its quotes: all Microsoft clients send `"*"` quoted (§1.4). */
function readIfMatch(call: Call): string | undefined {
  const value = call.header('if-match')?.trim();
  return value === undefined ? undefined : value.replace(/^"(.*)"$/s, '$1');
}

function requireIfMatch(call: Call): string {
  const value = readIfMatch(call);
  if (value === undefined) throw new ServiceError('PreconditionFailed', 'Etag missing');
  return value;
}

function checkIfMatch(given: string, current: string): void {
  if (given === '*' || given === current) return;
  throw new ServiceError('PreconditionFailed', 'PreconditionFailed, ETag may be invalid.');
}
