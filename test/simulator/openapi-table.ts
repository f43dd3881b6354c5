/**
 * What the public OpenAPI description of the data plane (service.json of Azure/azure-iot-hub-python, api-version
 * 2021-04-12) says about replies, written down by hand: names, types, enumerations and formats. The description marks
 * nothing as required; `required` here means that a hub always answers with the field (docs/service.md).
 */

export type FieldType =
  | 'string'
  | 'integer'
  | 'boolean'
  /** A date and time, or the service's "never", which has no zone (§1.3). */
  | 'time'
  /** An object with names of users. */
  | 'anything'
  | 'strings'
  | { readonly oneOf: readonly string[] }
  | { readonly schema: string }
  | { readonly listOf: string }
  | { readonly mapOf: 'integer' | 'string' | 'anything' };

export interface Field {
  readonly type: FieldType;
  readonly required: boolean;
  /** Why the field is here although the description does not have it. */
  readonly addedBy?: string;
}

export type Schema = Readonly<Record<string, Field>>;

const must = (type: FieldType): Field => ({ type, required: true });
const may = (type: FieldType): Field => ({ type, required: false });
const added = (type: FieldType, addedBy: string): Field => ({ type, required: false, addedBy });

const connectionState: FieldType = { oneOf: ['Disconnected', 'Connected'] };
const status: FieldType = { oneOf: ['enabled', 'disabled'] };
const authenticationType: FieldType = { oneOf: ['sas', 'selfSigned', 'certificateAuthority', 'none'] };
const jobType: FieldType = {
  oneOf: [
    'unknown',
    'export',
    'import',
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
  ],
};
const jobStatus: FieldType = {
  oneOf: ['unknown', 'enqueued', 'running', 'completed', 'failed', 'cancelled', 'scheduled', 'queued'],
};

const schemaTable: Readonly<Record<string, Schema>> = {
  Device: {
    deviceId: must('string'),
    generationId: must('string'),
    etag: must('string'),
    connectionState: must(connectionState),
    status: must(status),
    statusReason: may('string'),
    connectionStateUpdatedTime: must('time'),
    statusUpdatedTime: must('time'),
    lastActivityTime: must('time'),
    cloudToDeviceMessageCount: must('integer'),
    authentication: must({ schema: 'AuthenticationMechanism' }),
    capabilities: must({ schema: 'DeviceCapabilities' }),
    deviceScope: may('string'),
    parentScopes: may('strings'),
  },
  Module: {
    moduleId: must('string'),
    managedBy: may('string'),
    deviceId: must('string'),
    generationId: must('string'),
    etag: must('string'),
    connectionState: must(connectionState),
    connectionStateUpdatedTime: must('time'),
    lastActivityTime: must('time'),
    cloudToDeviceMessageCount: must('integer'),
    authentication: must({ schema: 'AuthenticationMechanism' }),
  },
  AuthenticationMechanism: {
    symmetricKey: must({ schema: 'SymmetricKey' }),
    x509Thumbprint: must({ schema: 'X509Thumbprint' }),
    type: must(authenticationType),
  },
  SymmetricKey: { primaryKey: may('string'), secondaryKey: may('string') },
  X509Thumbprint: {
    primaryThumbprint: may('string'),
    secondaryThumbprint: may('string'),
    PrimaryThumbprint: added('string', '§1.3: seen in twins'),
    SecondaryThumbprint: added('string', '§1.3: seen in twins'),
  },
  DeviceCapabilities: { iotEdge: must('boolean') },
  Twin: {
    deviceId: must('string'),
    moduleId: may('string'),
    tags: must('anything'),
    properties: must({ schema: 'TwinProperties' }),
    etag: must('string'),
    version: must('integer'),
    deviceEtag: must('string'),
    status: must(status),
    statusReason: may('string'),
    statusUpdateTime: must('time'),
    connectionState: must(connectionState),
    lastActivityTime: must('time'),
    cloudToDeviceMessageCount: must('integer'),
    authenticationType: must(authenticationType),
    x509Thumbprint: must({ schema: 'X509Thumbprint' }),
    capabilities: may({ schema: 'DeviceCapabilities' }),
    deviceScope: may('string'),
    parentScopes: may('strings'),
    modelId: added('string', '§1.3: twins have it'),
    configurations: added({ mapOf: 'anything' }, "Microsoft's clients read it: what targets the twin"),
  },
  TwinProperties: { desired: must('anything'), reported: must('anything') },
  JobProperties: {
    jobId: must('string'),
    startTimeUtc: must('time'),
    endTimeUtc: may('time'),
    type: must(jobType),
    status: must(jobStatus),
    progress: must('integer'),
    inputBlobContainerUri: may('string'),
    inputBlobName: may('string'),
    outputBlobContainerUri: may('string'),
    outputBlobName: may('string'),
    excludeKeysInExport: must('boolean'),
    storageAuthenticationType: may({ oneOf: ['keyBased', 'identityBased'] }),
    identity: may({ schema: 'ManagedIdentity' }),
    failureReason: may('string'),
    includeConfigurations: may('boolean'),
    configurationsBlobName: may('string'),
  },
  ManagedIdentity: { userAssignedIdentity: may('string') },
  Configuration: {
    id: must('string'),
    schemaVersion: may('string'),
    labels: may({ mapOf: 'string' }),
    content: must({ schema: 'ConfigurationContent' }),
    targetCondition: must('string'),
    createdTimeUtc: must('time'),
    lastUpdatedTimeUtc: must('time'),
    priority: must('integer'),
    systemMetrics: must({ schema: 'ConfigurationMetrics' }),
    metrics: must({ schema: 'ConfigurationMetrics' }),
    etag: must('string'),
  },
  ConfigurationContent: {
    deviceContent: may('anything'),
    modulesContent: may({ mapOf: 'anything' }),
    moduleContent: may('anything'),
  },
  ConfigurationMetrics: { results: must({ mapOf: 'integer' }), queries: must({ mapOf: 'string' }) },
  ConfigurationQueriesTestResponse: {
    targetConditionError: may('string'),
    customMetricQueryErrors: may({ mapOf: 'string' }),
  },
  RegistryStatistics: {
    totalDeviceCount: must('integer'),
    enabledDeviceCount: must('integer'),
    disabledDeviceCount: must('integer'),
  },
  ServiceStatistics: { connectedDeviceCount: must('integer') },
  BulkRegistryOperationResult: {
    isSuccessful: must('boolean'),
    errors: must({ listOf: 'DeviceRegistryOperationError' }),
    warnings: must({ listOf: 'DeviceRegistryOperationWarning' }),
  },
  DeviceRegistryOperationError: {
    deviceId: must('string'),
    moduleId: may('string'),
    // An enumeration of some 200 names; the simulator's own are checked against its table.
    errorCode: must('string'),
    errorStatus: must('string'),
    operation: may('string'),
  },
  DeviceRegistryOperationWarning: {
    deviceId: must('string'),
    warningCode: must({ oneOf: ['DeviceRegisteredWithoutTwin'] }),
    warningStatus: must('string'),
  },
  PurgeMessageQueueResult: {
    totalMessagesPurged: must('integer'),
    deviceId: must('string'),
    moduleId: may('string'),
  },
  JobResponse: {
    jobId: must('string'),
    queryCondition: may('string'),
    createdTime: may('time'),
    startTime: may('time'),
    endTime: may('time'),
    maxExecutionTimeInSeconds: may('integer'),
    type: must(jobType),
    status: must(jobStatus),
    failureReason: may('string'),
    statusMessage: may('string'),
  },
};

