import { Command, InvalidArgumentError, Option } from 'commander';
import { type Config, hubOf } from '../config/index.js';
import { isMissed } from '../registry/objective.js';
import { OUTCOMES, RUN_VERBS, type RunReport } from '../workflows/messages.js';
import { type CommonOptions, milliseconds, withCommonOptions } from './options.js';
import { print, printJson, say } from './print.js';
import { isOpen, readReports } from './runs.js';
import { configOf, openSession } from './session.js';
import { current } from './status.js';
import { count, duration, fold, joined, table, typed, widthOf } from './text.js';

interface ListOptions extends CommonOptions {
  readonly verb?: RunReport['workflow'];
  readonly outcome?: RunReport['outcome'];
  readonly drills: boolean;
  readonly hub?: string;
  /** ms */
  readonly since?: number;
  readonly limit?: number;
}

export function listCommand(): Command {
  return withCommonOptions(
    new Command('list')
      .summary('show runs, newest first')
      .description('Shows the runs that left a report in the storage account, newest first.'),
  )
    .addOption(new Option('--verb <verb>', 'only runs of this verb').choices(RUN_VERBS))
    .addOption(new Option('--outcome <outcome>', 'only runs that stand or ended so').choices(OUTCOMES))
    .option('--drills', 'only drills, with their times and the objectives', false)
    .option('--hub <alias>', 'only runs from or to this hub')
    .option('--since <duration>', 'only runs begun in the last e.g. 12h or 7d', milliseconds)
    .option('--limit <number>', 'so many runs at most', limit)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry list --json\n  hubferry list --verb migrate --outcome differences --since 7d\n' +
        '  hubferry list --drills',
    )
    .action(async (options: ListOptions) => {
      const config = configOf(options);
      const stored = (await readReports(config, say)).filter(wanted(config, options));
      const session = stored.some(isOpen) ? await openSession(config) : null;
      try {
        const runs = await Promise.all(
          stored.map(async (report) =>
            session && isOpen(report) ? await current(session, report) : { report },
          ),
        );
        // How a run stands is known only now.
        const { outcome, limit: most } = options;
        const shown = runs
          .filter(({ report }) => outcome === undefined || report.outcome === outcome)
          .slice(0, most);
        const reports = shown.map(({ report }) => report);
        for (const { report, note } of shown) if (note) say(`${report.run}: ${note}`);
        if (options.json) printJson(reports);
        else print(options.drills ? drillsText(reports) : listText(reports, widthOf(process.stdout)));
      } finally {
        await session?.close();
      }
    });
}

/** What of a stored report can be told without asking anybody. */
function wanted(
  config: Config,
  { verb, outcome, drills, hub, since: age }: ListOptions,
): (report: RunReport) => boolean {
  const host = hub === undefined ? undefined : hubOf(config, hub).host;
  const from = age === undefined ? '' : new Date(Date.now() - age).toISOString();
  return (report) =>
    (verb === undefined || report.workflow === verb) &&
    (!drills || report.workflow === 'drill') &&
    (host === undefined || report.source === host || report.target === host) &&
    report.started >= from &&
    (outcome === undefined || isOpen(report) || report.outcome === outcome);
}

function limit(value: string): number {
  if (/^[1-9]\d{0,6}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number above 0.');
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
  if (lines.every((line) => line.length <= width)) return joined(lines);
  const short = table([['RUN', 'VERB', 'OUTCOME', 'TIME'], ...rows.map((row) => row.slice(0, 4))]);
  return joined(
    short.flatMap((line, i) => {
      const report = reports[i - 1];
      return report ? [line, ...fold(`  ${hubs(report)}`, width)] : [line];
    }),
  );
}

/** The trend of drills: what each has measured, before the objective where it has one. */
function drillsText(reports: readonly RunReport[]): string {
  if (reports.length === 0) return 'no drills';
  const time = (seconds: number | undefined, objective: number | null | undefined): string => {
    if (seconds === undefined) return '-';
    const short = duration(seconds * 1000)
      .replaceAll(' min', 'm')
      .replaceAll(/ (?=\D)/g, '');
    if (typeof objective !== 'number') return short;
    return `${short}/${typed(objective * 1000)}${isMissed(seconds, objective) ? '!' : ''}`;
  };
  const rows = reports.map(({ run, outcome, ledger, drill, cleaned }) => [
    run,
    outcome,
    count(ledger.applied),
    time(drill?.rto, drill?.objectives.rto),
    time(drill?.rpo, drill?.objectives.rpo),
    cleaned === undefined ? '-' : cleaned ? 'yes' : 'NO',
  ]);
  return joined(table([['RUN', 'OUTCOME', 'RECORDS', 'RTO', 'RPO', 'EMPTY'], ...rows], [2]));
}
