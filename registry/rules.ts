import { jsonEqual } from './compare.js';
import { HubferryError } from './errors.js';
import { toGenerate, withAuthenticationOf } from './new-keys.js';
import { isJsonObject, kindOf, quoted, type RecordKind, type RegistryRecord, recordKey } from './record.js';
import { removeAt, setAt, twinPath, valueAt } from './twin-path.js';

/** Changes of tags or desired properties, by path (`a.b`). Removals go first. */
export interface TwinEdit {
  readonly remove?: readonly string[] | undefined;
  readonly set?: Readonly<Record<string, unknown>> | undefined;
}

/** What to do with the symmetric keys of a record. */
export const KEY_POLICIES = [
  'keep',
  'swap',
  'regenerate',
  'regenerate-primary',
  'regenerate-secondary',
] as const;
export type KeyPolicy = (typeof KEY_POLICIES)[number];

/** A new device id: a template in which `{{id}}` stands for the old one, or a replacement in it. */
export type Rename = string | { readonly match: string; readonly to: string };

/** What a rule does with the records it matches. */
export interface Actions {
  readonly include?: true | undefined;
  readonly exclude?: true | undefined;
  /** Of edits only. */
  readonly delete?: true | undefined;
  readonly status?: 'enabled' | 'disabled' | undefined;
  readonly statusReason?: string | undefined;
  readonly tags?: TwinEdit | undefined;
  readonly desired?: TwinEdit | undefined;
  readonly rename?: Rename | undefined;
  readonly keys?: KeyPolicy | undefined;
}

/** One rule of a rules file. JSON-serialisable: it travels in the input of a run. */
export interface Rule {
  readonly name?: string | undefined;
  /** A CEL expression over a `RecordView`. */
  readonly when: string;
  readonly then: Actions;
}

/** What `--keys regenerate` means: the last rule of a run, for every record with symmetric keys. */
export const REGENERATE_KEYS: Rule = {
  name: '--keys regenerate',
  when: 'true',
  then: { keys: 'regenerate' },
};

/** What becomes of a record whose parent was filtered: it loses its parent, is filtered too, or forbids to go on. */
export type OrphanPolicy = 'detach' | 'exclude' | 'fail';

/** A record as expressions see it, as the rules before have left it. No keys. */
export interface RecordView {
  readonly kind: RecordKind;
  /** The device's id; of a module that of its device. */
  readonly id: string;
  readonly moduleId: string | null;
  readonly status: 'enabled' | 'disabled';
  readonly statusReason: string;
  /** `type` is empty where the export told nothing. */
  readonly authentication: { readonly type: string };
  readonly iotEdge: boolean;
  /** The id that its parent edge device has in the source. */
  readonly parent: string | null;
  readonly tags: Readonly<Record<string, unknown>>;
  readonly desired: Readonly<Record<string, unknown>>;
}

export type Predicate = (record: RecordView) => boolean;

/** What one rule did, as reports show it. */
export interface RuleTally {
  readonly name: string;
  readonly matched: number;
  /** Of those matched: records that are not as they were before the rule. */
  readonly changed: number;
}

/** What the rules made of one record. */
export interface Ruled {
  /** The record as the rules left it: a device under its new id, a module under that of its device. */
  readonly record: RegistryRecord;
  readonly excluded: boolean;
  readonly deleted: boolean;
  /** The ids that rules gave to a device, each with the number of the first rule that sees it, counted from 0. */
  readonly ids: readonly { readonly from: number; readonly id: string }[];
}

/** How messages and reports call a rule, by its place from 0. */
export function ruleName({ name }: Rule, index: number): string {
  return name ?? `rule ${index + 1}`;
}

/** A rule in a message: by number and name. */
function said({ name }: Rule, index: number): string {
  return `rule ${index + 1}${name === undefined ? '' : ` (${JSON.stringify(name)})`}`;
}

/**
 * A list of rules. They run in order, each on every record, which it sees as the rules before it have left it. The last
 * `include` or `exclude` that matched decides, and so does the last `keys`.
 */
export class Rules {
  readonly #rules: readonly (Rule & { readonly matches: Predicate; readonly matcher: RegExp | null })[];
  readonly #counts: { matched: number; changed: number }[];

