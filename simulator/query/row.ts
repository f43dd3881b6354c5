import { isObject, type Json, type JsonObject } from '../json.js';
import { isModule, type StoredRecord } from '../records/records.js';
import { type TwinSettings, twinJson } from '../records/views.js';
import { isBasicTier } from '../tiers.js';
import type { FieldPath } from './query.js';

/** Names that the service gives, in its spelling; queries may spell them as they like, e.g. `DeviceId`. */
const serviceNames: ReadonlyMap<string, string> = new Map(
  [
    'deviceId',
    'moduleId',
    'etag',
    'deviceEtag',
    'status',
    'statusReason',
    'statusUpdateTime',
    'connectionState',
    'lastActivityTime',
    'cloudToDeviceMessageCount',
    'authenticationType',
    'x509Thumbprint',
    'modelId',
    'version',
    'tags',
    'properties',
    'capabilities',
    'deviceScope',
    'parentScopes',
  ].map((name) => [name.toLowerCase(), name]),
);

/** Names below those, where the service gives them, too; all others are the user's and meant as they are written. */
const innerNames: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  [
    'properties',
    new Map([
      ['desired', 'desired'],
      ['reported', 'reported'],
    ]),
  ],
  ['capabilities', new Map([['iotedge', 'iotEdge']])],
]);

/** A path as the service spells it, without the name of the collection in front. */
export function spelled(path: FieldPath): FieldPath {
  let names = path;
  if (names.length > 1 && names[0]?.toLowerCase() === 'devices') names = names.slice(1);
  if (names.length > 1 && names[0]?.toLowerCase() === 'modules') names = names.slice(1);
  const [first = '', second, ...rest] = names;
  const top = serviceNames.get(first.toLowerCase()) ?? first;
  if (second === undefined) return [top];
  return [top, innerNames.get(top)?.get(second.toLowerCase()) ?? second, ...rest];
}

/** One record as queries see it: a twin, of which only that is built which somebody asks for. */
export class Row {
  #twin: JsonObject | undefined;
  #tags: Json | undefined;
  #desired: Json | undefined;

  constructor(
    readonly record: StoredRecord,
    readonly settings: TwinSettings,
  ) {}

  twin(): JsonObject {
    this.#twin ??= twinJson(this.record, this.settings);
    return this.#twin;
  }

  /** @returns undefined when the twin has no such field. */
  value(path: FieldPath): Json | undefined {
    const [top, second, ...rest] = spelled(path);
    const { record } = this;
    if (second === undefined) {
      if (top === 'deviceId') return record.deviceId;
      if (top === 'status' && !isModule(record)) return record.enabled ? 'enabled' : 'disabled';
      return own(this.twin(), top);
    }
    if ((top === 'tags' || top === 'properties') && isBasicTier(this.settings)) return undefined;
    if (top === 'tags') {
      this.#tags ??= JSON.parse(record.twin.tags) as Json;
      return inside(this.#tags, [second, ...rest]);
    }
    const [third] = rest;
    // `$metadata` and `$version` are not stored with the rest.
    if (top === 'properties' && second === 'desired' && third !== undefined && !third.startsWith('$')) {
      this.#desired ??= JSON.parse(record.twin.desired) as Json;
      return inside(this.#desired, rest);
    }
    if (top === 'capabilities' && second === 'iotEdge' && rest.length === 0) {
      return isModule(record) ? undefined : record.iotEdge;
    }
    // Metrics of configurations ask every twin for its own.
    if (top === 'configurations') {
      return inside(JSON.parse(record.twin.configurations) as Json, [second, ...rest]);
    }
    return inside(own(this.twin(), top), [second, ...rest]);
  }
}

function inside(start: Json | undefined, names: FieldPath): Json | undefined {
  let value = start;
  for (const name of names) value = own(value, name);
  return value;
}

function own(value: Json | undefined, name: string | undefined): Json | undefined {
  return name !== undefined && isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
