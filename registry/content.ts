import { CREDENTIALS } from './compare.js';
import type { Configuration } from './configurations.js';
import { isJsonObject, type RegistryRecord } from './record.js';

/**
 * What a record holds, as one text: the same for two records that no comparison tells apart, however a hub prints them.
 * It holds keys: to be digested, never to be shown.
 *
 * @param parent device id of its parent edge device.
 */
export function contentOf(record: RegistryRecord, parent: string | null): string {
  const { authentication, tags, desired } = record;
  const who = authentication && [authentication.type, ...CREDENTIALS.map((name) => authentication[name])];
  const twin = [sorted(tags), sorted(desired)];
  if (record.moduleId !== null) return JSON.stringify([who, ...twin]);
  return JSON.stringify([who, ...twin, record.status, record.statusReason, record.iotEdge, parent]);
}

/** The same of a configuration. It may hold credentials of a container registry. */
export function configurationContentOf(configuration: Configuration): string {
  const { content, targetCondition, priority, labels, queries } = configuration;
  return JSON.stringify([sorted(content), targetCondition, priority, sorted(labels), sorted(queries)]);
}

/** A JSON value with the members of its objects in the order of their names. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  // As pairs, since an object puts members with names like numbers first, and knows no member `__proto__`.
  const members = Object.keys(value)
    .toSorted()
    .map((name) => [name, sorted(value[name])]);
  return { members };
}
