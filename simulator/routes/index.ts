import { Router } from '../router.js';
import { configurationRoutes } from './configurations.js';
import { deviceRoutes } from './devices.js';
import { jobRoutes } from './jobs.js';
import { moduleRoutes } from './modules.js';
import { queryRoutes } from './query.js';
import { statisticsRoutes } from './statistics.js';
import { twinRoutes } from './twins.js';

/** Everything that the simulator serves. Fixed paths stand before those with parameters of the same length. */
export const router = new Router([
  ...jobRoutes,
  ...queryRoutes,
  ...deviceRoutes,
  ...moduleRoutes,
  ...twinRoutes,
  ...configurationRoutes,
  ...statisticsRoutes,
]);
