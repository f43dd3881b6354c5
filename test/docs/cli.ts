import { type Command, CommanderError } from 'commander';
import { checkCommand } from '../../client/check.js';
import { downCommand } from '../../client/down.js';
import { migrateCommand, planCommand, verifyCommand } from '../../client/migrate.js';
import { simulatorCommand } from '../../client/simulator.js';
import { snapshotCommand } from '../../client/snapshot.js';
import { listCommand, statusCommand } from '../../client/status.js';
import { upCommand } from '../../client/up.js';
import { workerCommand } from '../../client/worker.js';
import { parseOverride } from '../../config/overrides.js';
import { settingsSchema } from '../../config/settings.js';

/** The factories of the verbs, by name. A command keeps what it parsed, so each is made anew. */
export const FACTORIES: Readonly<Record<string, () => Command>> = {
  migrateCommand,
  planCommand,
  verifyCommand,
  snapshotCommand,
  checkCommand,
  statusCommand,
  listCommand,
  upCommand,
  downCommand,
  workerCommand,
  simulatorCommand,
};

/** The flags that every verb and the program itself have. */
const GENERAL = ['-h', '--help', '-V', '--version'];

/** Every long and short option of any verb. */
export function allOptions(): Set<string> {
  const own = Object.values(FACTORIES).flatMap((make) =>
    make().options.flatMap(({ long, short }) => [long, short]),
  );
  return new Set([...GENERAL, ...own.filter((flag) => typeof flag === 'string')]);
}

/** Reads a command line without running it. @throws Error that says what the program would not take. */
export function parse(words: readonly string[]): Command {
  const [verb, ...rest] = words;
  const command = Object.values(FACTORIES)
    .map((make) => make())
    .find((made) => made.name() === verb);
  if (command === undefined) throw new Error(`there is no verb ${verb}`);
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  const { operands, unknown } = command.parseOptions(rest.filter((word) => !GENERAL.includes(word)));
  if (unknown.length > 0) throw new Error(`${verb} has no option ${unknown.join(' ')}`);
  const { registeredArguments: wanted } = command;
  const least = wanted.filter(({ required }) => required).length;
  const most = wanted.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : wanted.length;
  if (rest.length !== 1 || !GENERAL.includes(rest[0] ?? '')) {
    if (operands.length < least || operands.length > most)
      throw new Error(`${verb} does not take ${operands.length} arguments`);
  }
  for (const text of (command.opts()['set'] as string[] | undefined) ?? []) {
    const name = parseOverride(text).path[1] ?? '';
    if (!Object.hasOwn(settingsSchema.shape, name)) throw new Error(`there is no setting ${name}`);
  }
  return command;
}

/** What is wrong with a command line, or null. */
export function complaint(words: readonly string[]): string | null {
  const [first = ''] = words;
  if (GENERAL.includes(first)) return words.length === 1 ? null : `${first} stands alone`;
  try {
    parse(words);
    return null;
  } catch (error) {
    if (error instanceof CommanderError || error instanceof Error) return error.message;
    throw error;
  }
}
