import { randomBytes } from 'node:crypto';

/** Names and numbers of the service's error codes (§7). The first three digits are the HTTP status. */
export const errorCodes = {
  GenericBadRequest: 400000,
  InvalidProtocolVersion: 400001,
  InvalidOperation: 400003,
  ArgumentInvalid: 400004,
  ArgumentNull: 400005,
  IotHubFormatError: 400006,
  BlobContainerValidationError: 400008,
  ImportWarningExistsError: 400009,
  DeviceDefinedMultipleTimes: 400011,
  DeserializationError: 400012,
  BulkRegistryOperationFailure: 400013,
  EtagDoesNotMatch: 400023,
  InvalidDeviceScope: 400028,
  ManagedIdentityNotEnabled: 400032,
  CannotRegisterModuleToModule: 400301,
  InvalidConfigurationTargetCondition: 400401,
  InvalidConfigurationContent: 400402,
  CannotModifyImmutableConfigurationContent: 400403,
  InvalidConfigurationCustomMetricsQuery: 400404,
  IotHubUnauthorizedAccess: 401002,
  IotHubUnauthorized: 401003,
  SystemModuleModifyUnauthorizedAccess: 401100,
  IotHubSuspended: 403001,
  IotHubQuotaExceeded: 403002,
  JobQuotaExceeded: 403003,
  OperationNotAvailableInCurrentTier: 403010,
  DeviceNotFound: 404001,
  JobNotFound: 404002,
  ModuleNotFound: 404010,
  IotHubFailingOver: 404012,
  ConfigurationNotFound: 404301,
  OperationNotAllowedInCurrentState: 405102,
  ImportDevicesNotSupported: 405103,
  BulkAddDevicesNotSupported: 405104,
  DeviceAlreadyExists: 409001,
  ModuleAlreadyExistsOnDevice: 409301,
  ConfigurationAlreadyExists: 409401,
  ApplyConfigurationAlreadyInProgressOnDevice: 409402,
  PreconditionFailed: 412001,
  MessageTooLarge: 413001,
  TooManyDevices: 413002,
  TooManyModulesOnDevice: 413003,
  ConfigurationCountLimitExceeded: 413101,
  ThrottlingException: 429001,
  ThrottleBacklogLimitExceeded: 429002,
  ThrottlingBacklogTimeout: 429003,
  ThrottlingMaxActiveJobCountExceeded: 429004,
  DeviceThrottlingLimitExceeded: 429005,
  ServerError: 500001,
  GenericTimeout: 500008,
  ServiceUnavailable: 503001,
  ServerBusy: 503005,
} as const;

export type ErrorName = keyof typeof errorCodes;

/** True when `name` is one of {@link errorCodes}. */
export function isErrorName(name: string): name is ErrorName {
  return Object.hasOwn(errorCodes, name);
}

/** An error that the service would answer, in a reply or in a line of importErrors.log. */
export class ServiceError extends Error {
  readonly code: number;
  constructor(
    readonly errorName: ErrorName,
    text: string,
  ) {
    super(text);
    this.name = 'ServiceError';
    this.code = errorCodes[errorName];
  }
  /** HTTP status. */
  get status(): number {
    return Math.floor(this.code / 1000);
  }
}

function trackingId(at: Date): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${at.getUTCFullYear()}`;
  const time = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  return `Tracking ID:${randomBytes(16).toString('hex')}-G:0-TimeStamp:${day} ${time}`;
}

/** The two forms that the body of an error reply has (§7). */
export type ErrorEnvelope =
  | { readonly Message: string; readonly ExceptionMessage: string }
  | {
      readonly errorCode: number;
      readonly message: string;
      readonly trackingId: string;
      readonly timestampUtc: string;
    };

/**
 * The body of an error reply: envelope 1 of §7, the only one from which Microsoft's Node client can read a code, but
 * envelope 2 for module conflicts, as seen live. JobQuotaExceeded has a text of its own and an empty ExceptionMessage,
 * as seen live, too (§4).
 */
export function errorEnvelope(name: string, text: string, at: Date): ErrorEnvelope {
  if (name === 'ModuleAlreadyExistsOnDevice') {
    return {
      errorCode: errorCodes.ModuleAlreadyExistsOnDevice,
      message: text,
      trackingId: `${randomBytes(16).toString('hex')}-G:0`,
      timestampUtc: at.toISOString(),
    };
  }
  if (name === 'JobQuotaExceeded') {
    const message =
      'Error: 403 ErrorCode: JobQuotaExceeded\nMessage: Job quota has been exceeded\n' +
      `Timestamp: ${at.toISOString()}\nTracking ID: `;
    return { Message: `ErrorCode:JobQuotaExceeded;${message}`, ExceptionMessage: '' };
  }
  return { Message: `ErrorCode:${name};${text}`, ExceptionMessage: trackingId(at) };
}
