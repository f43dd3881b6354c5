import { type Command, CommanderError } from 'commander';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import type { RunInput } from '../workflows/messages.js';
import { drillCommand } from './drill.js';
import { migrateCommand, verifyCommand } from './migrate.js';
import type { Start, Then } from './run.js';
import { snapshotCommand } from './snapshot.js';
import { shellQuote } from './text.js';

/** The verbs that a schedule can start, by the commands that read their arguments. */
const SCHEDULABLE: Readonly<Record<string, (then: Then) => Command>> = {
  snapshot: snapshotCommand,
  migrate: migrateCommand,
  verify: verifyCommand,
  drill: drillCommand,
};

/** Their names, as a sentence lists them. */
export const SCHEDULABLE_VERBS = Object.keys(SCHEDULABLE).join(', ');

/** What no time of a schedule can have, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  approve: '--approve waits for somebody; nobody is there when a schedule is due.',
  detach: '--detach says nothing in a schedule: nobody waits for its runs.',
  keysOut:
    '--keys-out writes a file here, where the runs are not; `hubferry status RUN --keys-out FILE` fetches keys.',
  follow: '--follow waits for somebody; nobody is there when a schedule is due.',
  plan: '--plan is about one moment; a schedule plans anew each time.',
  json: '--json is an option of `schedule create`: it stands before the --.',
};

/** A command that a schedule is to start. */
export interface ScheduledCommand {
  readonly config: Config;
  readonly start: Start<RunInput>;
  /** As it may be shown: words that look like a secret are masked. */
  readonly text: string;
}

/**
 * Reads a command for a schedule by the very code that reads the verb's own command line: what that refuses is refused
 * here. Makes no network call.
 *
 * @param words the verb and its arguments.
 * @param file the configuration of `schedule create`.
 * @throws HubferryError as the verb, and USAGE for what a schedule cannot have
 */
export async function readScheduled(
  words: readonly string[],
  file: string | undefined,
): Promise<ScheduledCommand> {
  const [verb = '', ...rest] = words;
  const make = Object.hasOwn(SCHEDULABLE, verb) ? SCHEDULABLE[verb] : undefined;
  if (make === undefined)
    throw new HubferryError(
      'USAGE',
      `"${maskSecrets(verb)}" cannot be scheduled; ${SCHEDULABLE_VERBS} can.`,
      'The command stands at the end: hubferry schedule create nightly --every 1d -- snapshot old',
    );
  let read: Omit<ScheduledCommand, 'text'> | null = null;
  const command = make({
    confirm: async (_, asks) => {
      throw new HubferryError('USAGE', `${asks}; a schedule asks nobody: it needs --yes.`);
    },
    conduct: async (config, _, start) => void (read = { config, start }),
  });
  command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  command.hook('preAction', (_, given) => refuse(given.opts(), file));
  try {
    await command.parseAsync([...(file === undefined ? [] : ['--config', file]), ...rest], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const what =
      error.exitCode === 0 ? 'it shows no help in a schedule' : error.message.replace(/^error: /, '');
    throw new HubferryError('USAGE', `${verb}: ${what}`, `See \`hubferry ${verb} --help\`.`);
  }
  if (read === null) throw new HubferryError('INTERNAL', `${verb} was read, but gives nothing to start.`);
  const text = maskSecrets(words.map(shellQuote).join(' '));
  return { ...(read as Omit<ScheduledCommand, 'text'>), text };
}

function refuse(options: Readonly<Record<string, unknown>>, file: string | undefined): void {
  for (const [name, why] of Object.entries(REFUSED)) {
    const value = options[name];
    if (value !== undefined && value !== false) throw new HubferryError('USAGE', why);
  }
  if (options['config'] !== file)
    throw new HubferryError('USAGE', '--config is an option of `schedule create`: it stands before the --.');
}
