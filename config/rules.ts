import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { HubferryError } from '../registry/errors.js';
import { type Actions, KEY_POLICIES, type Rule, regExpOf, ruleName } from '../registry/rules.js';
import type { Path } from './environment.js';
import { faultsOf, MAX_FAULTS } from './faults.js';
import { compilePredicate, PredicateFault } from './predicate.js';
import { dotted, YamlSource } from './yaml-source.js';

/** Rules travel in the input of a run, which is made for small things. */
const MAX_BYTES = 256 * 1024;
/** A report holds a row for each. */
const MAX_RULES = 200;

/** Names without what the service allows in none (facts §5). */
const STEP = String.raw`[^\s.$\u0000-\u001f\u007f-\u009f]+`;
export const twinPathText = z
  .string()
  .regex(
    new RegExp(String.raw`^${STEP}(?:\.${STEP}){0,9}$`),
    'expected a path such as site or location.floor, of names without $ and spaces',
  );

const twinEdit = z
  .strictObject({
    remove: z.array(twinPathText).min(1).optional().describe('Paths to remove, before anything is set.'),
    set: z
      .record(twinPathText, z.json())
      .optional()
      .describe('Values by path. Objects that are missing on the way are made.'),
  })
  .refine(
    ({ remove = [], set = {} }) => remove.length + Object.keys(set).length > 0,
    'expected something to set or to remove',
  )
  .refine(({ set = {} }) => !holdsNull(set), {
    message: 'a twin cannot hold null; use remove',
    path: ['set'],
  });

const renameTemplate = z
  .string()
  .min(1)
  .refine((text) => !/\{\{(?!id\}\})/.test(text), 'a template knows {{id}} and nothing else');

const renameMatch = z.strictObject({
  match: z.string().min(1).refine(isRegExp, 'this is not a regular expression'),
  to: z.string().describe('As in JavaScript: $1 is the first group.'),
});

const actions = z
  .strictObject({
    include: z.literal(true).optional().describe('Move the record.'),
    exclude: z.literal(true).optional().describe('Leave the record out; on the target it is left alone.'),
    delete: z.literal(true).optional().describe('Of edit only: delete the record.'),
    status: z.enum(['enabled', 'disabled']).optional().describe('Of devices.'),
    statusReason: z.string().optional().describe('Of devices; empty for none.'),
    tags: twinEdit.optional(),
    desired: twinEdit.optional(),
    rename: z
      .union([renameTemplate, renameMatch], {
        error: 'expected a template such as {{id}}-eu, or match (a regular expression) and to',
      })
      .optional()
      .describe('A new device id; modules and children follow.'),
    keys: z
      .enum(KEY_POLICIES)
      .optional()
      .describe(
        'Of records with symmetric keys. swap: primary and secondary exchange their places. ' +
          'regenerate: new ones, for records that are created; edit makes them for those that are there, ' +
          'too, and regenerate-primary or regenerate-secondary only one of them.',
      ),
  })
  .refine((then) => Object.values(then).some((action) => action !== undefined), 'expected an action')
  .refine(({ include, exclude }) => !(include && exclude), 'include and exclude exclude each other');

/** The shape of a rules file. */
export const rulesSchema = z
  .array(
    z.strictObject({
      name: z.string().min(1).max(50).optional().describe('For messages and reports.'),
      when: z.string().describe('A CEL expression over the record.'),
      then: actions.describe('What to do with the records for which it is true.'),
    }),
  )
  .max(MAX_RULES);

/** The JSON Schema of rules files, for editors. */
export function rulesJsonSchema(): object {
  return z.toJSONSchema(rulesSchema, { io: 'input' });
}

/** What rules are for: records on their way to another hub, or records of one hub where they are. */
export type RulesFor = 'copy' | 'edit';

/** Actions that make no sense there, and why. */
const NOT_FOR: Record<RulesFor, (then: Actions) => readonly (keyof Actions)[]> = {
  copy: ({ delete: remove, keys }) => [
    ...(remove === undefined ? [] : (['delete'] as const)),
    ...(keys === 'regenerate-primary' || keys === 'regenerate-secondary' ? (['keys'] as const) : []),
  ],
  edit: (then) => (['include', 'exclude', 'rename'] as const).filter((name) => then[name] !== undefined),
};

