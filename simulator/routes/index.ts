import { type Route, Router } from '../router.js';
import { requireStandardTier } from '../tiers.js';
import { bulkRoutes } from './bulk.js';
import { commandRoutes } from './commands.js';
import { configurationRoutes } from './configurations.js';
import { deviceRoutes } from './devices.js';
import { jobRoutes } from './jobs.js';
import { moduleRoutes } from './modules.js';
import { outOfScopeRoutes } from './out-of-scope.js';
import { queryRoutes } from './query.js';
import { statisticsRoutes } from './statistics.js';
import { twinReadRoutes, twinWriteRoutes } from './twins.js';

/** Everything that the simulator serves. Fixed paths stand before those with parameters of the same length. */
export const router = new Router([
  ...jobRoutes,
  ...queryRoutes,
  ...deviceRoutes,
  ...bulkRoutes,
  ...twinReadRoutes,
  ...statisticsRoutes,
  ...[moduleRoutes, twinWriteRoutes, configurationRoutes, commandRoutes, outOfScopeRoutes]
    .flat()
    .map(forStandardTier),
]);

/** Tiers B1 to B3 have no modules, twins to write, configurations, or messages to devices (§5). */
function forStandardTier(route: Route): Route {
  return {
    ...route,
    handle: (call) => {
      requireStandardTier(call.hub.settings);
      return route.handle(call);
    },
  };
}
