import type { WorkflowHandle } from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import type { Config } from '../config/index.js';
import { HubferryError, isErrorCode } from '../registry/errors.js';
import { temporal } from '../worker/temporal.js';
import type { RunReport } from '../workflows/messages.js';
import { isOutage, look } from './follow.js';
import { Progress } from './progress.js';
import { checkRun, isOpen, openHandle, readReport, type StartedRun } from './runs.js';
import { openSession, type Session } from './session.js';

/** How long a run may take to answer, ms. */
const ANSWER_TIME = 30_000;

type Execute<R> = (name: string, options: { readonly args: readonly unknown[] }) => Promise<R>;

/** A run that this Temporal server runs. */
export interface Steered {
  readonly session: Session;
  readonly progress: Progress;
  readonly started: StartedRun;
  /** Asks something of the run. @throws HubferryError with the code that it is refused with; NO_WORKER */
  readonly ask: <R, A extends unknown[]>(update: UpdateDefinition<R, A>, args: A) => Promise<R>;
  /** How it stands. */
  readonly report: () => Promise<RunReport>;
}

/**
 * Takes hold of a run that goes on.
 *
 * @throws HubferryError USAGE, RUN_NOT_FOUND; RUN_ENDED also for one that another server runs
 */
export async function steer(
  config: Config,
  run: string,
  use: (steered: Steered) => Promise<void>,
): Promise<void> {
  checkRun(run);
  const begun = await readReport(config, run);
  if (!isOpen(begun)) throw new HubferryError('RUN_ENDED', `Run ${run} has ended: ${begun.outcome}.`);
  const progress = await Progress.open();
  const session = await openSession(config, (line) => progress.say(line));
  try {
    const { client } = session;
    const open = await openHandle(client, begun);
    if (open === null)
      throw new HubferryError('RUN_ENDED', `Run ${run} has ended, or runs under another Temporal server.`);
    const { workflowId, runId } = await open.describe();
    const handle = client.workflow.getHandle(workflowId, runId);
    await use({
      session,
      progress,
      started: { begun, workflowId, runId, attached: true },
      ask: (update, args) => ask(session, handle, update, args),
      report: async () => {
        const seen = await look(session, handle);
        return typeof seen === 'string' ? await readReport(config, run) : seen.report;
      },
    });
  } finally {
    progress.end();
    await session.close();
  }
}

async function ask<R, A extends unknown[]>(
  { client }: Session,
  handle: WorkflowHandle,
  update: UpdateDefinition<R, A>,
  args: A,
): Promise<R> {
  try {
    return await client.connection.withDeadline(Date.now() + ANSWER_TIME, () =>
      (handle.executeUpdate as Execute<R>)(update.name, { args }),
    );
  } catch (error) {
    const { ApplicationFailure, WorkflowUpdateFailedError } = temporal();
    const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
      throw new HubferryError(cause.type, cause.message);
    if (isOutage(error)) throw new HubferryError('NO_WORKER', 'No worker took the request.');
    throw error;
  }
}
