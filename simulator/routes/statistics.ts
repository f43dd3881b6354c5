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

/** Statistics lag like queries (§1.6). */
function deviceStatistics({ hub }: Call): Reply {
  const { devices, disabled } = hub.store.seeCounts('query');
  return ok({
    totalDeviceCount: devices,
    enabledDeviceCount: devices - disabled,
    disabledDeviceCount: disabled,
  });
}
