import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import {
  importRules,
  type ReadRules,
  readIdentity,
  Shape,
  type WantedIdentity,
} from '../records/identity.js';
import { readSection, type TwinChange } from '../records/twins.js';
import type { HubSettings } from '../settings.js';
import { checkKnownFields } from './line-schema.js';

/** The nine import modes, each at its number (§3). */
export const importModes = [
  'createOrUpdate',
  'create',
  'update',
  'updateIfMatchETag',
  'createOrUpdateIfMatchETag',
  'delete',
  'deleteIfMatchETag',
  'updateTwin',
  'updateTwinIfMatchETag',
] as const;

export type ImportMode = (typeof importModes)[number];

/** A line of devices.txt, or an entry of a bulk POST, after all checks that need no registry. */
export interface ImportLine {
  readonly mode: ImportMode;
  readonly wanted: WantedIdentity;
  /** False: the line says nothing about authentication. */
  readonly saysAuthentication: boolean;
  readonly etag: string | undefined;
  readonly twinEtag: string | undefined;
  readonly twin: TwinChange;
  /** Undefined also when imports ignore it. */
  readonly reported: JsonObject | undefined;
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
 * Reads one line of devices.txt. A line that is not an object, lacks id or status, or has a wrong enum is answered
 * with 400012 and no device id unless switched on (§3.1); wrong values are answered with 400004 and the id.
 */
export function parseImportLine(text: string, settings: Readonly<HubSettings>): ParsedLine {
  let body: Json;
  try {
    body = JSON.parse(text) as Json;
  } catch (error) {
    return unreadable(text, undefined, error instanceof Error ? error.message : 'not JSON');
  }
  if (!isObject(body)) return unreadable(text, undefined, 'The line is not a JSON object.');
  try {
    if (settings.importUnknownFields === 'refuse') checkKnownFields(body);
    return { ok: true, line: readEntry(body, importRules, settings) };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const target = readTarget(body);
    if (error.errorName !== 'DeserializationError') return { ok: false, target, error };
    return unreadable(text, settings.errorLogBadLineId ? target : undefined, error.message);
  }
}

/**
 * Reads the object of a line or of an entry of a bulk POST. Modes are named in any case, by number only when switched
 * on (§3).
 * @throws {ServiceError} the rules' shape error for wrong types and enums; ArgumentInvalid for wrong values.
 */
export function readEntry(body: JsonObject, rules: ReadRules, settings: Readonly<HubSettings>): ImportLine {
  const shape = new Shape(body, rules.shapeError);
  const deviceId = shape.text('id');
  if (deviceId === undefined || deviceId === '')
    throw shape.error("Required property 'id' not found in JSON.");
  const moduleId = shape.text('moduleId') || undefined;
  const mode = readMode(body.importMode, settings);
  if (mode === undefined) {
    const named = typeof body.importMode === 'object' ? 'of an object' : JSON.stringify(body.importMode);
    throw shape.error(`Error converting value ${named} to type 'ImportMode'.`);
  }
  const properties = shape.object('properties');
  return {
    mode,
    wanted: readIdentity(body, deviceId, moduleId, rules),
    saysAuthentication: (body.authentication ?? null) !== null,
    // Microsoft's Node client sends the etag of a device as it got it, under the name that devices have.
    etag: shape.text('eTag') ?? shape.text('etag'),
    twinEtag: shape.text('twinETag'),
    twin: {
      tags: readSection('tags', body.tags),
      desired: readSection('desired', properties?.desired),
    },
    reported: settings.importReported === 'write' ? readSection('reported', properties?.reported) : undefined,
  };
}

function readMode(value: Json | undefined, settings: Readonly<HubSettings>): ImportMode | undefined {
  if (value === undefined || value === null) return 'createOrUpdate';
  if (typeof value === 'string') return modesByLowerCase.get(value.toLowerCase());
  return typeof value === 'number' && settings.importModeNumbers === 'accept'
    ? importModes[value]
    : undefined;
}

function readTarget({ id, moduleId }: JsonObject): LineTarget | undefined {
  if (typeof id !== 'string' || id === '') return undefined;
  return {
    deviceId: id,
    moduleId: typeof moduleId === 'string' && moduleId !== '' ? moduleId : undefined,
  };
}

function unreadable(text: string, target: LineTarget | undefined, why: string): ParsedLine {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return {
    ok: false,
    target,
    error: new ServiceError('DeserializationError', `Invalid device format in line: ${escaped}. ${why}`),
  };
}

/**
 * One line of importErrors.log, without its end: the code is a number, the echo of a line holds its keys (§3.1).
 * @param namesModule whether the entry of a module names it.
 */
export function errorLogLine(
  target: LineTarget | undefined,
  error: ServiceError,
  namesModule: boolean,
): string {
  return JSON.stringify({
    ...(target === undefined ? {} : { deviceId: target.deviceId }),
    ...(target?.moduleId === undefined || !namesModule ? {} : { moduleId: target.moduleId }),
    errorCode: error.code,
    errorStatus: error.message,
  });
}
