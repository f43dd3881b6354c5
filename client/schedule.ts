import { Command, InvalidArgumentError, Option } from 'commander';
import { type Config, NAME, parseDuration } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { Retention } from '../registry/retention.js';
import { maskSecrets } from '../registry/secrets.js';
import type { RunReport } from '../workflows/messages.js';
import { checkCron } from './cron.js';
import { fail } from './fail.js';
import { onInterrupt } from './interrupt.js';
import { type FileOptions, withFileOptions } from './options.js';
import { print, printJson, say } from './print.js';
import { isOpen, readReports } from './runs.js';
import {
  createdText,
  detailsJson,
  detailsText,
  type Listed,
  listedJson,
  listedText,
} from './schedule-text.js';
import { readScheduled, SCHEDULABLE_VERBS } from './scheduled-command.js';
import {
  backfillSchedule,
  createSchedule,
  deleteSchedule,
  describeSchedule,
  listSchedules,
  type Overlap,
  pauseSchedule,
  resumeSchedule,
  type SchedulePlan,
  triggerSchedule,
} from './schedules.js';
import { configOf, openSession, type Session } from './session.js';
import { current } from './status.js';
import { count, widthOf } from './text.js';

/** How many runs `show` shows. */
const RUNS_SHOWN = 10;

export function scheduleCommand(): Command {
  const schedule = new Command('schedule')
    .helpCommand(false)
    .summary(`start ${SCHEDULABLE_VERBS} again and again`)
    .description(
      `Starts ${SCHEDULABLE_VERBS} again and again. All times are UTC. A time that is due while the run before goes ` +
        'on is left out; so is one whose target is written to by another run, which leaves a report. ' +
        'docs/schedules.md tells it all.',
    );
  for (const make of [
    createCommand,
    listCommand,
    showCommand,
    pauseCommand,
    resumeCommand,
    triggerCommand,
    backfillCommand,
    deleteCommand,
  ])
    schedule.addCommand(make());
  return schedule;
}

export interface CreateOptions extends FileOptions {
  readonly every?: number;
  readonly cron?: string;
  readonly jitter?: number;
  readonly overlap: SchedulePlan['overlap'];
  readonly keep?: number;
  readonly keepAge?: number;
  readonly pauseOnFailure: boolean;
}

function createCommand(): Command {
  return withFileOptions(
    new Command('create')
      .summary('make a schedule')
      .description(
        'Makes the schedule NAME for the command after --, which is checked as if it ran now. Its runs have the ' +
          'settings and rules that it has now.',
      )
      .argument('<name>', 'letters, digits, dots, dashes and underscores')
      .argument('<command...>', `after --: ${SCHEDULABLE_VERBS}, and its arguments`),
  )
    .option('--every <time>', 'such as 6h or 1d, counted from 1970: 1d is midnight UTC', interval)
    .option('--cron <fields>', 'minute, hour, day of the month, month, day of the week; UTC')
    .option('--jitter <time>', 'start up to so much later, such as 5m', durationOption)
    .addOption(
      new Option('--overlap <policy>', 'a time that is due while the run before goes on: left out, or kept')
        .choices(['skip', 'buffer-one'])
        .default('skip'),
    )
    .option('--keep <number>', 'keep the snapshots of the newest runs only', atLeastOne)
    .option('--keep-age <time>', 'keep the snapshots of this age only, such as 30d', durationOption)
    .option('--pause-on-failure', 'pause when a run fails or ends with differences', false)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry schedule create nightly --every 1d --keep 14 -- snapshot old\n' +
        "  hubferry schedule create drift --cron '30 5 * * mon-fri' \\\n    --pause-on-failure -- verify old new",
    )
    .action(create);
}

async function create(name: string, words: readonly string[], options: CreateOptions): Promise<void> {
  const { config, plan } = await planOf(name, words, options);
  await withSession(config, async (session) => {
    onInterrupt(() =>
      fail(
        new HubferryError(
          'INTERRUPTED',
          'Interrupted; the schedule may have been made.',
          '`hubferry schedule list` shows it.',
        ),
      ),
    );
    await createSchedule(session, plan);
    const made = await describeSchedule(session.client, name);
    const text = createdText(made, config.temporal === null, widthOf(process.stdout));
    if (options.json) {
      for (const line of text.life) say(line);
      printJson({ outcome: 'done', ...detailsJson(made, []), error: null });
    } else print([...text.made, ...text.life].join('\n'));
  });
}

