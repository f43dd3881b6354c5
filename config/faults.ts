import type { z } from 'zod';
import { HubferryError } from '../registry/errors.js';
import type { Path } from './environment.js';
import type { Override } from './overrides.js';
import { dotted, type YamlSource } from './yaml-source.js';

/** More than a screen of faults has one cause, and it is among the first. */
export const MAX_FAULTS = 10;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  int: 'a whole number',
  // Every number of the configuration is a whole one.
  number: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
};

/** Something wrong in a file. */
export interface Fault {
  readonly path: Path;
  readonly part: 'key' | 'value';
  readonly words: string;
}

/**
 * What zod found, as CONFIG_INVALID with one line per fault: file, line, column, path, and what is wrong. A value is
 * never in it: it may be a secret.
 */
export function configInvalid(
  issues: readonly z.core.$ZodIssue[],
  source: YamlSource,
  overrides: readonly Override[],
): HubferryError {
  const lines = issues
    .flatMap(faultsOf)
    .toSorted((a, b) => source.offset(a.path) - source.offset(b.path))
    .map(({ path, part, words }) => `${placeOf(path, part, source, overrides)}: ${words}`);
  return new HubferryError('CONFIG_INVALID', lines.slice(0, MAX_FAULTS).join('\n'));
}

function placeOf(
  path: Path,
  part: 'key' | 'value',
  source: YamlSource,
  overrides: readonly Override[],
): string {
  const overridden = overrides.some((item) => item.path.every((step, index) => path[index] === step));
  return overridden ? `--set ${dotted(path)}` : source.where(path, part);
}

/** One issue of zod as faults: where, and what is wrong in our words. A value is never in them. */
export function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], part: 'key', words: 'unknown key' }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, part: 'key', words: issue.issues[0]?.message ?? issue.message }];
  }
  const missing = issue.code === 'invalid_type' && issue.input === undefined;
  return [{ path, part: missing ? 'key' : 'value', words: missing ? 'this key is missing' : wordsOf(issue) }];
}

function wordsOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_union':
      // zod's own words say nothing.
      return issue.message === 'Invalid input' ? 'this value cannot be used here' : issue.message;
    default:
      return issue.message;
  }
}
