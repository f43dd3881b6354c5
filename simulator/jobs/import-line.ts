import { ServiceError } from '../errors.js';
import { isObject, type Json } from '../json.js';
import { importRules, readIdentity, Shape, type WantedIdentity } from '../records/identity.js';
import { readSection, type TwinChange } from '../records/twins.js';
import { checkTwinSection } from '../records/validation.js';

/** The nine import modes (§3). */
export const importModes = [
  'create',
  'createOrUpdate',
  'createOrUpdateIfMatchETag',
  'update',
  'updateIfMatchETag',
  'delete',
  'deleteIfMatchETag',
  'updateTwin',
  'updateTwinIfMatchETag',
] as const;

export type ImportMode = (typeof importModes)[number];

/** A line of devices.txt after all checks that need no registry. */
export interface ImportLine {
  readonly mode: ImportMode;
  readonly wanted: WantedIdentity;
  readonly etag: string | undefined;
  readonly twinEtag: string | undefined;
  readonly twin: TwinChange;
}

/** Whom a line is about, for the error log; known even when the rest of the line is wrong. */
export interface LineTarget {
  readonly deviceId: string;
  readonly moduleId: string | undefined;
}

export type ParsedLine =
  | { readonly ok: true; readonly line: ImportLine }
  | { readonly ok: false; readonly target: LineTarget | undefined; readonly error: ServiceError };

const modesByLowerCase = new Map<string, ImportMode>(importModes.map((mode) => [mode.toLowerCase(), mode]));

/**
 * Reads one line. A line that is not an object, lacks id or status, or has a wrong enum is answered with 400012 and
 * no device id (§3.1); wrong values are answered with 400004 and the id.
 */
export function parseImportLine(text: string): ParsedLine {
  let body: Json;
  try {
    body = JSON.parse(text) as Json;
  } catch (error) {
    return unreadable(text, error instanceof Error ? error.message : 'not JSON');
  }
  if (!isObject(body)) return unreadable(text, 'The line is not a JSON object.');
  let target: LineTarget | undefined;
  try {
    const shape = new Shape(body, 'DeserializationError');
    const deviceId = shape.text('id');
    if (deviceId === undefined || deviceId === '')
      throw shape.error("Required property 'id' not found in JSON.");
    const moduleId = shape.text('moduleId');
    target = { deviceId, moduleId: moduleId === '' ? undefined : moduleId };
    const named = shape.text('importMode');
    const mode = named === undefined ? 'createOrUpdate' : modesByLowerCase.get(named.toLowerCase());
    if (mode === undefined) throw shape.error(`Error converting value "${named}" to type 'ImportMode'.`);
    const properties = shape.object('properties');
    const wanted = readIdentity(body, deviceId, target.moduleId, importRules);
    const twin = {
      tags: readSection('tags', body.tags),
      desired: readSection('desired', properties?.desired),
    };
    if (twin.tags !== undefined) checkTwinSection('tags', twin.tags);
    if (twin.desired !== undefined) checkTwinSection('desired', twin.desired);
    const line = { mode, wanted, etag: shape.text('eTag'), twinEtag: shape.text('twinETag'), twin };
    return { ok: true, line };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (error.errorName === 'DeserializationError') return unreadable(text, error.message);
    return { ok: false, target, error };
  }
}

function unreadable(text: string, why: string): ParsedLine {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return {
    ok: false,
    target: undefined,
    error: new ServiceError('DeserializationError', `Invalid device format in line: ${escaped}. ${why}`),
  };
}

/** One line of importErrors.log, without its end: the code is a number, the echo of a line holds its keys (§3.1). */
export function errorLogLine(target: LineTarget | undefined, error: ServiceError): string {
  return JSON.stringify({
    ...(target === undefined ? {} : { deviceId: target.deviceId }),
    ...(target?.moduleId === undefined ? {} : { moduleId: target.moduleId }),
    errorCode: error.code,
    errorStatus: error.message,
  });
}
