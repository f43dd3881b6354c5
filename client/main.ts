#!/usr/bin/env node
import { ApplicationFailure } from '@temporalio/common';
import { Command, CommanderError, Help, type Option } from 'commander';
import { ERRORS, HubferryError, isErrorCode } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import { VERSION } from '../worker/version.js';
import { isOutage } from './follow.js';
import { errorLines, failureReport } from './print.js';
import { widthOf } from './text.js';
import { VERBS } from './verbs.js';

/** The whole CLI as a commander program; does nothing until it is parsed. */
export function program(): Command {
  const hubferry = new Command('hubferry')
    .description(
      'Moves the device registry of one Azure IoT hub to another, durably, and proves that it arrived.',
    )
    .version(VERSION)
    .addHelpText(
      'after',
      '\nExamples:\n  hubferry check\n  hubferry plan old new\n  hubferry migrate old new\n' +
        '\nExit codes: 0 done and verified · 1 failed · 2 wrong usage or configuration\n' +
        '            3 finished with differences · 4 cancelled\n' +
        '            130 Ctrl-C (the run goes on)',
    );
  for (const verb of VERBS) hubferry.addCommand(verb());
  for (const command of [hubferry, ...hubferry.commands]) {
    command.exitOverride();
    command.showHelpAfterError('(add --help for the options)');
    command.configureHelp({ helpWidth: 80, optionDescription });
  }
  return hubferry;
}

/** As commander says it, but for defaults that go without saying: a switch is off, a list is empty. */
function optionDescription(option: Option): string {
  const { defaultValue, description } = option;
  const plain = defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return plain ? description : new Help().optionDescription(option);
}

async function main(): Promise<void> {
  // Whoever read our output is gone (`hubferry list | head -1`, a closed terminal): no reason to end with a stack.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has said it, or shown the help that was asked for.
      if (error.exitCode !== 0)
        fail(new HubferryError('USAGE', error.message.replace(/^error: /, '')), { said: true });
    } else fail(known(error));
  }
}

/** Ends with the error's exit code, its words on stderr and, under --json, the one object on stdout. */
function fail({ code, message, hint }: HubferryError, { said } = { said: false }): void {
  const error = { code, message, hint };
  if (!said) process.stderr.write(`${errorLines(error, widthOf(process.stderr)).join('\n')}\n`);
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify(failureReport(process.argv[2], error), null, 2)}\n`);
  }
  process.exitCode = ERRORS[code].exit;
}

/** What an error of a library comes to. A workflow's failure carries our code as a cause. */
function known(error: unknown): HubferryError {
  if (error instanceof HubferryError) return error;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
      return new HubferryError(cause.type, cause.message);
  }
  if (isOutage(error))
    return new HubferryError('TEMPORAL_UNREACHABLE', 'The Temporal server does not answer.');
  const { cause } = error instanceof Error ? error : {};
  const text = cause instanceof Error ? `${String(error)}: ${cause.message}` : String(error);
  return new HubferryError('INTERNAL', maskSecrets(text));
}

await main();
