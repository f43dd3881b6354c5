import { type Command, InvalidArgumentError } from 'commander';
import { DURATION, parseDuration } from '../config/duration.js';

/** Options that every verb with a configuration has. */
export interface FileOptions {
  readonly config?: string;
  readonly json: boolean;
}

export interface CommonOptions extends FileOptions {
  readonly set: readonly string[];
}

export interface RunOptions extends CommonOptions {
  readonly detach: boolean;
}

/** Gathers the values of an option that may be given several times. */
export const collect = (value: string, all: readonly string[]): string[] => [...all, value];

export function withConfigOption(command: Command): Command {
  return command.option('-c, --config <file>', 'configuration file (default: hubferry.yaml in this folder)');
}

/** Adds `--config` and `--json`. */
export function withFileOptions(command: Command): Command {
  return withConfigOption(command).option(
    '--json',
    'print one JSON object at the end, and nothing else, on stdout',
    false,
  );
}

/** Adds `--config`, `--set` and `--json`. */
export function withCommonOptions(command: Command): Command {
  return withFileOptions(command).option(
    '--set <key=value>',
    'override a setting, e.g. settings.settle=1s (repeatable)',
    collect,
    [],
  );
}

/** Adds the common options and `--detach`. */
export function withRunOptions(command: Command): Command {
  return withCommonOptions(command).option('--detach', 'start the run and return at once', false);
}

/** A duration, in ms. */
export function milliseconds(value: string): number {
  if (DURATION.test(value)) return parseDuration(value);
  throw new InvalidArgumentError('It must be a duration such as 90s, 30m, 24h or 7d.');
}

/** The number of --max-delete. */
export function deletesAtMost(value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number from 0 up.');
}

/** Adds `--approve`. */
export function withApproveOption(command: Command): Command {
  return command.option('--approve', 'stop before the first write until `approve` is given the plan', false);
}
