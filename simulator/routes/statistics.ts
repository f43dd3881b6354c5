import type { Call, Reply, Route } from '../router.js';
import { ok } from './reply.js';

const read = { rights: ['RegistryRead'], actions: ['statistics/read'] } as const;

export const statisticsRoutes: readonly Route[] = [
  { name: 'GET /statistics/devices', access: read, operation: 'registry', handle: deviceStatistics },
  {
    name: 'GET /statistics/service',
    access: read,
    operation: 'registry',
    handle: () => ok({ connectedDeviceCount: 0 }),
  },
];

function deviceStatistics({ hub }: Call): Reply {
  const { deviceCount, disabledCount } = hub.store;
  return ok({
    totalDeviceCount: deviceCount,
    enabledDeviceCount: deviceCount - disabledCount,
    disabledDeviceCount: disabledCount,
  });
}