/**
 * What `schedule create` is asked for, checked without a network call.
 *
 * @throws HubferryError USAGE, and what the verb refuses
 */
export async function planOf(
  name: string,
  words: readonly string[],
  options: CreateOptions,
): Promise<{ readonly config: Config; readonly plan: SchedulePlan }> {
  checkName(name);
  const { every, cron, jitter, keep, keepAge, overlap, pauseOnFailure } = options;
  if ((every === undefined) === (cron === undefined))
    throw new HubferryError('USAGE', 'Say when: either --every or --cron.');
  const when = every === undefined ? { cron: checkCron(cron ?? '') } : { every };
  if (every !== undefined && jitter !== undefined && jitter >= every)
    throw new HubferryError('USAGE', '--jitter must be less than --every.');
  const { config, start, text } = await readScheduled(words, options.config);
  const retention: Retention = {
    ...(keep === undefined ? {} : { count: keep }),
    ...(keepAge === undefined ? {} : { age: keepAge }),
  };
  const keeps = Object.keys(retention).length > 0;
  if (keeps && start.report.workflow === 'verify')
    throw new HubferryError('USAGE', '--keep and --keep-age are about snapshots; verify keeps none.');
  const plan: SchedulePlan = {
    name,
    when,
    ...(jitter === undefined ? {} : { jitter }),
    overlap,
    pauseOnFailure,
    ...(keeps ? { keep: retention } : {}),
    command: text,
    start,
  };
  return { config, plan };
}

function listCommand(): Command {
  return withFileOptions(
    new Command('list')
      .summary('show all schedules')
      .description('Shows all schedules of this Temporal server: what they start, when, and how it ended.'),
  ).action(async (options: FileOptions) => {
    const config = configOf({ ...options, set: [] });
    await withSession(config, async (session) => {
      const schedules = await listSchedules(session.client);
      const reports = await readReports(config, say);
      const listed = await Promise.all(
        schedules.map(async (schedule): Promise<Listed> => {
          const last = reports.find((report) => report.schedule === schedule.name);
          return { schedule, last: last === undefined ? null : await asItStands(session, last) };
        }),
      );
      if (options.json) printJson(listed.map(listedJson));
      else print(listedText(listed, widthOf(process.stdout)));
    });
  });
}

const asItStands = async (session: Session, report: RunReport): Promise<RunReport> =>
  isOpen(report) ? (await current(session, report)).report : report;

function showCommand(): Command {
  return named('show', 'show one schedule', 'Shows one schedule: its next times and its last runs.').action(
    async (name: string, options: FileOptions) => {
      const config = checked(name, options);
      await withSession(config, async (session) => {
        const schedule = await describeSchedule(session.client, name);
        const reports = (await readReports(config, say)).filter((report) => report.schedule === name);
        const runs = await Promise.all(
          reports.slice(0, RUNS_SHOWN).map((report) => asItStands(session, report)),
        );
        if (options.json) printJson({ ...detailsJson(schedule, runs), error: null });
        else print(detailsText(schedule, runs, widthOf(process.stdout)));
      });
    },
  );
}

function pauseCommand(): Command {
  return named('pause', 'start nothing until it is resumed', 'Starts nothing until `schedule resume`.')
    .option('--reason <text>', 'why; it is shown, so never a secret', 'paused')
    .action(async (name: string, options: FileOptions & { readonly reason: string }) => {
      await act(name, options, async ({ client }) => {
        await pauseSchedule(client, name, maskSecrets(options.reason));
        return `Schedule ${name} is paused. A run that goes on does so.`;
      });
    });
}

function resumeCommand(): Command {
  return named(
    'resume',
    'end a pause',
    'Ends a pause. Times that were due meanwhile are not made up.',
  ).action(async (name: string, options: FileOptions) => {
    await act(name, options, async ({ client }) => {
      await resumeSchedule(client, name);
      return `Schedule ${name} goes on.`;
    });
  });
}

const TRIGGERED = {
  started: 'is started once more.',
  skipped: 'starts nothing: its run before goes on.',
  asked: 'was asked to start; it has not said so yet.',
} as const;

