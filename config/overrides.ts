import { parse } from 'yaml';
import { HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import { maskSecrets } from '../registry/secrets.js';

/** One `--set`. */
export interface Override {
  /** From the root: `['settings', 'settle']`. */
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Settings that no run is told of: what is said of them, and what to do instead. */
const NOT_OF_A_RUN: Readonly<Record<string, readonly [string, string]>> = {
  'settings.metricsPort': [
    'this belongs to the worker’s process, not to a command',
    'Write it into the configuration, or use `hubferry worker --metrics-port`.',
  ],
  'settings.rates': [
    'this belongs to the worker’s process, not to a command',
    'Write it into the configuration; `hubferry throttle` slows one run.',
  ],
  'settings.keyId': [
    'worker and commands go by their configuration',
    'Write it into the configuration of worker and commands.',
  ],
};

/**
 * Reads an override such as `settings.settle=1s`. Only settings can be overridden: a secret has no place on a command
 * line, and everything else belongs to what an embedded worker is started with.
 *
 * @throws HubferryError USAGE
 */
export function parseOverride(text: string): Override {
  const [, path, value = ''] = /^(settings(?:\.[A-Za-z]+)+)=(.*)$/s.exec(text) ?? [];
  if (path === undefined) {
    // What stands after "=" is left out: somebody may have tried to pass a secret.
    const name = maskSecrets(text.split('=')[0] ?? '');
    throw new HubferryError(
      'USAGE',
      `--set ${name}: expected settings.NAME=VALUE, such as settings.settle=1s`,
    );
  }
  const refused = NOT_OF_A_RUN[path];
  if (refused !== undefined) throw new HubferryError('USAGE', `--set ${path}: ${refused[0]}`, refused[1]);
  return { path: path.split('.'), value: scalar(value) };
}

/** `50000` is a number and `1s` a text, as they would be in the file. */
function scalar(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** A copy of `root` with the overridden values in it. */
export function override(root: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce((value, { path, value: replacement }) => place(value, path, replacement), root);
}

function place(holder: unknown, [step, ...rest]: readonly string[], replacement: unknown): unknown {
  if (step === undefined) return replacement;
  const members = isJsonObject(holder) ? holder : {};
  return { ...members, [step]: place(members[step], rest, replacement) };
}
