import { lacksKeys } from './keyless.js';
import { isToGenerate } from './new-keys.js';
import { type Authentication, isJsonObject, type RegistryRecord } from './record.js';
import { type EdgeTable, parentOf } from './scopes.js';

/** What is compared, and named in reports. A key is only ever said to differ. */
export type Field =
  | 'status'
  | 'statusReason'
  | 'authentication.type'
  | 'authentication.primaryKey'
  | 'authentication.secondaryKey'
  | 'authentication.primaryThumbprint'
  | 'authentication.secondaryThumbprint'
  | 'tags'
  | 'desired'
  | 'iotEdge'
  | 'parent';

/** Whether a field stands in the twin, which has an ETag and writes of its own. */
export const isTwinField = (field: Field): boolean => field === 'tags' || field === 'desired';

const THUMBPRINTS = ['primaryThumbprint', 'secondaryThumbprint'] as const;
/** What an authentication is made of beside its type. */
export const CREDENTIALS = ['primaryKey', 'secondaryKey', ...THUMBPRINTS] as const;

/**
 * The fields in which a record of the target differs from the desired one, in a fixed order (design §6).
 *
 * All four credentials are compared, whatever the type: the service writes null for those that do not belong to it,
 * and echoes the others byte for byte, thumbprints in their casing (facts §1.7, §2.1). A module has no status,
 * capabilities or parent (facts §1.3).
 *
 * @param desiredParent device id of the parent edge device.
 * @param actualEdges the target's edge devices: a parent counts only by its current scope there.
 * @param keyless whether what is desired is known without keys: what is not known does not differ.
 */
export function differingFields(
  desired: RegistryRecord,
  desiredParent: string | null,
  actual: RegistryRecord,
  actualEdges: EdgeTable,
  keyless = false,
): Field[] {
  const fields: Field[] = [];
  const isDevice = desired.moduleId === null;
  if (isDevice && desired.status !== actual.status) fields.push('status');
  if (isDevice && desired.statusReason !== actual.statusReason) fields.push('statusReason');
  fields.push(...differingCredentials(desired.authentication, actual.authentication, keyless));
  for (const part of ['tags', 'desired'] as const) if (!partEqual(part, desired, actual)) fields.push(part);
  if (isDevice && desired.iotEdge !== actual.iotEdge) fields.push('iotEdge');
  if (isDevice && parentOf(actual, actualEdges).parent !== desiredParent) fields.push('parent');
  return fields;
}

/** Whether two JSON values are the same: numbers by value, members in any order. Takes any depth. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  const pairs: [unknown, unknown][] = [[a, b]];
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [left, right] = pair;
    if (left === right) continue;
    if (Array.isArray(left) && Array.isArray(right)) {
      if (left.length !== right.length) return false;
      for (const [index, item] of left.entries()) pairs.push([item, right[index]]);
      continue;
    }
    if (!isJsonObject(left) || !isJsonObject(right)) return false;
    const names = Object.keys(left);
    if (names.length !== Object.keys(right).length) return false;
    for (const name of names) {
      // `__proto__` may be a member like any other, and must not be found where it is not one.
      if (!Object.hasOwn(right, name)) return false;
      pairs.push([left[name], right[name]]);
    }
  }
  return true;
}

function differingCredentials(
  desired: Authentication | null,
  actual: Authentication | null,
  keyless: boolean,
): Field[] {
  if (desired === null && (keyless || actual === null)) return [];
  if (desired === null || actual === null) return ['authentication.type'];
  const fields: Field[] = desired.type === actual.type ? [] : ['authentication.type'];
  // Keys that nobody knows, or that are made on create only: whatever keys are there are as good.
  const free = isToGenerate(desired) || (keyless && lacksKeys({ authentication: desired }));
  for (const name of free && actual.type === 'sas' ? THUMBPRINTS : CREDENTIALS) {
    if (desired[name] !== actual[name]) fields.push(`authentication.${name}`);
  }
  return fields;
}

/** A part that is written in the same way is not looked into. */
function partEqual(part: 'tags' | 'desired', a: RegistryRecord, b: RegistryRecord): boolean {
  return (a.raw[part] !== null && a.raw[part] === b.raw[part]) || jsonEqual(a[part], b[part]);
}
