import { ServiceError } from '../errors.js';
import { applyImportLine } from '../jobs/import-apply.js';
import { type ImportLine, readEntry } from '../jobs/import-line.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import type { ReadRules } from '../records/identity.js';
import { recordKey } from '../records/store.js';
import { checkTwinSection } from '../records/validation.js';
import type { Write } from '../records/writes.js';
import type { Call, Reply, Route } from '../router.js';
import type { HubSettings } from '../settings.js';

/** Entries that one request may have (§1.2). */
const mostEntries = 100;

/**
 * Entries are read like import lines, but need no status: Microsoft's Node client sends none (§1.8). What cannot be
 * read at all fails the request, as the service cannot name it in the result.
 */
const rules: ReadRules = { shapeError: 'IotHubFormatError', statusRequired: false };

const rest: Write = { door: 'rest' };

export const bulkRoutes: readonly Route[] = [
  {
    name: 'POST /devices',
    access: { rights: ['RegistryWrite'], actions: ['devices/write', 'devices/delete'] },
    operation: 'registry',
    weight: ({ body }) => countEntries(body),
    handle: writeMany,
  },
];

/** Every device counts (§5); a body that is no array, or too long a one, counts once, like any other bad request. */
function countEntries(body: Buffer): number {
  try {
    const entries = JSON.parse(body.toString('utf8')) as Json;
    return Array.isArray(entries) && entries.length <= mostEntries ? Math.max(1, entries.length) : 1;
  } catch {
    return 1;
  }
}

/** An entry, or why it was refused when it was read. */
interface Entry {
  readonly deviceId: string;
  readonly moduleId: string | undefined;
  readonly line: ImportLine | ServiceError;
}

/** Applies each entry on its own: one that fails does not undo the others (§7). */
function writeMany({ hub, body }: Call): Reply {
  const { store, settings } = hub;
  const entries = readEntries(body, settings);
  const errors: JsonObject[] = [];
  const warnings: JsonObject[] = [];
  for (const { deviceId, moduleId, line } of entries) {
    const whom = { deviceId, ...(moduleId === undefined ? {} : { moduleId }) };
    try {
      if (line instanceof ServiceError) throw line;
      const twinFault = settings.bulkBadTwin === 'warn' ? creationTwinFault(line) : undefined;
      const noTwin = { tags: undefined, desired: undefined };
      applyImportLine(store, twinFault === undefined ? line : { ...line, twin: noTwin }, rest);
      if (twinFault !== undefined) {
        warnings.push({
          ...whom,
          warningCode: 'DeviceRegisteredWithoutTwin',
          warningStatus: twinFault.message,
        });
      }
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const errorCode = settings.bulkErrorCode === 'number' ? error.code : error.errorName;
      errors.push({ ...whom, errorCode, errorStatus: error.message });
    }
  }
  const isSuccessful = errors.length === 0;
  const json = { isSuccessful, errors, warnings };
  if (isSuccessful) return { status: 200, json };
  return { status: 400, json, headers: { 'iothub-errorcode': 'BulkRegistryOperationFailure' } };
}

/** @throws {ServiceError} for a request of which nothing is applied. */
function readEntries(body: Buffer, settings: Readonly<HubSettings>): Entry[] {
  let bodies: Json;
  try {
    bodies = JSON.parse(body.toString('utf8')) as Json;
  } catch {
    throw new ServiceError('IotHubFormatError', 'The body is not valid JSON.');
  }
  if (!Array.isArray(bodies) || !bodies.every(isObject)) {
    throw new ServiceError('IotHubFormatError', 'The body is not an array of devices.');
  }
  if (bodies.length > mostEntries) {
    throw new ServiceError('TooManyDevices', `A request has at most ${mostEntries} devices.`);
  }
  const entries = bodies.map((one) => readOne(one, settings));
  const seen = new Set<string>();
  for (const { deviceId, moduleId } of entries) {
    const key = recordKey(deviceId, moduleId);
    if (seen.has(key)) {
      throw new ServiceError('DeviceDefinedMultipleTimes', `The ID '${key}' is defined more than once.`);
    }
    seen.add(key);
  }
  return entries;
}

function readOne(body: JsonObject, settings: Readonly<HubSettings>): Entry {
  try {
    const line = readEntry(body, rules, settings);
    const { deviceId, moduleId } = line.wanted;
    return { deviceId, moduleId, line: refusedMode(line, settings) ?? line };
  } catch (error) {
    if (!(error instanceof ServiceError) || error.errorName === rules.shapeError) throw error;
    const { id, moduleId } = body;
    return {
      deviceId: typeof id === 'string' ? id : '',
      moduleId: typeof moduleId === 'string' && moduleId !== '' ? moduleId : undefined,
      line: error,
    };
  }
}

function refusedMode({ mode }: ImportLine, { bulkCreateOrUpdate }: HubSettings): ServiceError | undefined {
  const creates = mode === 'createOrUpdate' || mode === 'createOrUpdateIfMatchETag';
  if (bulkCreateOrUpdate === 'accept' || !creates) return undefined;
  return new ServiceError('ArgumentInvalid', `The mode ${mode} cannot be used in a bulk request.`);
}

/** What is wrong with the twin of a device that is to be created. */
function creationTwinFault({ mode, twin }: ImportLine): ServiceError | undefined {
  if (mode !== 'create') return undefined;
  try {
    if (twin.tags !== undefined) checkTwinSection('tags', twin.tags);
    if (twin.desired !== undefined) checkTwinSection('desired', twin.desired);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}
