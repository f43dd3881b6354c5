import type { Command } from 'commander';

/** Options that every verb with a configuration has. */
export interface CommonOptions {
  readonly config?: string;
  readonly set: readonly string[];
  readonly json: boolean;
}

export interface RunOptions extends CommonOptions {
  readonly detach: boolean;
}

const collect = (value: string, all: readonly string[]): string[] => [...all, value];

/** Adds `--config`, `--set` and `--json`. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (default: hubferry.yaml in this folder)')
    .option('--set <key=value>', 'override a setting, e.g. settings.settle=1s (repeatable)', collect, [])
    .option('--json', 'print one JSON object at the end, and nothing else, on stdout', false);
}

/** Adds the common options and `--detach`. */
export function withRunOptions(command: Command): Command {
  return withCommonOptions(command).option('--detach', 'start the run and return at once', false);
}
