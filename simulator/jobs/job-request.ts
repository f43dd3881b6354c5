import type { JsonObject } from '../json.js';
import { Shape } from '../records/identity.js';
import type { JobType } from './job-faults.js';

/** What POST /jobs/create asks for, checked. */
export interface JobRequest {
  readonly type: JobType;
  readonly inputUri: string | undefined;
  readonly inputBlob: string;
  readonly outputUri: string;
  readonly outputBlob: string;
  readonly excludeKeys: boolean;
  /** The blob of configurations; undefined: they are not asked for. */
  readonly configurationsBlob: string | undefined;
  /** True: the hub's identity opens the containers; false: a signature in their URIs does. */
  readonly identityBased: boolean;
  /** ARM id of a user-assigned identity; undefined: the system-assigned one. */
  readonly userIdentity: string | undefined;
}

/** Types of the enumeration that POST /jobs/create does not start (§4). */
const otherTypes: readonly string[] = [
  'unknown',
  'backup',
  'readDeviceProperties',
  'writeDeviceProperties',
  'updateDeviceConfiguration',
  'rebootDevice',
  'factoryResetDevice',
  'firmwareUpdate',
  'scheduleDeviceMethod',
  'scheduleUpdateTwin',
  'restoreFromBackup',
  'failoverDataCopy',
].map((type) => type.toLowerCase());

/**
 * Reads the body of POST /jobs/create; fields that the server fills in are ignored (§4).
 * @throws {ServiceError} ArgumentInvalid
 */
export function readJobRequest(body: JsonObject): JobRequest {
  const shape = new Shape(body, 'ArgumentInvalid');
  const named = shape.text('type');
  const type = named?.toLowerCase();
  if (type !== 'import' && type !== 'export') {
    throw shape.error(
      type !== undefined && otherTypes.includes(type)
        ? `Jobs of type '${named}' cannot be created here.`
        : "'type' must be import or export.",
    );
  }
  const outputUri = shape.text('outputBlobContainerUri');
  const inputUri = shape.text('inputBlobContainerUri');
  if (outputUri === undefined) throw shape.error("'outputBlobContainerUri' is missing.");
  if (type === 'import' && inputUri === undefined) throw shape.error("'inputBlobContainerUri' is missing.");
  const { excludeKeysInExport: excludeKeys } = body;
  if (typeof (excludeKeys ?? false) !== 'boolean') {
    throw shape.error("'excludeKeysInExport' is not a boolean.");
  }
  const { includeConfigurations } = body;
  if (typeof (includeConfigurations ?? false) !== 'boolean') {
    throw shape.error("'includeConfigurations' is not a boolean.");
  }
  const configurationsBlob = shape.text('configurationsBlobName') || 'configurations.txt';
  return {
    type,
    inputUri: type === 'import' ? inputUri : undefined,
    inputBlob: shape.text('inputBlobName') || 'devices.txt',
    outputUri,
    outputBlob: shape.text('outputBlobName') || 'devices.txt',
    excludeKeys: excludeKeys === true,
    configurationsBlob: includeConfigurations === true ? configurationsBlob : undefined,
    identityBased: storageAuthentication(shape) === 'identityBased',
    userIdentity: userIdentity(shape),
  };
}

/** Clients write the name in several ways: Node's sends `IdentityBased` (§4). */
function storageAuthentication(shape: Shape): 'keyBased' | 'identityBased' | undefined {
  const named = shape.text('storageAuthenticationType')?.toLowerCase();
  if (named === undefined) return undefined;
  if (named === 'keybased') return 'keyBased';
  if (named === 'identitybased') return 'identityBased';
  throw shape.error("'storageAuthenticationType' must be keyBased or identityBased.");
}

/** ARM id in `identity`; undefined: none is named. */
function userIdentity(shape: Shape): string | undefined {
  const identity = shape.object('identity');
  if (identity === undefined) return undefined;
  return new Shape(identity, 'ArgumentInvalid').text('userAssignedIdentity') || undefined;
}

const echoed = [
  'inputBlobContainerUri',
  'inputBlobName',
  'outputBlobContainerUri',
  'outputBlobName',
  'includeConfigurations',
  'configurationsBlobName',
];

/** What the reply of a create repeats of the request; enumerations in the service's own spelling (§4). */
export function echoOf(body: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const name of echoed) {
    const value = body[name];
    if (typeof value === 'string' || typeof value === 'boolean') result[name] = value;
  }
  const shape = new Shape(body, 'ArgumentInvalid');
  const storage = storageAuthentication(shape);
  if (storage !== undefined) result.storageAuthenticationType = storage;
  const user = userIdentity(shape);
  if (user !== undefined) result.identity = { userAssignedIdentity: user };
  return result;
}
