import { type Command, CommanderError } from 'commander';
import { VERBS } from '../../client/verbs.js';
import { parseOverride } from '../../config/overrides.js';
import { settingsSchema } from '../../config/settings.js';

/** The flags that every verb and the program itself have. */
const GENERAL = ['-h', '--help', '-V', '--version'];

/** Every long and short option of any verb. */
export function allOptions(): Set<string> {
  const verbs = VERBS.map((make) => make());
  const own = [...verbs, ...verbs.flatMap(({ commands }) => commands)].flatMap(({ options }) =>
    options.flatMap(({ long, short }) => [long, short]),
  );
  return new Set([...GENERAL, ...own.filter((flag) => typeof flag === 'string')]);
}

/** Reads a command line without running it. @throws Error that says what the program would not take. */
export function parse(words: readonly string[]): Command {
  return read(
    VERBS.map((make) => make()),
    words,
  );
}

function read(commands: readonly Command[], words: readonly string[]): Command {
  const [verb, ...rest] = words;
  const command = commands.find((made) => made.name() === verb);
  if (command === undefined) throw new Error(`there is no verb ${verb}`);
  if (command.commands.length > 0 && rest.length > 0) return read(command.commands, rest);
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
  const scheduled = rest.indexOf('--');
  if (scheduled >= 0) parse(rest.slice(scheduled + 1));
  for (const text of (command.opts()['set'] as string[] | undefined) ?? []) {
    const name = parseOverride(text).path[1] ?? '';
    if (!Object.hasOwn(settingsSchema.shape, name)) throw new Error(`there is no setting ${name}`);
  }
  return command;
}

/** The words of a command line as a shell takes them: what stands in quotes is part of one. */
export function wordsOf(line: string): string[] {
  const words = line.trim().match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'));
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
