import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import type { DesiredSetting } from './content.js';

/**
 * Desired properties after settings, in their order. All of `properties.desired` replaces what was there; a path below
 * replaces what is at the path, null removes it.
 * @returns a new object; the old one stays as it is.
 */
export function withSettings(desired: JsonObject, settings: readonly DesiredSetting[]): JsonObject {
  let result = structuredClone(desired);
  for (const { path, value } of settings) {
    if (path.length === 0) result = isObject(value) ? structuredClone(value) : {};
    else setAt(result, path, value);
  }
  return result;
}

/**
 * The patch that settings make, ordered by rising priority: the later one of two settings for the same place wins as
 * a whole (§6), others are merged. Nulls stay, to remove what they name.
 */
export function patchOf(settings: readonly DesiredSetting[]): JsonObject {
  const patch: JsonObject = {};
  for (const { path, value } of settings) {
    if (path.length > 0) setIn(patch, path, structuredClone(value));
    else if (isObject(value))
      for (const [key, one] of Object.entries(value)) setKey(patch, key, structuredClone(one));
  }
  return patch;
}

/** The patch that takes away what settings have set: null for each single value. */
export function removalOf(settings: readonly DesiredSetting[]): JsonObject {
  const patch: JsonObject = {};
  for (const { path, value } of settings) {
    if (path.length > 0) setIn(patch, path, nulled(value));
    else if (isObject(value)) for (const [key, one] of Object.entries(value)) setKey(patch, key, nulled(one));
  }
  return patch;
}

function nulled(value: Json): Json {
  if (!isObject(value)) return null;
  const result: JsonObject = {};
  for (const [key, one] of Object.entries(value)) setKey(result, key, nulled(one));
  return result;
}

function setAt(target: JsonObject, path: readonly string[], value: Json): void {
  if (value !== null) {
    setIn(target, path, structuredClone(value));
    return;
  }
  const parent = path
    .slice(0, -1)
    .reduce<JsonObject | undefined>((object, name) => child(object, name), target);
  const last = path.at(-1);
  if (parent !== undefined && last !== undefined) delete parent[last];
}

/** Sets what is at a path; whatever on the way is no object becomes one. */
function setIn(target: JsonObject, path: readonly string[], value: Json): void {
  let object = target;
  for (const name of path.slice(0, -1)) {
    let next = child(object, name);
    if (next === undefined) {
      next = {};
      setKey(object, name, next);
    }
    object = next;
  }
  setKey(object, path.at(-1) ?? '', value);
}

function child(object: JsonObject | undefined, name: string): JsonObject | undefined {
  const value = object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
  return isObject(value) ? value : undefined;
}
