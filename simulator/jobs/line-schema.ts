import { ServiceError } from '../errors.js';
import { isObject, type JsonObject } from '../json.js';

/** Names in an object of the schema, lower case; a nested list where a value is an object of the schema itself. */
interface Names {
  readonly [name: string]: Names | undefined;
}

/** ExportImportDevice of api-version 2021-04-12 (§2.2). */
const names: Names = {
  id: undefined,
  moduleid: undefined,
  etag: undefined,
  importmode: undefined,
  status: undefined,
  statusreason: undefined,
  authentication: {
    type: undefined,
    symmetrickey: { primarykey: undefined, secondarykey: undefined },
    x509thumbprint: { primarythumbprint: undefined, secondarythumbprint: undefined },
  },
  twinetag: undefined,
  tags: undefined,
  properties: { desired: undefined, reported: undefined },
  capabilities: { iotedge: undefined },
  devicescope: undefined,
  parentscopes: undefined,
};

/** @throws {ServiceError} DeserializationError that names a field which is not in the schema. */
export function checkKnownFields(line: JsonObject): void {
  check(line, names, '');
}

function check(object: JsonObject, known: Names, path: string): void {
  for (const [name, value] of Object.entries(object)) {
    const key = name.toLowerCase();
    if (!Object.hasOwn(known, key)) {
      throw new ServiceError('DeserializationError', `Could not find member '${path}${name}'.`);
    }
    const inner = known[key];
    if (inner !== undefined && isObject(value)) check(value, inner, `${path}${name}.`);
  }
}
