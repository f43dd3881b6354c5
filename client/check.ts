import type { WorkflowHandle } from '@temporalio/client';
import { Command } from 'commander';
import type { Finding } from '../activities/check.js';
import { type Config, hubOf } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { CheckInput } from '../workflows/check.js';
import { emptyReport, TASK_QUEUE, writerIdOf } from '../workflows/messages.js';
import type { ProbeRunInput } from '../workflows/probe.js';
import { answer } from './answer.js';
import { findingsText } from './findings.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { print, printJson, say } from './print.js';
import { conduct } from './run.js';
import { newRunId } from './runs.js';
import { configOf, openSession, type Session, storageWithinReach } from './session.js';
import { duration, widthOf } from './text.js';

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
    .option(
      '--probe <hub>',
      'instead: answer what is not documented of the service, by throw-away records on a hub with `role: scratch`',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry check\n  hubferry check new\n  hubferry check --probe scratch',
    )
    .action(async (aliases: string[], options: CommonOptions & { readonly probe?: string }) => {
      const config = configOf(options);
      if (options.probe !== undefined) {
        await probe(config, options.probe, aliases, options);
        return;
      }
      const hubs =
        aliases.length > 0 ? aliases.map((alias) => hubOf(config, alias)) : [...config.hubs.values()];
      const hosts = [...new Set(hubs.map(({ host }) => host))];
      const session = await openSession(config);
      try {
        const run = newRunId();
        const notice = setTimeout(() => say('waiting for an answer of a worker'), PATIENCE);
        const asked = Date.now();
        const told = await answer<Finding[]>(await startCheck(session, run, hosts)).finally(() =>
          clearTimeout(notice),
        );
        const findings = [...temporalFindings(session.server, Date.now() - asked), ...told];
        const nameOf = (subject: string): string => nameIn(config, subject);
        if (options.json) printJson(reportOf(run, hosts, findings));
        else print(findingsText(findings, nameOf, widthOf(process.stdout)));
        process.exitCode = findings.every(({ ok }) => ok) ? 0 : 1;
      } finally {
        await session.close();
      }
    });
}

/** @throws HubferryError HUB_NOT_SCRATCH, HUB_READ_ONLY, before any call */
async function probe(
  config: Config,
  alias: string,
  others: readonly string[],
  options: CommonOptions,
): Promise<void> {
  if (others.length > 0) throw new HubferryError('USAGE', '--probe is about one hub, and takes no others.');
  const { host, role, readOnly } = hubOf(config, alias);
  if (role !== 'scratch')
    throw new HubferryError(
      'HUB_NOT_SCRATCH',
      `${alias} (${host}) has no \`role: scratch\` in ${config.path}.`,
    );
  if (readOnly) throw new HubferryError('HUB_READ_ONLY', `${alias} (${host}) is marked readOnly.`);
  storageWithinReach(config, [host]);
  await conduct(
    config,
    { ...options, detach: false },
    {
      workflow: 'probe',
      workflowId: () => writerIdOf(host),
      input: (base): ProbeRunInput => ({ ...base, target: { host } }),
      summary: `probe ${host}`,
      report: { workflow: 'probe', source: 'probe', target: host },
    },
  );
}

/** That there are findings at all proves both. @param took ms */
function temporalFindings(subject: string, took: number): Finding[] {
  const fine = { subject, ok: true, code: null, hint: null };
  return [
    { ...fine, check: 'server', detail: 'answers' },
    { ...fine, check: 'worker', detail: `tried the rest within ${duration(took)}` },
  ];
}

/** What a subject is, with the names that the configuration has for it. */
function nameIn(config: Config, subject: string): string {
  const aliases = [...config.hubs.values()].filter(({ host }) => host === subject).map(({ alias }) => alias);
  if (aliases.length > 0) return `hub ${aliases.join(', ')} · ${subject}`;
  return `${subject === config.storage?.account ? 'storage' : 'temporal'} · ${subject}`;
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

/** The one object of `--json`: what was found, as a run that is done. */
function reportOf(run: string, hosts: readonly string[], checks: readonly Finding[]): object {
  const report = emptyReport({ run, workflow: 'check', source: hosts.join(', '), target: null });
  const failed = checks.find(({ ok }) => !ok);
  const error =
    failed?.code && failed.hint ? { code: failed.code, message: failed.detail, hint: failed.hint } : null;
  return { ...report, phase: 'ended', outcome: failed ? 'failed' : 'done', error, checks };
}
