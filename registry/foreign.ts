import { differingFields, type Field, jsonEqual } from './compare.js';
import { isJsonObject, type JsonObject, type RegistryRecord } from './record.js';
import { type EdgeTable, parentOf } from './scopes.js';

/** One record at one time, with the edge devices by which its parent is known. */
export interface Seen {
  readonly record: RegistryRecord;
  readonly edges: EdgeTable;
}

/**
 * The fields of a record that somebody else wrote since the plan: they are neither as the plan found them, nor as it
 * wants them, nor what our own write may have left half done.
 *
 * @param differing the fields in which the record differs from the desired one now.
 */
export function foreignFields(
  before: Seen,
  desired: RegistryRecord,
  now: Seen,
  differing: readonly Field[],
): Field[] {
  const parentBefore = parentOf(before.record, before.edges).parent;
  const since = new Set(differingFields(before.record, parentBefore, now.record, now.edges));
  return differing.filter((field) => since.has(field) && !isOurs(field, before.record, desired, now));
}

function isOurs(field: Field, before: RegistryRecord, desired: RegistryRecord, now: Seen): boolean {
  switch (field) {
    case 'parent':
      // A device that stops being an edge device loses its parent in that write (facts §6).
      return parentOf(now.record, now.edges).parent === null;
    case 'tags':
      return jsonEqual(now.record.tags, merged(before.tags, desired.tags));
    case 'desired':
      return jsonEqual(now.record.desired, merged(before.desired, desired.desired));
    default:
      return false;
  }
}

/** Whether the target's twin is what an import leaves that merges where it should replace (unknown, facts §3). */
export function isMerged(before: RegistryRecord, desired: RegistryRecord, now: RegistryRecord): boolean {
  return (
    jsonEqual(now.tags, merged(before.tags, desired.tags)) &&
    jsonEqual(now.desired, merged(before.desired, desired.desired))
  );
}

/** What stands in a twin's section after `patch` is merged into it: objects are merged, anything else replaces. */
export function merged(section: JsonObject, patch: JsonObject): JsonObject {
  const result = new Map(Object.entries(section));
  for (const [name, value] of Object.entries(patch)) {
    const old = result.get(name);
    result.set(name, isJsonObject(value) ? merged(isJsonObject(old) ? old : {}, value) : value);
  }
  // fromEntries defines members, so that one named `__proto__` stays a member.
  return Object.fromEntries(result);
}
