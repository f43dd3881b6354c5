import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import type { Twin } from './records.js';
import { checkTwinDepth, checkTwinSection } from './validation.js';

/** A change of the writable sections; a section that is undefined stays as it is. */
export interface TwinChange {
  readonly tags: JsonObject | undefined;
  readonly desired: JsonObject | undefined;
}

/**
 * Applies a change to a twin. `merge`: nulls delete keys, objects merge, anything else replaces (PATCH); `replace`:
 * a section that is present becomes the new section (PUT). Without any section nothing is written and the etag stays
 * (§1.4).
 * @throws {ServiceError} ArgumentInvalid when the result breaks a limit of §5.
 */
export function changeTwin(twin: Twin, change: TwinChange, how: 'merge' | 'replace', now: number): Twin {
  if (change.tags === undefined && change.desired === undefined) return twin;
  const tags = changeSection('tags', twin.tags, change.tags, how);
  const desired = changeSection('desired', twin.desired, change.desired, how);
  return {
    tags,
    desired,
    reported: twin.reported,
    version: twin.version + 1,
    desiredVersion: change.desired === undefined ? twin.desiredVersion : twin.desiredVersion + 1,
    updatedAt: change.desired === undefined ? twin.updatedAt : now,
    configurations: twin.configurations,
  };
}

/** A twin that starts with the given sections: its version is that of a new twin. */
export function startTwin(fresh: Twin, change: TwinChange, now: number): Twin {
  if (change.tags === undefined && change.desired === undefined) return fresh;
  const started = changeTwin(fresh, change, 'replace', now);
  return { ...started, version: fresh.version, desiredVersion: fresh.desiredVersion };
}

/** Drops what the service itself writes into desired properties; older exports and twin reads carry it (§2.1). */
export function withoutServiceFields(section: JsonObject): JsonObject {
  if (!Object.hasOwn(section, '$metadata') && !Object.hasOwn(section, '$version')) return section;
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(section)) {
    if (key !== '$metadata' && key !== '$version') setKey(kept, key, value);
  }
  return kept;
}

/** Reads a section that must be an object. @throws {ServiceError} ArgumentInvalid */
export function readSection(name: string, value: Json | undefined): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new ServiceError('ArgumentInvalid', `${name} must be a JSON object.`);
  return withoutServiceFields(value);
}

function changeSection(
  kind: 'tags' | 'desired',
  text: string,
  change: JsonObject | undefined,
  how: 'merge' | 'replace',
): string {
  if (change === undefined) return text;
  // Before the merge, which goes as deep as the change does.
  checkTwinDepth(change);
  const section = how === 'replace' ? change : merge(JSON.parse(text) as JsonObject, change);
  checkTwinSection(kind, section);
  const written = JSON.stringify(section);
  return written === '{}' ? '{}' : written;
}

function merge(target: JsonObject, patch: JsonObject): JsonObject {
  const merged: JsonObject = {};
  for (const [key, value] of Object.entries(target)) setKey(merged, key, value);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete merged[key];
    } else if (isObject(value)) {
      const old = Object.hasOwn(merged, key) ? merged[key] : undefined;
      setKey(merged, key, merge(isObject(old) ? old : {}, value));
    } else {
      setKey(merged, key, value);
    }
  }
  return merged;
}