/** @throws {Error} when there is no such schema. */
export function schemaNamed(name: string): Schema {
  const schema = schemaTable[name];
  if (schema === undefined) throw new Error(`no schema '${name}'`);
  return schema;
}

/** What an operation answers with. */
export type Result =
  | { readonly status: number; readonly schema: string }
  | { readonly status: number; readonly listOf: string }
  | { readonly status: number; readonly nothing: true }
  | 'out of scope';

/** Every operation of the description, named like the simulator's routes. */
export const operations: Readonly<Record<string, Result>> = {
  'GET /configurations': { status: 200, listOf: 'Configuration' },
  'GET /configurations/{id}': { status: 200, schema: 'Configuration' },
  'PUT /configurations/{id}': { status: 200, schema: 'Configuration' },
  'DELETE /configurations/{id}': { status: 204, nothing: true },
  'POST /configurations/testQueries': { status: 200, schema: 'ConfigurationQueriesTestResponse' },
  'POST /devices/{id}/applyConfigurationContent': { status: 204, nothing: true },
  'GET /statistics/devices': { status: 200, schema: 'RegistryStatistics' },
  'GET /statistics/service': { status: 200, schema: 'ServiceStatistics' },
  'GET /devices': { status: 200, listOf: 'Device' },
  'POST /devices': { status: 200, schema: 'BulkRegistryOperationResult' },
  'POST /devices/query': { status: 200, listOf: 'Twin' },
  'GET /devices/{id}': { status: 200, schema: 'Device' },
  'PUT /devices/{id}': { status: 200, schema: 'Device' },
  'DELETE /devices/{id}': { status: 204, nothing: true },
  'GET /devices/{id}/modules': { status: 200, listOf: 'Module' },
  'GET /devices/{id}/modules/{mid}': { status: 200, schema: 'Module' },
  'PUT /devices/{id}/modules/{mid}': { status: 200, schema: 'Module' },
  'DELETE /devices/{id}/modules/{mid}': { status: 204, nothing: true },
  'DELETE /devices/{id}/commands': { status: 200, schema: 'PurgeMessageQueueResult' },
  'GET /twins/{id}': { status: 200, schema: 'Twin' },
  'PUT /twins/{id}': { status: 200, schema: 'Twin' },
  'PATCH /twins/{id}': { status: 200, schema: 'Twin' },
  'GET /twins/{id}/modules/{mid}': { status: 200, schema: 'Twin' },
  'PUT /twins/{id}/modules/{mid}': { status: 200, schema: 'Twin' },
  'PATCH /twins/{id}/modules/{mid}': { status: 200, schema: 'Twin' },
  'POST /jobs/create': { status: 200, schema: 'JobProperties' },
  'GET /jobs': { status: 200, listOf: 'JobProperties' },
  'GET /jobs/{id}': { status: 200, schema: 'JobProperties' },
  'DELETE /jobs/{id}': { status: 204, nothing: true },
  'GET /jobs/v2/{id}': { status: 200, schema: 'JobResponse' },
  'PUT /jobs/v2/{id}': 'out of scope',
  'POST /jobs/v2/{id}/cancel': 'out of scope',
  'GET /jobs/v2/query': 'out of scope',
  'POST /twins/{id}/methods': 'out of scope',
  'POST /twins/{id}/modules/{mid}/methods': 'out of scope',
  'GET /messages/servicebound/feedback': 'out of scope',
  'DELETE /messages/servicebound/feedback/{token}': 'out of scope',
  'POST /messages/servicebound/feedback/{token}/abandon': 'out of scope',
  'GET /digitaltwins/{id}': 'out of scope',
  'PATCH /digitaltwins/{id}': 'out of scope',
  'POST /digitaltwins/{id}/commands/{name}': 'out of scope',
  'POST /digitaltwins/{id}/components/{path}/commands/{name}': 'out of scope',
};