function triggerCommand(): Command {
  return named(
    'trigger',
    'start it now, once more',
    'Starts the command now, paused or not, unless the run before goes on.',
  ).action(async (name: string, options: FileOptions) => {
    await act(name, options, async ({ client }) => {
      const outcome = await triggerSchedule(client, name);
      const words = `Schedule ${name} ${TRIGGERED[outcome]} Look with: hubferry schedule show ${name}`;
      return { words, outcome: outcome === 'skipped' ? 'skipped' : 'done' };
    });
  });
}

interface BackfillOptions extends FileOptions {
  readonly from: Date;
  readonly to: Date;
  readonly overlap: Overlap;
}

function backfillCommand(): Command {
  return named(
    'backfill',
    'make up for times in the past',
    'Starts a run for each time between two moments of the past, in UTC.',
  )
    .requiredOption('--from <time>', 'such as 2026-08-01 or 2026-08-01T12:00:00', moment)
    .requiredOption('--to <time>', 'likewise', moment)
    .addOption(
      new Option('--overlap <policy>', 'all one after the other, one more, or none while one goes on')
        .choices(['buffer-all', 'buffer-one', 'skip'])
        .default('buffer-all'),
    )
    .addHelpText(
      'after',
      '\nExample:\n  hubferry schedule backfill nightly --from 2026-08-01 --to 2026-08-03',
    )
    .action(async (name: string, options: BackfillOptions) => {
      const { from, to, overlap } = options;
      if (from >= to) throw new HubferryError('USAGE', '--from must be before --to.');
      if (to.getTime() > Date.now()) throw new HubferryError('USAGE', '--to must be in the past.');
      await act(name, options, async ({ client }) => {
        const times = await backfillSchedule(client, name, { from, to }, overlap);
        const words = `Times of ${name} to be made up: ${count(times)}`;
        return { words, more: { times } };
      });
    });
}

function deleteCommand(): Command {
  return named(
    'delete',
    'end a schedule for good',
    'Ends a schedule. Its snapshots and reports stay.',
  ).action(async (name: string, options: FileOptions) => {
    await act(name, options, async ({ client }) => {
      await deleteSchedule(client, name);
      return `Schedule ${name} is deleted. A run that goes on does so.`;
    });
  });
}

function named(verb: string, summary: string, description: string): Command {
  return withFileOptions(new Command(verb).summary(summary).description(description)).argument(
    '<name>',
    'NAME, as schedule list prints it',
  );
}

/** @throws HubferryError USAGE for what is no name */
function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new HubferryError(
    'USAGE',
    `"${maskSecrets(name)}" is no name of a schedule: up to 64 letters, digits, dots, dashes and underscores.`,
  );
}

function checked(name: string, options: FileOptions): Config {
  checkName(name);
  return configOf({ ...options, set: [] });
}

async function withSession(config: Config, use: (session: Session) => Promise<void>): Promise<void> {
  const session = await openSession(config);
  try {
    await use(session);
  } finally {
    await session.close();
  }
}

/** What was done, in words, and as an object. */
interface Done {
  readonly words: string;
  readonly outcome?: 'done' | 'skipped';
  readonly more?: object;
}

async function act(
  name: string,
  options: FileOptions,
  does: (session: Session) => Promise<string | Done>,
): Promise<void> {
  await withSession(checked(name, options), async (session) => {
    const answer = await does(session);
    const {
      words,
      outcome = 'done',
      more = {},
    }: Done = typeof answer === 'string' ? { words: answer } : answer;
    if (options.json) printJson({ outcome, schedule: name, ...more, error: null });
    else print(words);
    if (outcome === 'skipped') process.exitCode = 3;
  });
}

function durationOption(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    throw new InvalidArgumentError('It must be a whole number and a unit, such as 90s, 15m, 6h or 1d.');
  }
}

function interval(text: string): number {
  const every = durationOption(text);
  if (every < 1_000) throw new InvalidArgumentError('It must be a second or more.');
  return every;
}

function atLeastOne(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 up.');
}

/** A moment in UTC: a date, or a date and a time; without a zone, or with Z. */
function moment(text: string): Date {
  const [, day, time = '00:00'] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)Z?)?$/.exec(text) ?? [];
  const date = new Date(`${day}T${time}Z`);
  if (day !== undefined && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)) return date;
  throw new InvalidArgumentError('It must be a moment in UTC, such as 2026-08-01T12:00:00.');
}
