import { jsonEqual } from './compare.js';
import { HubferryError } from './errors.js';
import { itemsOf, membersOf } from './json-scan.js';
import type { Policy } from './policy.js';
import { isJsonObject, type JsonObject, quoted } from './record.js';
import { type Refusal, refusal } from './refusal.js';

/** What a configuration writes to: device twins, module twins, or the modules of edge devices (a deployment). */
export type ConfigurationKind = 'device' | 'module' | 'edge';

/**
 * A device or module configuration or an edge deployment, base or layered, as a hub shows it.
 *
 * `text` holds its source text, so that numbers, escapes and member order survive; the parsed values serve comparison.
 */
export interface Configuration {
  readonly id: string;
  readonly text: string;
  readonly kind: ConfigurationKind;
  /** Quoted or not; null in a desired one. */
  readonly etag: string | null;
  /** `createdTimeUtc`: of two with the same priority the newer one wins. */
  readonly created: string;
  readonly priority: number;
  /** Empty: it acts on nothing. */
  readonly targetCondition: string;
  readonly labels: JsonObject;
  /** Without sections that say nothing. */
  readonly content: JsonObject;
  readonly queries: JsonObject;
}

/** What is compared. The rest is the service's own: ETag, times, system metrics, results. */
export type ConfigurationField = 'content' | 'targetCondition' | 'priority' | 'labels' | 'metrics';

const SECTIONS = { deviceContent: 'device', moduleContent: 'module', modulesContent: 'edge' } as const;

/**
 * Reads a configuration as `GET /configurations` shows it, or as `printDesired` prints it.
 *
 * @throws HubferryError SNAPSHOT_LINE_NOT_JSON, SNAPSHOT_LINE_NO_ID or SNAPSHOT_LINE_BAD_FIELD; the message holds the id
 *   at most, since a deployment may hold credentials of a container registry.
 */
export function parseConfiguration(text: string): Configuration {
  const value = parsed(text);
  const { id, etag, createdTimeUtc, priority = 0, targetCondition } = value;
  if (typeof id !== 'string' || id === '')
    throw new HubferryError('SNAPSHOT_LINE_NO_ID', 'A configuration has no id.');
  const damaged = (name: string): HubferryError =>
    new HubferryError('SNAPSHOT_LINE_BAD_FIELD', `The "${name}" of configuration ${quoted(id)} is damaged.`);
  const object = (from: JsonObject, name: string): JsonObject => {
    const member = from[name] ?? {};
    if (!isJsonObject(member)) throw damaged(name);
    return member;
  };
  const rank = priority ?? 0;
  const condition = targetCondition ?? '';
  if (typeof rank !== 'number') throw damaged('priority');
  if (typeof condition !== 'string') throw damaged('targetCondition');
  const content = contentOf(object(value, 'content'));
  return {
    id,
    text,
    kind: kindOf(content),
    etag: typeof etag === 'string' ? etag : null,
    created: typeof createdTimeUtc === 'string' ? createdTimeUtc : '',
    priority: rank,
    targetCondition: condition,
    labels: object(value, 'labels'),
    content,
    queries: object(object(value, 'metrics'), 'queries'),
  };
}

function parsed(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null; // the parser's own message would quote the text
  }
  if (isJsonObject(value)) return value;
  throw new HubferryError('SNAPSHOT_LINE_NOT_JSON', 'A configuration is not a JSON object.');
}

/** Clients write sections that are null, or empty beside the one that counts: both say nothing. */
function contentOf(content: JsonObject): JsonObject {
  const given = Object.entries(content).filter(([, section]) => section !== null);
  const filled = given.filter(([, section]) => !isJsonObject(section) || Object.keys(section).length > 0);
  return Object.fromEntries(filled.length > 0 ? filled : given);
}

function kindOf(content: JsonObject): ConfigurationKind {
  const section = Object.keys(SECTIONS).find((name) => Object.hasOwn(content, name));
  return section === undefined ? 'device' : SECTIONS[section as keyof typeof SECTIONS];
}

