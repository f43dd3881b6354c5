import { type Field, jsonEqual } from './compare.js';
import {
  type Configuration,
  type ConfigurationField,
  differingConfigurationFields,
} from './configurations.js';
import { jsonText } from './json-text.js';
import type { ManifestChange } from './manifests.js';
import { isToGenerate } from './new-keys.js';
import type { ChangeKind } from './reconcile.js';
import { isJsonObject, type JsonObject, kindOf, type RecordKey, type RecordKind } from './record.js';
import { maskSecrets } from './secrets.js';
import type { Placed } from './undo.js';

/** One field of a planned change, as texts for people; null for nothing. No text holds a key or a part of one. */
export interface FieldChange {
  /** A field, or a path in a twin such as `tags.site`. */
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** One planned change of many, field by field. */
export interface PlanSample {
  /** The key of a record, the id of an edge device whose system modules are meant, or that of a configuration. */
  readonly record: string;
  readonly kind: RecordKind | 'system modules' | 'configuration';
  readonly change: ChangeKind;
  readonly fields: readonly FieldChange[];
  /** Fields that are left out, since there are many. */
  readonly more: number;
}

/** Samples of each kind of change of each kind of record, in every partition. */
export const SAMPLES_EACH = 2;
const MAX_FIELDS = 8;
const MAX_TEXT = 100;

/**
 * What a change does to one record.
 *
 * @param before as the target has it, and `after` as it is desired; null where there is, or will be, none.
 * @param differing the fields that differ, of an update.
 */
export function planSample(
  key: RecordKey,
  change: ChangeKind,
  before: Placed | null,
  after: Placed | null,
  differing: readonly Field[],
): PlanSample | null {
  const { record } = after ?? before ?? {};
  if (record === undefined) return null;
  const names = before !== null && after !== null ? differing : FIELDS;
  const fields = names.flatMap((name) => changesOf(name, before, after));
  return sampleOf({ record: key, kind: kindOf(record), change }, fields);
}

function sampleOf(
  what: Pick<PlanSample, 'record' | 'kind' | 'change'>,
  fields: readonly FieldChange[],
): PlanSample {
  return { ...what, fields: fields.slice(0, MAX_FIELDS), more: Math.max(0, fields.length - MAX_FIELDS) };
}

/** What is due of the system modules of one edge device: desired properties by module. */
export function manifestSample({ id, kind, modules }: ManifestChange): PlanSample {
  const due = modules.filter((module) => module.due !== null || module.tagsDue);
  const fields = due.map(({ moduleId, desired, due: act }) => ({
    field: moduleId,
    before: act === 'create' ? null : 'something else',
    after: text(desired),
  }));
  return sampleOf({ record: id, kind: 'system modules', change: kind }, fields);
}

/** What is due of one configuration. @param before as the target has it; null for a create */
export function configurationSample(desired: Configuration, before: Configuration | null): PlanSample {
  const names: readonly ConfigurationField[] =
    before === null
      ? ['targetCondition', 'priority', 'content']
      : differingConfigurationFields(desired, before);
  const valueOf = (one: Configuration, name: ConfigurationField): string =>
    text(jsonText(name === 'metrics' ? one.queries : one[name]));
  const fields = names.map((name) => ({
    field: name,
    before: before && valueOf(before, name),
    after: valueOf(desired, name),
  }));
  const change = before === null ? 'create' : 'update';
  return sampleOf({ record: desired.id, kind: 'configuration', change }, fields);
}

/** What is said of a record that is made or deleted. */
const FIELDS: readonly Field[] = [
  'status',
  'statusReason',
  'authentication.type',
  'parent',
  'tags',
  'desired',
];

function changesOf(name: Field, before: Placed | null, after: Placed | null): FieldChange[] {
  if (name === 'tags' || name === 'desired')
    return twinChanges(name, before?.record[name] ?? {}, after?.record[name] ?? {});
  const [was, is] = [textOf(name, before), textOf(name, after)];
  if (was === null && is === null) return [];
  if (name.endsWith('Key')) return [{ field: name, before: was, after: keyAfter(was, is, after) }];
  return [{ field: name, before: was, after: is }];
}

function keyAfter(was: string | null, is: string | null, after: Placed | null): string | null {
  if (is === null) return null;
  if (after !== null && isToGenerate(after.record.authentication)) return 'a new key';
  return was === null ? is : 'another key';
}

function textOf(name: Exclude<Field, 'tags' | 'desired'>, placed: Placed | null): string | null {
  if (placed === null) return null;
  const { record, parent } = placed;
  const { authentication, moduleId } = record;
  switch (name) {
    case 'status':
      return moduleId === null ? record.status : null;
    case 'statusReason':
      return record.statusReason === '' || moduleId !== null ? null : text(record.statusReason);
    case 'iotEdge':
      return String(record.iotEdge);
    case 'parent':
      return parent;
    case 'authentication.type':
      return authentication?.type ?? null;
    case 'authentication.primaryKey':
      return authentication?.primaryKey == null ? null : 'a key';
    case 'authentication.secondaryKey':
      return authentication?.secondaryKey == null ? null : 'a key';
    case 'authentication.primaryThumbprint':
      return authentication?.primaryThumbprint ?? null;
    default:
      return authentication?.secondaryThumbprint ?? null;
  }
}

/** The values of a twin that differ, by path. */
function twinChanges(path: string, before: unknown, after: unknown): FieldChange[] {
  if (isJsonObject(before) && isJsonObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => twinChanges(`${path}.${name}`, member(before, name), member(after, name)));
  }
  if (jsonEqual(before, after)) return [];
  return [{ field: maskSecrets(path), before: value(before), after: value(after) }];
}

const member = (section: JsonObject, name: string): unknown =>
  Object.hasOwn(section, name) ? section[name] : undefined;

const value = (json: unknown): string | null => (json === undefined ? null : text(jsonText(json)));

/** What users put into twins may hold secrets of their own. */
function text(content: string): string {
  const masked = maskSecrets(content);
  return masked.length > MAX_TEXT ? `${masked.slice(0, MAX_TEXT)}…` : masked;
}
