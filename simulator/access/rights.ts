import { ServiceError } from '../errors.js';

/** Permissions of shared access policies (§1.5). */
export type Right = 'RegistryRead' | 'RegistryWrite' | 'ServiceConnect' | 'DeviceConnect';

/** Permissions of Microsoft Entra ID, without their prefix `Microsoft.Devices/IotHubs/` (§1.5). */
export const dataActions = [
  'devices/read',
  'devices/write',
  'devices/delete',
  'twins/read',
  'twins/write',
  'jobs/read',
  'jobs/write',
  'jobs/delete',
  'configurations/read',
  'configurations/write',
  'configurations/delete',
  'configurations/applyToEdgeDevice/action',
  'configurations/testQueries/action',
  'cloudToDeviceMessages/queue/purge/action',
  'statistics/read',
] as const;

export type DataAction = (typeof dataActions)[number];

/** What every refusal looks like, whatever was wrong (§1.5). */
export function unauthorized(): ServiceError {
  return new ServiceError('IotHubUnauthorizedAccess', 'Unauthorized');
}
