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
  if (record.moduleId !== null) return sortedText(twin);
  return sortedText([...twin, record.status, record.statusReason, record.iotEdge, parent]);
}

/** The same of a configuration. It may hold credentials of a container registry. */
export function configurationContentOf(configuration: Configuration): string {
  const { content, targetCondition, priority, labels, queries } = configuration;
  return sortedText([content, targetCondition, priority, labels, queries]);
}

/** Levels that are printed by calls of calls; what lies deeper must not end with the call stack. */
const SHALLOW = 64;

/** A value as JSON, but with the members of an object in the order of their names, as pairs. */
function sortedText(value: unknown, levels = SHALLOW): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null)
    return value === undefined ? 'null' : JSON.stringify(value);
  if (levels === 0) return jsonText(value, sorted);
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += `${text === '' ? '' : ','}${sortedText(item, levels - 1)}`;
    return `[${text}]`;
  }
  const object = value as JsonObject;
  for (const name of Object.keys(object).toSorted())
    text += `${text === '' ? '' : ','}[${JSON.stringify(name)},${sortedText(object[name], levels - 1)}]`;
  return `{"members":[${text}]}`;
}

/** The members of an object in the order of their names, as pairs, so that no list is taken for an object. */
function sorted(object: JsonObject): Piece[] {
  const members = Object.keys(object)
    .toSorted()
    .map((name) => [name, object[name]]);
  return ['{"members":', { value: members }, '}'];
}
