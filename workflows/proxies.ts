import { type ActivityInterfaceFor, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import type { RunSettings } from '../registry/settings.js';
import { type Rates, transferQueueOf } from './messages.js';

/** Longest time of a step, all its tries together: of one that moves bytes, or that no worker takes. */
const GIVE_UP_AFTER = '24h';

/** Between two tries, ms: the first pause, which doubles up to the longest. */
const PAUSES = { first: 1_000, longest: 60_000 } as const;

/**
 * How many tries have pauses of so many ms between them. Tries are counted instead of time, so that neither a long step
 * that makes headway nor the time without any worker uses up the patience with a fault.
 */
export function triesWithin(patience: number): number {
  let tries = 1;
  let pause: number = PAUSES.first;
  for (let waited = 0; waited < patience; waited += pause, pause = Math.min(2 * pause, PAUSES.longest))
    tries += 1;
  return tries;
}

/** The same activities under a few retry classes; `settings.heartbeat` decides how soon a dead worker is noticed. */
export interface Proxies {
  /** Before anything is written: a fault is told to the user within seconds instead of being waited out. */
  readonly ask: ActivityInterfaceFor<Activities>;
  /** Short calls to a hub, the storage account or Temporal. */
  readonly light: ActivityInterfaceFor<Activities>;
  /** The same where a run begins or is being ended: what cannot be done within minutes is left undone. */
  readonly brief: ActivityInterfaceFor<Activities>;
  /** Where bytes move: runs on the transfer queue, as long as it takes while it beats. */
  readonly transfer: ActivityInterfaceFor<Activities>;
}

/** Builds the proxies of one run. */
export function proxies(settings: RunSettings): Proxies {
  const { heartbeat: heartbeatTimeout, patience } = settings;
  const passing = {
    initialInterval: PAUSES.first,
    maximumInterval: PAUSES.longest,
    ...(patience === undefined ? {} : { maximumAttempts: triesWithin(patience) }),
  };
  const light = {
    startToCloseTimeout: '5m',
    heartbeatTimeout,
    // What is under way when a run is cancelled is waited for: a job that was just created must be known to be cancelled.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: passing,
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
      retry: passing,
    }),
  };
}

/** What decides when a call of an activity begins, and how hard it may go at a hub. */
export interface Steps {
  readonly step: <T>(begin: () => Promise<T>) => Promise<T>;
  readonly rates: Rates;
}

/** The same activities, each call of which is a step. Rates go with the input, for `activities/guard.ts`. */
export function stepwise(all: Proxies, steps: Steps): Proxies {
  type Call = (input: object) => Promise<unknown>;
  const each = (activities: ActivityInterfaceFor<Activities>): ActivityInterfaceFor<Activities> =>
    new Proxy(activities, {
      get: (target, name) => {
        const call = Reflect.get(target, name) as Call;
        return (input: object) =>
          steps.step(() => {
            const { rates } = steps;
            return call(Object.keys(rates).length === 0 ? input : { ...input, rates });
          });
      },
    });
  return { ask: each(all.ask), light: each(all.light), brief: each(all.brief), transfer: each(all.transfer) };
}