  /** @param compile makes a predicate of an expression; a predicate may throw, with words for people. */
  constructor(rules: readonly Rule[], compile: (expression: string) => Predicate) {
    this.#rules = rules.map((rule) => {
      const { rename } = rule.then;
      return {
        ...rule,
        matches: compile(rule.when),
        matcher: isJsonObject(rename) ? regExpOf(rename) : null,
      };
    });
    this.#counts = rules.map(() => ({ matched: 0, changed: 0 }));
  }

  /** What every rule did so far. */
  tallies(): RuleTally[] {
    return this.#rules.map((rule, index) => ({
      name: ruleName(rule, index),
      matched: this.#counts[index]?.matched ?? 0,
      changed: this.#counts[index]?.changed ?? 0,
    }));
  }

  /**
   * Applies all rules to one record.
   *
   * @param parent the device id of its parent edge device in the source.
   * @param device for a module: the ids that its device got.
   * @throws HubferryError RULE_FAILED naming rule and record, where an expression or an action cannot be carried out.
   */
  apply(record: RegistryRecord, parent: string | null, device?: Pick<Ruled, 'ids'>): Ruled {
    let now = record;
    let excluded = false;
    let deleted = false;
    let keys: KeyPolicy = 'keep';
    const ids: { from: number; id: string }[] = [];
    for (const [index, rule] of this.#rules.entries()) {
      const followed = device?.ids.findLast(({ from }) => from <= index)?.id;
      if (followed !== undefined) now = withId(now, followed);
      const { then } = rule;
      const before = { now, excluded, deleted, keys };
      try {
        if (!rule.matches(viewOf(now, parent))) continue;
        if (then.include || then.exclude) excluded = then.exclude === true;
        deleted ||= then.delete === true;
        if (hasKeys(now)) keys = then.keys ?? keys;
        now = withTwin(withStatus(now, then), then);
        if (now.moduleId === null && then.rename !== undefined) {
          now = withId(now, renamed(now.deviceId, then.rename, rule.matcher));
          if (now.deviceId !== before.now.deviceId) ids.push({ from: index + 1, id: now.deviceId });
        }
      } catch (error) {
        const why = error instanceof Error ? error.message : 'it cannot be applied';
        const name = quoted(recordKey(record.deviceId, record.moduleId));
        throw new HubferryError('RULE_FAILED', `${said(rule, index)} fails on record ${name}: ${why}.`);
      }
      const counts = this.#counts[index];
      if (counts === undefined) continue;
      counts.matched += 1;
      const same = excluded === before.excluded && deleted === before.deleted && keys === before.keys;
      if (now !== before.now || !same) counts.changed += 1;
    }
    const last = device?.ids.at(-1)?.id;
    if (last !== undefined) now = withId(now, last);
    return { record: withKeys(now, keys), excluded, deleted, ids };
  }
}

function viewOf(record: RegistryRecord, parent: string | null): RecordView {
  const { deviceId, moduleId, status, statusReason, authentication, iotEdge, tags, desired } = record;
  return {
    kind: kindOf(record),
    id: deviceId,
    moduleId,
    status,
    statusReason,
    authentication: { type: authentication?.type ?? '' },
    iotEdge,
    parent,
    tags,
    desired,
  };
}

/** A module has neither status nor reason (facts §1.3). */
function withStatus(record: RegistryRecord, then: Actions): RegistryRecord {
  const { status = record.status, statusReason = record.statusReason } = then;
  if (record.moduleId !== null) return record;
  return status === record.status && statusReason === record.statusReason
    ? record
    : { ...record, status, statusReason };
}

function withTwin(record: RegistryRecord, { tags, desired }: Actions): RegistryRecord {
  const tagged = tags === undefined ? record : edited(record, 'tags', tags);
  return desired === undefined ? tagged : edited(tagged, 'desired', desired);
}

function edited(
  record: RegistryRecord,
  part: 'tags' | 'desired',
  { remove = [], set = {} }: TwinEdit,
): RegistryRecord {
  let section = record[part];
  let raw = record.raw[part] ?? '{}';
  const take = (text: string): void => {
    raw = text;
    section = JSON.parse(text) as RegistryRecord['tags'];
  };
  for (const text of remove) {
    const path = twinPath(text);
    if (valueAt(section, path).value !== undefined) take(removeAt(raw, path));
  }
  for (const [text, value] of Object.entries(set)) {
    const path = twinPath(text);
    const old = valueAt(section, path);
    if (old.blocked)
      throw new Error(`${part}.${text} cannot be set, something that is no object is in the way`);
    // What is there already is left byte for byte.
    if (old.value === undefined || !jsonEqual(old.value, value))
      take(setAt(raw, path, JSON.stringify(value)));
  }
  return section === record[part]
    ? record
    : { ...record, [part]: section, raw: { ...record.raw, [part]: raw } };
}

function withId(record: RegistryRecord, deviceId: string): RegistryRecord {
  return deviceId === record.deviceId ? record : { ...record, deviceId };
}

/** The expression of a rename, without flags. @throws SyntaxError for one that is none. */
export function regExpOf({ match }: { readonly match: string }): RegExp {
  return new RegExp(match);
}

function renamed(id: string, rename: Rename, matcher: RegExp | null): string {
  const fresh =
    typeof rename === 'string'
      ? rename.replaceAll('{{id}}', () => id)
      : id.replace(matcher ?? regExpOf(rename), rename.to);
  if (fresh === '') throw new Error('the new id would be empty');
  return fresh;
}

/** Whether a record has symmetric keys. */
export function hasKeys({ authentication }: RegistryRecord): boolean {
  return authentication?.type === 'sas';
}

/** A record with symmetric keys under a policy for them: where keys are to be made, with the mark of that. */
export function withKeys(record: RegistryRecord, keys: KeyPolicy): RegistryRecord {
  switch (keys) {
    case 'keep':
      return record;
    case 'swap':
      return swapped(record);
    case 'regenerate':
      return toGenerate(record);
    default:
      return toGenerate(record, keys === 'regenerate-primary' ? 'primaryKey' : 'secondaryKey');
  }
}

function swapped(record: RegistryRecord): RegistryRecord {
  const { authentication } = record;
  if (authentication === null || authentication.primaryKey === authentication.secondaryKey) return record;
  const { primaryKey, secondaryKey } = authentication;
  return withAuthenticationOf(record, {
    ...authentication,
    primaryKey: secondaryKey,
    secondaryKey: primaryKey,
  });
}
