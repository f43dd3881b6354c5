import { activityInfo, Context } from '@temporalio/activity';
import { ServiceError } from '@temporalio/client';
import {
  ApplicationFailure,
  ApplicationFailureCategory,
  CancelledFailure,
  TemporalFailure,
} from '@temporalio/common';
import { type HubWork, hubWork } from '../azure/connections.js';
import { ERRORS, HubferryError } from '../registry/errors.js';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { isJsonObject } from '../registry/record.js';
import type { Counted } from './hub-job.js';

type Activity = (input: never) => Promise<unknown>;

/** What every input may have beside its own: see `stepwise` in workflows/proxies.ts. */
type Rated = Partial<Pick<HubWork, 'rates'>> | undefined;

/**
 * Gives every activity the same manners: it beats while it works, so that a dead worker is noticed and a cancellation
 * arrives; and it fails with one of our codes, retried or not as the catalogue says.
 */
export function guarded<A extends Record<string, Activity>>(activities: A): A {
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [name, guard(activity)]),
  ) as A;
}

function guard(activity: Activity): Activity {
  return async (input) => {
    const context = Context.current();
    const { heartbeatTimeoutMs: timeout = 30_000, heartbeatDetails } = activityInfo();
    // Calls of attempts that failed travel in the heartbeat's details, until one succeeds and can tell them.
    let spent = (heartbeatDetails as HubCalls | undefined) ?? NO_CALLS;
    const { cancellationSignal: signal } = context;
    const work: HubWork = { views: [], rates: (input as Rated)?.rates ?? {}, signal };
    const beat = setInterval(() => context.heartbeat(spent), timeout / 3);
    try {
      const result = await hubWork.run(work, () => activity(input));
      return isCounted(result) ? { ...result, calls: addCalls(result.calls, spent) } : result;
    } catch (error) {
      for (const view of work.views) spent = addCalls(spent, view.takeCalls());
      context.heartbeat(spent);
      if (signal.aborted) throw new CancelledFailure('The activity was cancelled.');
      throw failureOf(error);
    } finally {
      clearInterval(beat);
    }
  };
}

function isCounted(result: unknown): result is Counted<unknown> {
  return isJsonObject(result) && 'value' in result && 'calls' in result;
}

function failureOf(error: unknown): Error {
  if (error instanceof TemporalFailure) return error;
  // The code is final for a command; an activity outlives an outage of the server, like everything else of a run.
  if (error instanceof ServiceError) {
    return ApplicationFailure.retryable('The Temporal server did not answer.', 'TEMPORAL_UNREACHABLE');
  }
  const known = error instanceof HubferryError ? error : asKnown(error);
  const { retryable } = ERRORS[known.code];
  return ApplicationFailure.create({
    type: known.code,
    message: known.message,
    nonRetryable: !retryable,
    // A passing fault is expected and retried: it is not worth an error in the log each time.
    ...(retryable ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

/** A socket that broke in the middle of a stream surfaces as a bare system error; anything else is a bug of ours. */
function asKnown(error: unknown): HubferryError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (/^(E[A-Z]{3,}|REQUEST_SEND_ERROR|PARSE_ERROR|ABORT_ERR)$/.test(code)) {
    return new HubferryError('STORAGE_UNREACHABLE', `A connection broke while data was moving (${code}).`);
  }
  // Messages of foreign errors may quote what they were given, so only their kind and place are told.
  const kind = error instanceof Error ? error.name : typeof error;
  const frame = error instanceof Error ? error.stack?.split('\n').find((line) => /^\s+at /.test(line)) : '';
  const place = /[^\s/\\(]+:\d+:\d+/.exec(frame ?? '')?.[0];
  return new HubferryError('INTERNAL', `Unexpected ${kind}${place === undefined ? '' : ` at ${place}`}.`);
}