/** The texts of a hub's configurations, as they stand in its answer to `GET /configurations`; null for another answer. */
export function configurationTexts(answer: string): string[] | null {
  const items = itemsOf(answer);
  return items && items.map(({ from, to }) => answer.slice(from, to));
}

/** In the order in which they were created. Services write fractions finer than a millisecond, which count here too. */
export function inOrderOfCreation(configurations: readonly Configuration[]): Configuration[] {
  return configurations
    .map((one) => ({ one, ms: Date.parse(one.created) || 0, fraction: fractionOf(one.created) }))
    .toSorted((a, b) => a.ms - b.ms || compareText(a.fraction, b.fraction))
    .map(({ one }) => one);
}

const fractionOf = (iso: string): string => /\.(\d+)/.exec(iso)?.[1]?.padEnd(9, '0') ?? '';
const compareText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const MOST = 128;

/** Why no hub would take it under this id (facts §1.7), or null. */
export function configurationRefusal({ id }: Configuration): Refusal | null {
  const valid = /^[a-z\d\-+%_*!']*$/.test(id) && id.length <= MOST;
  return valid ? null : refusal('CONFIGURATION_ID_INVALID');
}

/** A label of configurations that were created without their target condition: they are to get it at once. */
const UNFINISHED = 'hubferry';

/**
 * The text by which a hub is given a configuration: the same for the same content, whatever hub or time it came from.
 * Everything is said, so that an update clears what is not there.
 *
 * @param armed false: without its target condition, so that it acts on nothing, and with a label that says so.
 */
export function printDesired({ id, text }: Pick<Configuration, 'id' | 'text'>, armed = true): string {
  const version = rawMember(text, 'schemaVersion');
  const labels = rawMember(text, 'labels') ?? '{}';
  const queries = rawMember(rawMember(text, 'metrics') ?? '{}', 'queries') ?? '{}';
  return [
    `{"id":${JSON.stringify(id)}`,
    ...(version === null ? [] : [`"schemaVersion":${version}`]),
    `"labels":${armed ? labels : withLabel(labels)}`,
    `"content":${rawMember(text, 'content') ?? '{}'}`,
    `"targetCondition":${(armed ? rawMember(text, 'targetCondition') : null) ?? '""'}`,
    `"priority":${rawMember(text, 'priority') ?? '0'}`,
    `"metrics":{"queries":${queries}}}`,
  ].join(',');
}

/** The source text of a member; null where there is none, or null. */
function rawMember(text: string, name: string): string | null {
  const member = membersOf(text)?.findLast((one) => one.name === name);
  const raw = member === undefined ? 'null' : text.slice(member.from, member.to);
  return raw === 'null' ? null : raw;
}

function withLabel(labels: string): string {
  const others = (membersOf(labels) ?? []).filter(({ name }) => name !== UNFINISHED);
  return `{${[...others.map(({ at, to }) => labels.slice(at, to)), `"${UNFINISHED}":"unfinished"`].join(',')}}`;
}

/** The fields in which two configurations differ, in a fixed order. */
export function differingConfigurationFields(a: Configuration, b: Configuration): ConfigurationField[] {
  const fields: ConfigurationField[] = [];
  if (!jsonEqual(a.content, b.content)) fields.push('content');
  if (a.targetCondition !== b.targetCondition) fields.push('targetCondition');
  if (a.priority !== b.priority) fields.push('priority');
  if (!jsonEqual(a.labels, b.labels)) fields.push('labels');
  if (!jsonEqual(a.queries, b.queries)) fields.push('metrics');
  return fields;
}

/** Whether the target's configuration is what a run that broke off left of this one, created but not armed. */
export function isUnfinished(desired: Configuration, actual: Configuration): boolean {
  if (!Object.hasOwn(actual.labels, UNFINISHED) || actual.targetCondition !== '') return false;
  const unarmed = parseConfiguration(printDesired(desired, false));
  return differingConfigurationFields(unarmed, actual).length === 0;
}

/** What is done about one configuration. Its content cannot be changed in place (facts §1.7): `replace` deletes it first. */
export interface ConfigurationChange {
  readonly act: 'create' | 'replace' | 'update';
  readonly desired: Configuration;
  /** As the target has it; null for a create. */
  readonly before: Configuration | null;
}

/** Desired against actual. `desired = equal + kept + conflict + changes`. */
export interface ConfigurationPlan {
  readonly equal: readonly Configuration[];
  /** Differ, and are left as they are by policy. */
  readonly kept: readonly Configuration[];
  /** Differ, and the policy forbids to go on. */
  readonly conflict: readonly Configuration[];
  /** In the order in which the source created them. */
  readonly changes: readonly ConfigurationChange[];
  /** Only on the target: left alone, whatever the policy. */
  readonly extra: readonly Configuration[];
  /** Configurations with the same priority, of which on the target another one wins: `[loser, winner]` there. */
  readonly ties: readonly (readonly [loser: string, winner: string])[];
}

/**
 * Compares configurations on their own, and says what is due.
 *
 * @param desired in the order in which the source created them.
 */
export function compareConfigurations(
  desired: readonly Configuration[],
  actual: readonly Configuration[],
  existing: Policy['existing'],
): ConfigurationPlan {
  const theirs = new Map(actual.map((one) => [one.id, one]));
  const equal: Configuration[] = [];
  const kept: Configuration[] = [];
  const conflict: Configuration[] = [];
  const changes: ConfigurationChange[] = [];
  for (const one of desired) {
    const before = theirs.get(one.id) ?? null;
    if (before === null) {
      changes.push({ act: 'create', desired: one, before });
      continue;
    }
    const fields = differingConfigurationFields(one, before);
    if (fields.length === 0) equal.push(one);
    else if (isUnfinished(one, before)) changes.push({ act: 'update', desired: one, before });
    else if (existing === 'skip') kept.push(one);
    else if (existing === 'fail') conflict.push(one);
    else changes.push({ act: fields.includes('content') ? 'replace' : 'update', desired: one, before });
  }
  const wanted = new Set(desired.map(({ id }) => id));
  const extra = actual.filter(({ id }) => !wanted.has(id));
  return { equal, kept, conflict, changes, extra, ties: changedTies(desired, actual, changes) };
}

/**
 * Ties that come out another way: of configurations with the same priority the newest one wins (facts §6), and one that
 * is created or replaced is newer than all that were there. The measure is the source, or where one of the two is not
 * from there, the target as it was.
 */
function changedTies(
  desired: readonly Configuration[],
  actual: readonly Configuration[],
  changes: readonly ConfigurationChange[],
): (readonly [string, string])[] {
  const changed = new Map(changes.map((change) => [change.desired.id, change]));
  const isMade = ({ id }: Configuration): boolean => isMaking(changed.get(id));
  const before = inOrderOfCreation(actual);
  const after = [
    ...before.filter((one) => !isMade(one)).map((one) => changed.get(one.id)?.desired ?? one),
    ...desired.filter(isMade),
  ];
  const [inSource, onTarget] = [placesOf(desired), placesOf(before)];
  return after.flatMap((winner, place) =>
    after.slice(0, place).flatMap((loser) => {
      if (winner.priority !== loser.priority || !contend(winner, loser)) return [];
      const places = [inSource, onTarget].find((all) => all.has(winner.id) && all.has(loser.id));
      const same = places === undefined || (places.get(loser.id) ?? 0) < (places.get(winner.id) ?? 0);
      return same ? [] : [[loser.id, winner.id] as const];
    }),
  );
}

const placesOf = (list: readonly Configuration[]): Map<string, number> =>
  new Map(list.map(({ id }, place) => [id, place]));

function isMaking(change: ConfigurationChange | undefined): boolean {
  return change?.act === 'create' || change?.act === 'replace';
}

/** One call or two of a plan: `make` creates or replaces, `finish` updates, or arms what was made unarmed. */
export type ConfigurationStep =
  | { readonly do: 'make'; readonly change: ConfigurationChange; readonly armed: boolean }
  | { readonly do: 'finish'; readonly change: ConfigurationChange };

/**
 * The order of the calls. What is made is made in the source's order of creation, which decides ties. So that meanwhile
 * none acts where another one will win in the end, it is made unarmed where such a one is still to come; these are armed
 * last, the strongest first. So no twin sees a value, and no edge device loses a module, that it would get back.
 */
export function stepsOf(changes: readonly ConfigurationChange[]): ConfigurationStep[] {
  const made = changes.filter(isMaking);
  const updates = changes.filter((change) => !isMaking(change));
  const steps: ConfigurationStep[] = made.map((change, place) => {
    const { desired } = change;
    const stronger = [
      ...made.slice(place + 1).filter((later) => later.desired.priority >= desired.priority),
      ...updates.filter((update) => update.desired.priority > desired.priority),
    ];
    const isFirst = !stronger.some((other) => interfere(other.desired, desired));
    // One without a target condition has nothing to be armed with.
    return { do: 'make', change, armed: isFirst || desired.targetCondition === '' };
  });
  const unarmed = steps.flatMap((step) => (step.do === 'make' && !step.armed ? [step.change] : []));
  // Updated ones are older than all that are made. Among equals the last one is the strongest.
  const rest = [...updates, ...unarmed].toReversed();
  const strongestFirst = rest.toSorted((a, b) => b.desired.priority - a.desired.priority);
  return [...steps, ...strongestFirst.map((change) => ({ do: 'finish', change }) as const)];
}

/** Layers decide with their base which modules an edge device has, whatever else they set. */
function interfere(a: Configuration, b: Configuration): boolean {
  return (a.kind === 'edge' && b.kind === 'edge') || contend(a, b);
}

/** Whether two configurations may want to write the same, should their target conditions match the same twin. */
function contend(a: Configuration, b: Configuration): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'edge') {
    const layered = [a, b].map(isLayered);
    // A layer needs a higher priority than its base, so there is no tie between them. Of base deployments one wins.
    if (layered[0] !== layered[1]) return false;
    if (layered[0] === false) return true;
  }
  const theirs = settingsOf(b);
  return settingsOf(a).some((mine) =>
    theirs.some((other) => mine.module === other.module && isOnOnePath(mine.path, other.path)),
  );
}

