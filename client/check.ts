import { setTimeout as pause } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { Command } from 'commander';
import type { Finding } from '../activities/check.js';
import { hubOf } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { temporal } from '../worker/temporal.js';
import type { CheckInput } from '../workflows/check.js';
import { emptyReport, TASK_QUEUE } from '../workflows/messages.js';
import { outlasting } from './follow.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { printJson, say } from './print.js';
import { newRunId } from './runs.js';
import { configOf, openSession, type Session } from './session.js';
import { fold, plain, widthOf } from './text.js';

/** A worker that is there takes a check at once; in embedded mode one that died is back long before. ms */
const WORKER_TIME = 60_000;

/** A hub that does not answer is tried three times for two minutes each, ms. */
const CHECK_TIME = 600_000;

/** A worker that is there answers sooner, ms. */
const PATIENCE = 5_000;

export function checkCommand(): Command {
  return withCommonOptions(
    new Command('check')
      .summary('try hubs, storage and permissions before anything runs')
      .description(
        'Asks the storage account and every hub (or the named ones) from where the worker runs. ' +
          'Rights are proven by calls that cannot change anything.',
      )
      .argument('[hubs...]', 'aliases (default: all of the configuration)'),
  )
    .addHelpText('after', '\nExamples:\n  hubferry check\n  hubferry check new')
    .action(async (aliases: string[], options: CommonOptions) => {
      const config = configOf(options);
      const hubs =
        aliases.length > 0 ? aliases.map((alias) => hubOf(config, alias)) : [...config.hubs.values()];
      const hosts = [...new Set(hubs.map(({ host }) => host))];
      const session = await openSession(config);
      try {
        const run = newRunId();
        const notice = setTimeout(() => say('waiting for an answer of a worker'), PATIENCE);
        const findings = await answer(await startCheck(session, run, hosts)).finally(() =>
          clearTimeout(notice),
        );
        if (options.json) printJson(reportOf(run, hosts, findings));
        else process.stdout.write(`${findingsText(findings, widthOf(process.stdout))}\n`);
        process.exitCode = findings.every(({ ok }) => ok) ? 0 : 1;
      } finally {
        await session.close();
      }
    });
}

async function startCheck(
  { client, account, settings }: Session,
  run: string,
  hosts: readonly string[],
): Promise<WorkflowHandle> {
  const input: CheckInput = { account, settings, hosts };
  return await client.workflow.start('check', {
    workflowId: `check/${run}`,
    taskQueue: TASK_QUEUE,
    args: [input],
    staticSummary: 'check',
    // One that was given up with Ctrl-C while there was no worker.
    workflowExecutionTimeout: CHECK_TIME,
  });
}

/**
 * What the check found; a server that is away for a while is waited for.
 *
 * @param workerTime how long a worker may take to begin, ms
 * @throws HubferryError NO_WORKER
 */
export async function answer(
  handle: Pick<WorkflowHandle, 'result' | 'describe' | 'terminate'>,
  workerTime = WORKER_TIME,
): Promise<Finding[]> {
  const over = new AbortController();
  const untaken = async (): Promise<never> => {
    await pause(workerTime, undefined, { signal: over.signal });
    const { historyLength } = await outlasting(() => handle.describe(), over.signal);
    if (historyLength > UNTAKEN) return await new Promise<never>(() => undefined);
    await handle.terminate('no worker took it');
    throw new HubferryError('NO_WORKER', 'No worker takes the check.');
  };
  try {
    return await Promise.race([outlasting(() => handle.result(), over.signal), untaken()]);
  } catch (error) {
    const { TimeoutFailure, WorkflowFailedError } = temporal();
    if (error instanceof WorkflowFailedError && error.cause instanceof TimeoutFailure)
      throw new HubferryError('NO_WORKER', 'No worker finished the check within ten minutes.');
    throw error;
  } finally {
    over.abort();
  }
}

/** Events of a workflow that no worker has taken: it was started, and its first task put on the queue. */
const UNTAKEN = 2;

/** The one object of `--json`: what was found, as a run that is done. */
function reportOf(run: string, hosts: readonly string[], checks: readonly Finding[]): object {
  const report = emptyReport({ run, workflow: 'check', source: hosts.join(', '), target: null });
  const failed = checks.find(({ ok }) => !ok);
  const error =
    failed?.code && failed.hint ? { code: failed.code, message: failed.detail, hint: failed.hint } : null;
  return { ...report, phase: 'ended', outcome: failed ? 'failed' : 'done', error, checks };
}

function findingsText(findings: readonly Finding[], width: number): string {
  const lines: string[] = [];
  let subject = '';
  for (const finding of findings) {
    if (finding.subject !== subject) lines.push(finding.subject);
    subject = finding.subject;
    const what = `  ${finding.ok ? 'ok    ' : 'FAILED'}  ${finding.check.padEnd(14)}  `;
    lines.push(...fold(`${what}${plain(finding.detail)}`, width, what.length - 2));
    if (finding.hint) lines.push(...fold(`${' '.repeat(what.length)}${finding.hint}`, width, 0));
  }
  return lines.join('\n');
}
