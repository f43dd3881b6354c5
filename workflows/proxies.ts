import { type ActivityInterfaceFor, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { RunSettings } from '../registry/settings.js';
import { transferQueueOf } from './messages.js';

/** Passing faults are tried again for as long as an outage of a night may take; others fail at once by their code. */
const GIVE_UP_AFTER = '24h';

/** The same activities under a few retry classes; `settings.heartbeat` decides how soon a dead worker is noticed. */
export interface Proxies {
  /** Before anything is written: a fault is told to the user within seconds instead of being waited out. */
  readonly ask: ActivityInterfaceFor<Activities>;
  /** Short calls to a hub, the storage account or Temporal. */
  readonly light: ActivityInterfaceFor<Activities>;
  /** The same while a run is being ended: what cannot be done within minutes is left undone. */
  readonly brief: ActivityInterfaceFor<Activities>;
  /** Where bytes move: runs on the transfer queue, as long as it takes while it beats. */
  readonly transfer: ActivityInterfaceFor<Activities>;
}

/** Builds the proxies of one run. */
export function proxies(settings: RunSettings): Proxies {
  const heartbeatTimeout = settings.heartbeat;
  const light = {
    startToCloseTimeout: '5m',
    heartbeatTimeout,
    // What is under way when a run is cancelled is waited for: a job that was just created must be known to be cancelled.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1s', maximumInterval: '1m' },
  } as const;
  return {
    ask: proxyActivities<Activities>({
      startToCloseTimeout: '2m',
      heartbeatTimeout,
      retry: { initialInterval: '500ms', maximumAttempts: 3 },
    }),
    light: proxyActivities<Activities>({ ...light, scheduleToCloseTimeout: GIVE_UP_AFTER }),
    brief: proxyActivities<Activities>({ ...light, scheduleToCloseTimeout: '10m' }),
    transfer: proxyActivities<Activities>({
      taskQueue: transferQueueOf(workflowInfo().taskQueue),
      startToCloseTimeout: GIVE_UP_AFTER,
      scheduleToCloseTimeout: GIVE_UP_AFTER,
      heartbeatTimeout,
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      retry: { initialInterval: '1s', maximumInterval: '1m' },
    }),
  };
}
