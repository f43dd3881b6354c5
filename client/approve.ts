import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Command } from 'commander';
import { HubferryError, isErrorCode } from '../registry/errors.js';
import { approve, type RunReport } from '../workflows/messages.js';
import { isOutage } from './follow.js';
import { refuseExisting } from './new-keys.js';
import { type RunOptions, withRunOptions } from './options.js';
import { checkPlan } from './plans.js';
import { Progress } from './progress.js';
import { attend } from './run.js';
import { checkRun, openHandle, readReport, type StartedRun } from './runs.js';
import { configOf, openSession, type Session } from './session.js';

interface ApproveOptions extends RunOptions {
  readonly keysOut?: string;
}

/** How long an approval may take to be answered, ms. */
const ANSWER_TIME = 30_000;

export function approveCommand(): Command {
  return withRunOptions(
    new Command('approve')
      .summary('let a run with --approve carry out its plan')
      .description(
        'Approves the plan of a parked run by its hash, and follows the run to its end. The target is ' +
          'exported and planned again first: where the plan is another one by then, nothing is written.',
      )
      .argument('<run>', 'RUN, as migrate and list print it')
      .argument('<plan>', '8 or more digits of the hash of its plan'),
  )
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText('after', '\nExample:\n  hubferry approve 20260801-120000-ab12cd 9f86d081884c7d65')
    .action(async (run: string, plan: string, options: ApproveOptions) => {
      checkRun(run);
      const hash = checkPlan(plan);
      const config = configOf(options);
      refuseExisting(options.keysOut);
      const stored = await readReport(config, run);
      const progress = new Progress();
      const session = await openSession(config, (line) => progress.say(line));
      try {
        const started = await approved(session, stored, hash);
        await attend(session, started, progress, options, { keysOut: options.keysOut });
      } finally {
        progress.end();
        await session.close();
      }
    });
}

/** @throws HubferryError NOT_PARKED, PLAN_OTHER, NO_WORKER */
async function approved(session: Session, stored: RunReport, hash: string): Promise<StartedRun> {
  const { client } = session;
  const handle = await openHandle(client, stored);
  if (handle === null)
    throw new HubferryError('NOT_PARKED', `Run ${stored.run} has ended, or runs under another server.`);
  const { workflowId, runId } = await handle.describe();
  try {
    await client.connection.withDeadline(Date.now() + ANSWER_TIME, () =>
      client.workflow.getHandle(workflowId, runId).executeUpdate(approve, { args: [hash] }),
    );
  } catch (error) {
    const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
      throw new HubferryError(cause.type, cause.message);
    if (isOutage(error)) throw new HubferryError('NO_WORKER', 'No worker took the approval.');
    throw error;
  }
  return { begun: stored, workflowId, runId, attached: true };
}
