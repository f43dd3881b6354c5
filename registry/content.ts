import { CREDENTIALS } from './compare.js';
import type { Configuration } from './configurations.js';
import { jsonText, type Piece } from './json-text.js';
import type { JsonObject, RegistryRecord } from './record.js';

/**
 * What a record holds, as one text: the same for two records that no comparison tells apart, however a hub prints them.
 * It holds keys: to be digested, never to be shown.
 *
 * @param parent device id of its parent edge device.
 */
export function contentOf(record: RegistryRecord, parent: string | null): string {
  const { authentication, tags, desired } = record;
  const who = authentication && [authentication.type, ...CREDENTIALS.map((name) => authentication[name])];
  const twin = [who, tags, desired];
  if (record.moduleId !== null) return jsonText(twin, sorted);
  return jsonText([...twin, record.status, record.statusReason, record.iotEdge, parent], sorted);
}

/** The same of a configuration. It may hold credentials of a container registry. */
export function configurationContentOf(configuration: Configuration): string {
  const { content, targetCondition, priority, labels, queries } = configuration;
  return jsonText([content, targetCondition, priority, labels, queries], sorted);
}

/** The members of an object in the order of their names, as pairs, so that no list is taken for an object. */
function sorted(object: JsonObject): Piece[] {
  const members = Object.keys(object)
    .toSorted()
    .map((name) => [name, object[name]]);
  return ['{"members":', { value: members }, '}'];
}
