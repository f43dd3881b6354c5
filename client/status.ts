import { Command } from 'commander';
import type { Config } from '../config/index.js';
import type { RunReport } from '../workflows/messages.js';
import { look, timed } from './follow.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { describe } from './progress.js';
import { printReport } from './run.js';
import { lost, openHandle, readReport, readReports } from './runs.js';
import { configOf, openSession, type Session } from './session.js';
import { duration, fold, table, widthOf } from './text.js';

export function statusCommand(): Command {
  return withCommonOptions(
    new Command('status')
      .summary('show one run')
      .description('Shows one run: how it stands while it goes on, and how it ended.')
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .addHelpText('after', '\nExample:\n  hubferry status 20260801-120000-ab12cd')
    .action(async (run: string, options: CommonOptions) => {
      const config = configOf(options);
      const stored = await readReport(config, run);
      if (stored.outcome !== 'running') {
        printReport(stored, options.json);
        return;
      }
      const session = await openSession(config, (line) => process.stderr.write(`${line}\n`));
      try {
        const handle = await openHandle(session.client, stored);
        const seen = handle && (await look(session, handle));
        if (seen === null) printReport(await ended(config, stored), options.json);
        else if (typeof seen === 'string') {
          const who = seen === 'no worker' ? 'no worker answers' : 'the Temporal server does not answer';
          process.stderr.write(`${who}; this is how the run began\n`);
          printReport(timed(stored), options.json);
        } else {
          process.stderr.write(`${describe(seen)}\n`);
          printReport(seen.report, options.json);
        }
      } finally {
        await session.close();
      }
    });
}

export function listCommand(): Command {
  return withCommonOptions(
    new Command('list')
      .summary('show all runs, newest first')
      .description('Shows all runs that left a report in the storage account, newest first.'),
  )
    .addHelpText('after', '\nExample:\n  hubferry list --json')
    .action(async (options: CommonOptions) => {
      const config = configOf(options);
      const stored = await readReports(config);
      const open = stored.some((report) => report.outcome === 'running');
      const session = open ? await openSession(config, (line) => process.stderr.write(`${line}\n`)) : null;
      try {
        const reports = await Promise.all(stored.map((report) => current(session, report)));
        if (options.json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
        else process.stdout.write(`${listText(reports, widthOf(process.stdout))}\n`);
      } finally {
        await session?.close();
      }
    });
}

async function current(session: Session | null, report: RunReport): Promise<RunReport> {
  if (session === null || report.outcome !== 'running') return report;
  const handle = await openHandle(session.client, report);
  if (handle === null) return ended(session.config, report);
  const seen = await look(session, handle);
  return typeof seen === 'string' ? timed(report) : seen.report;
}

/** The last word of a run that Temporal no longer runs; it may have come since the report was read. */
async function ended(config: Config, before: RunReport): Promise<RunReport> {
  const now = await readReport(config, before.run);
  return now.outcome === 'running' ? lost(now) : now;
}

/** One line a run; two where the hubs' names do not fit on a terminal. */
function listText(reports: readonly RunReport[], width: number): string {
  if (reports.length === 0) return 'no runs';
  const hubs = (report: RunReport): string => `${report.source}${report.target ? ` → ${report.target}` : ''}`;
  const rows = reports.map((report) => [
    report.run,
    report.workflow,
    report.outcome,
    duration(report.seconds.total * 1000),
    hubs(report),
  ]);
  const lines = table([['RUN', 'VERB', 'OUTCOME', 'TIME', 'HUBS'], ...rows]);
  if (lines.every((line) => line.length <= width)) return lines.join('\n');
  const short = table([['RUN', 'VERB', 'OUTCOME', 'TIME'], ...rows.map((row) => row.slice(0, 4))]);
  return short
    .flatMap((line, i) => {
      const report = reports[i - 1];
      return report ? [line, ...fold(`  ${hubs(report)}`, width)] : [line];
    })
    .join('\n');
}
