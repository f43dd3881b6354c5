import type { Client } from '@temporalio/client';
import type * as workflows from '../workflows/index.js';

/** What keeps an embedded server from being idle. */
export interface OpenWork {
  /** Runs that users see: open workflows that no other workflow started. */
  readonly runs: number;
  /** All open workflows but the hubs' queues. */
  readonly workflows: number;
  /** Schedules that are not paused. */
  readonly schedules: number;
}

/** A hub's queue waits for an hour before it ends: it is open, but does nothing by itself. */
const QUEUE: keyof typeof workflows = 'hubQueue';

/** Counts what is open on a server. */
export async function openWork(client: Client): Promise<OpenWork> {
  const counts = { runs: 0, workflows: 0, schedules: 0 };
  const query = `ExecutionStatus = "Running" AND WorkflowType != "${QUEUE}"`;
  for await (const execution of client.workflow.list({ query })) {
    counts.workflows++;
    if (execution.parentExecution === undefined) counts.runs++;
  }
  for await (const schedule of client.schedule.list()) {
    if (!schedule.state.paused) counts.schedules++;
  }
  return counts;
}

export function isIdle(work: OpenWork): boolean {
  return work.workflows === 0 && work.schedules === 0;
}

/** `2 open runs and 1 schedule` */
export function describeWork(work: OpenWork): string {
  // A job whose run was terminated is watched to its end: say that something is open even if no run is.
  const runs = Math.max(work.runs, work.workflows > 0 ? 1 : 0);
  const words = [count(runs, 'open run'), count(work.schedules, 'schedule')].filter((text) => text !== '');
  return words.join(' and ') || 'nothing open';
}

function count(number: number, noun: string): string {
  if (number === 0) return '';
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
