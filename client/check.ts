import { Command } from 'commander';
import type { Finding } from '../activities/check.js';
import { hubOf } from '../config/index.js';
import type { CheckInput } from '../workflows/check.js';
import { emptyReport, TASK_QUEUE } from '../workflows/messages.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { newRunId } from './runs.js';
import { configOf, openSession } from './session.js';
import { fold, plain, widthOf } from './text.js';

/** A check takes seconds; a hub that does not answer is tried for a minute. ms */
const GIVE_UP_AFTER = 600_000;

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
      const session = await openSession(config, (line) => process.stderr.write(`${line}\n`));
      try {
        const { account, settings } = session;
        const hosts = [...new Set(hubs.map(({ host }) => host))];
        const input: CheckInput = { account, settings, hosts };
        const run = newRunId();
        const handle = await session.client.workflow.start<(input: CheckInput) => Promise<Finding[]>>(
          'check',
          {
            workflowId: `check/${run}`,
            taskQueue: TASK_QUEUE,
            args: [input],
            staticSummary: 'check',
            // One that was given up with Ctrl-C while there was no worker.
            workflowExecutionTimeout: GIVE_UP_AFTER,
          },
        );
        const notice = setTimeout(
          () => process.stderr.write('waiting for an answer of a worker\n'),
          PATIENCE,
        );
        const findings = await handle.result().finally(() => clearTimeout(notice));
        if (options.json)
          process.stdout.write(`${JSON.stringify(reportOf(run, hosts, findings), null, 2)}\n`);
        else process.stdout.write(`${findingsText(findings, widthOf(process.stdout))}\n`);
        process.exitCode = findings.every(({ ok }) => ok) ? 0 : 1;
      } finally {
        await session.close();
      }
    });
}

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