const WHY_NOT: Record<RulesFor, string> = {
  copy: 'only edit can do this',
  edit: 'edit cannot do this: it changes records where they are',
};

/**
 * Reads and checks a file of rules. No network is touched.
 *
 * @throws HubferryError RULE_INVALID with line and column, and the rule by number and name
 */
export function loadRules(name: string, use: RulesFor = 'copy', cwd = process.cwd()): Rule[] {
  return parseRules(name, readText(name, resolve(cwd, name)), use);
}

/** As `loadRules`, from the file's text. */
export function parseRules(name: string, text: string, use: RulesFor = 'copy'): Rule[] {
  const source = new YamlSource(name, text, 'RULE_INVALID');
  const value: unknown = source.value() ?? [];
  // A twin may hold it, but it would be lost on the way.
  const lost = pathTo(value, '__proto__');
  if (lost !== null) throw invalid([`${placeOf(source, value, lost, 'key')}: this name cannot be used here`]);
  const result = rulesSchema.safeParse(value, { reportInput: true });
  if (!result.success) {
    const faults = result.error.issues
      .flatMap(faultsOf)
      .toSorted((a, b) => source.offset(a.path) - source.offset(b.path));
    throw invalid(faults.map((fault) => `${placeOf(source, value, fault.path, fault.part)}: ${fault.words}`));
  }
  const faults = result.data.flatMap(({ when }, index) => {
    const fault = faultIn(when);
    return fault === null ? [] : [`${placeOf(source, value, [index, 'when'])}: ${fault}`];
  });
  if (faults.length > 0) throw invalid(faults);
  const misused = result.data.flatMap(({ then }, index) =>
    NOT_FOR[use](then).map((action) => {
      const path = [index, 'then', action];
      return `${placeOf(source, value, path, 'key')}: ${WHY_NOT[use]}`;
    }),
  );
  if (misused.length > 0) throw invalid(misused);
  // Aliases make much of little text.
  if (Buffer.byteLength(JSON.stringify(result.data)) > MAX_BYTES) throw tooLarge(name);
  return result.data;
}

function readText(name: string, file: string): string {
  try {
    if (statSync(file).size > MAX_BYTES) throw tooLarge(name);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof HubferryError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    const words =
      code === 'ENOENT' || code === 'ENOTDIR' ? 'there is no such file' : `cannot be read (${code})`;
    throw invalid([`${name}: ${words}`]);
  }
}

const tooLarge = (name: string): HubferryError =>
  invalid([`${name}: larger than ${MAX_BYTES / 1024} KB, which is the most that a run carries`]);

function invalid(lines: readonly string[]): HubferryError {
  return new HubferryError('RULE_INVALID', lines.slice(0, MAX_FAULTS).join('\n'));
}

/** `file:line:column: rule 2 ("name"), then.rename`. */
function placeOf(source: YamlSource, value: unknown, at: Path, part: 'key' | 'value' = 'value'): string {
  const [index, ...inside] = at;
  const place = source.place(at, part);
  if (typeof index !== 'number' || !Array.isArray(value)) return place;
  const rule: unknown = (value as unknown[])[index];
  const name = typeof rule === 'object' && rule !== null && 'name' in rule ? rule.name : undefined;
  const called = typeof name === 'string' ? ` (${JSON.stringify(name)})` : '';
  return `${place}: ${ruleName({ when: '', then: {} }, index)}${called}${inside.length > 0 ? `, ${dotted(inside)}` : ''}`;
}

/** What is wrong with an expression, or null. */
export function faultIn(expression: string): string | null {
  try {
    compilePredicate(expression);
    return null;
  } catch (error) {
    if (error instanceof PredicateFault) return error.message;
    throw error;
  }
}

function isRegExp(match: string): boolean {
  try {
    regExpOf({ match });
    return true;
  } catch {
    return false;
  }
}

/** Where a member of this name stands, or null. */
function pathTo(value: unknown, name: string, path: Path = []): Path | null {
  if (typeof value !== 'object' || value === null) return null;
  if (Object.hasOwn(value, name)) return [...path, name];
  for (const [key, item] of Object.entries(value)) {
    const found = pathTo(item, name, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found !== null) return found;
  }
  return null;
}

function holdsNull(value: unknown): boolean {
  if (value === null) return true;
  return typeof value === 'object' && Object.values(value).some(holdsNull);
}
