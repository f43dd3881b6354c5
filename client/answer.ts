import { setTimeout as pause } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { HubferryError } from '../registry/errors.js';
import { temporal } from '../worker/temporal.js';
import { outlasting } from './follow.js';

/** A worker that is there takes a task at once; in embedded mode one that died is back long before. ms */
const WORKER_TIME = 60_000;

/**
 * What a small workflow answers; a server that is away for a while is waited for.
 *
 * @param workerTime how long a worker may take to begin, ms
 * @throws HubferryError NO_WORKER
 */
export async function answer<T>(
  handle: Pick<WorkflowHandle, 'result' | 'describe' | 'terminate'>,
  workerTime = WORKER_TIME,
): Promise<T> {
  const over = new AbortController();
  const untaken = async (): Promise<never> => {
    await pause(workerTime, undefined, { signal: over.signal });
    const { historyLength } = await outlasting(() => handle.describe(), over.signal);
    if (historyLength > UNTAKEN) return await new Promise<never>(() => undefined);
    await handle.terminate('no worker took it');
    throw new HubferryError('NO_WORKER', 'No worker takes what was asked.');
  };
  try {
    return await Promise.race([outlasting(() => handle.result() as Promise<T>, over.signal), untaken()]);
  } catch (error) {
    const { TimeoutFailure, WorkflowFailedError } = temporal();
    if (error instanceof WorkflowFailedError && error.cause instanceof TimeoutFailure)
      throw new HubferryError('NO_WORKER', 'No worker finished what was asked in time.');
    throw error;
  } finally {
    over.abort();
  }
}

/** Events of a workflow that no worker has taken: it was started, and its first task put on the queue. */
const UNTAKEN = 2;