const isOnOnePath = (a: readonly string[], b: readonly string[]): boolean =>
  a.slice(0, b.length).every((name, depth) => name === b[depth]);

/** A layered deployment does not set all of `$edgeAgent`'s desired properties. */
function isLayered(deployment: Configuration): boolean {
  return !settingsOf(deployment).some(({ module, path }) => module === '$edgeAgent' && path.length === 0);
}

/** A value that a configuration sets. */
export interface Setting {
  /** The module of an edge device; empty for the twin that the configuration targets. */
  readonly module: string;
  /** Names below `properties.desired`; empty: all of it. */
  readonly path: readonly string[];
  readonly value: unknown;
}

const DESIRED = 'properties.desired';

/** What a configuration sets. Its keys are `properties.desired` or a path below it (facts §1.7); others are left out. */
export function settingsOf({ kind, content }: Configuration): Setting[] {
  const section = content[`${kind === 'edge' ? 'modules' : kind}Content`];
  if (!isJsonObject(section)) return [];
  const parts = kind === 'edge' ? Object.entries(section) : [['', section] as const];
  return parts.flatMap(([module, settings]) =>
    Object.entries(isJsonObject(settings) ? settings : {}).flatMap(([key, value]) => {
      if (key !== DESIRED && !key.startsWith(`${DESIRED}.`)) return [];
      return [{ module, path: key === DESIRED ? [] : key.slice(DESIRED.length + 1).split('.'), value }];
    }),
  );
}
