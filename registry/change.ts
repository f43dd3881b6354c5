import { isTwinField } from './compare.js';
import { membersOf } from './json-scan.js';
import { type Identity, parseLine, printImportLine, splitParent } from './line.js';
import { type ImportMode, isTwinMode } from './modes.js';
import { lineIsToGenerate, withKeptKeys } from './new-keys.js';
import type { Comparison } from './reconcile.js';
import type { RegistryRecord } from './record.js';
import { BY_REST, DELETES, DEVICES, MODULE_UPDATES, restWaveOf, TWINS, type Wave, waveOf } from './waves.js';

/**
 * What one line of a plan's change stream does. An update of identity and twin is two lines, of two jobs; `whole` is both
 * in one line, where a user has chosen a mode that writes both.
 */
export type ChangePart = 'create' | 'identity' | 'twin' | 'whole' | 'delete';

/** One line of a plan's change stream. */
export interface Change {
  readonly part: ChangePart;
  /** The ETag of the target's record (for `twin` of its twin) that the change was planned against; none for a create. */
  readonly eTag: string | null;
  /** The desired line; of a delete only whose it is. */
  readonly line: string;
  /** The mode that a user has chosen; left out: that of the part. */
  readonly mode?: ImportMode;
}

/** How the changes of a run are sent. Left out: as a migration's. */
export interface Manner {
  /** Whether deletes and whatever depends on no other wave go along with devices, in one job, instead of apart. */
  readonly together?: boolean;
  /** The mode that a user has chosen for the record. */
  readonly mode?: ImportMode | undefined;
}

/** Creates never overwrite, and everything else is refused where somebody else has written meanwhile (design §5). */
const MODES: Record<ChangePart, ImportMode> = {
  create: 'create',
  identity: 'updateIfMatchETag',
  twin: 'updateTwinIfMatchETag',
  whole: 'updateIfMatchETag',
  delete: 'deleteIfMatchETag',
};

/** A change as a line of its stream: a create is its desired line, the others say before it what they are. */
export function printChange({ part, eTag, line, mode }: Change): string {
  if (mode !== undefined) return `${part}:${mode} ${eTag ?? ''} ${line}`;
  return part === 'create' ? line : `${part} ${eTag ?? ''} ${line}`;
}

/** Reads what `printChange` prints. */
export function parseChange(text: string): Change {
  if (text.startsWith('{')) return { part: 'create', eTag: null, line: text };
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  const [part, mode] = text.slice(0, first).split(':') as [ChangePart, ImportMode?];
  return {
    part,
    eTag: part === 'create' ? null : text.slice(first + 1, second),
    line: text.slice(second + 1),
    ...(mode === undefined ? {} : { mode }),
  };
}

/**
 * The lines that carry one change out, each with its wave. Identity and twin have ETags of their own, and an import may
 * hold an id only once (facts §3): a record that differs in both takes two lines.
 *
 * @param edgeLevel how many edge devices stand above the record, if it is one.
 */
export function changesOf(
  comparison: Exclude<Comparison, { kind: 'refused' | 'equal' | 'system' | 'filtered' }>,
  edgeLevel: number,
  { together = false, mode }: Manner = {},
): { readonly wave: Wave; readonly change: Change }[] {
  const { record } = comparison;
  const chosen = mode === undefined ? {} : { mode };
  if (comparison.kind === 'extra') {
    const change = { part: 'delete', eTag: record.eTag, line: printIdentity(record), ...chosen } as const;
    return [{ wave: together ? DEVICES : DELETES, change }];
  }
  const wave = waveOf(record, edgeLevel);
  if (comparison.kind === 'missing')
    return [{ wave, change: { part: 'create', eTag: null, line: comparison.line, ...chosen } }];
  const { actual, fields } = comparison;
  const line = withKeptKeys(comparison.line, actual);
  // Nothing hangs below an edge device that only changes its own members in another way than before.
  const alone = together && !fields.some((field) => field === 'iotEdge' || field === 'parent');
  const identityWave = record.moduleId === null ? (alone ? DEVICES : wave) : MODULE_UPDATES;
  if (mode !== undefined && !isTwinMode(mode))
    return [{ wave: identityWave, change: { part: 'whole', eTag: actual.eTag, line, mode } }];
  const identity = { wave: identityWave, change: { part: 'identity', eTag: actual.eTag, line } } as const;
  const identityDiffers = !fields.every(isTwinField) && mode === undefined;
  const twin = {
    wave: together && !identityDiffers ? DEVICES : TWINS,
    change: { part: 'twin', eTag: actual.twinETag, line, ...chosen },
  } as const;
  return [...(identityDiffers ? [identity] : []), ...(fields.some(isTwinField) ? [twin] : [])];
}

/** The same change as a call to the hub's REST API, where an import did not take it as it was meant. */
export function byRest(
  comparison: Extract<Comparison, { kind: 'missing' | 'different' }>,
  edgeLevel: number,
): { readonly wave: Wave; readonly change: Change }[] {
  const wave = comparison.kind === 'missing' ? restWaveOf(comparison.record, edgeLevel) : BY_REST;
  return changesOf(comparison, edgeLevel).map(({ change }) => ({ wave, change }));
}

/** Whether sending this change makes keys. */
export function makesKeys({ part, line }: Pick<Change, 'part' | 'line'>): boolean {
  return writesKeys({ part }) && lineIsToGenerate(line);
}

/** Whether sending this change writes the keys of its record. */
export function writesKeys({ part }: Pick<Change, 'part'>): boolean {
  return part !== 'twin' && part !== 'delete';
}

/** What a delete's line holds: nothing but whose it is. */
export function printIdentity({ deviceId: id, moduleId }: Identity): string {
  return JSON.stringify(moduleId === null ? { id } : { id, moduleId });
}

/** Members of a desired line that belong to the twin. */
const TWIN = new Set(['tags', 'properties']);
/** Members that say whose a line is, and what every line must have (facts §2.2). */
const ALWAYS = new Set(['id', 'moduleId', 'status']);

/**
 * A change as a line of an import job. Identity lines are complete but carry no twin, twin lines carry nothing else, so
 * that neither can undo what somebody else wrote to the other half.
 *
 * @param scopeOf the target's current scope of an edge device; throws where it has none.
 */
export function printImportOf(change: Change, scopeOf: (parentDeviceId: string) => string): string {
  const { part, eTag, line, mode = MODES[part] } = change;
  const guard = (name: string): string[] =>
    mode.endsWith('IfMatchETag') ? [`"${name}":${quote(eTag)}`] : [];
  if (part === 'create') return printImportLine(line, mode, scopeOf);
  if (part === 'delete')
    return `${[line.slice(0, -1), '"status":"enabled"', ...guard('eTag'), `"importMode":"${mode}"`].join(',')}}`;
  const { parent, rest } = splitParent(line);
  const isKept = {
    twin: (name: string) => TWIN.has(name) || ALWAYS.has(name),
    identity: (name: string) => !TWIN.has(name),
    whole: () => true,
  }[part];
  const kept = (membersOf(rest) ?? []).filter(({ name }) => isKept(name));
  const members = kept.map(({ at, to }) => rest.slice(at, to));
  if (part === 'twin') members.push(...guard('twinETag'));
  else members.push(...guard('eTag'), ...placement(rest, parent, scopeOf));
  return `{${members.join(',')},"importMode":"${mode}"}`;
}

/** Where an updated device hangs. An edge device that hangs below none says so; a leaf says it by saying nothing. */
function placement(
  rest: string,
  parent: string | null,
  scopeOf: (parentDeviceId: string) => string,
): string[] {
  const scope = parent === null ? null : JSON.stringify(scopeOf(parent));
  const { iotEdge, moduleId } = parseLine(rest);
  if (moduleId !== null) return [];
  if (iotEdge) return [`"parentScopes":[${scope ?? ''}]`];
  return scope === null ? [] : [`"deviceScope":${scope}`];
}

const quote = (eTag: string | null): string => JSON.stringify(eTag ?? '');

/**
 * The parts of a desired line as a REST call takes them, byte for byte: identity and twin.
 *
 * @param scope the target's current scope of its parent; null where it has none
 */
export function restBodies(
  { line }: Change,
  scope: string | null = null,
): {
  readonly record: RegistryRecord;
  readonly parent: string | null;
  readonly identity: string;
  readonly twin: string;
} {
  const { parent, rest } = splitParent(line);
  const members = membersOf(rest) ?? [];
  const text = (names: (name: string) => boolean): string =>
    members
      .filter(({ name }) => names(name))
      .map(({ at, to }) => rest.slice(at, to))
      .join(',');
  const record = parseLine(rest);
  const { deviceId, moduleId } = record;
  const ids = JSON.stringify(moduleId === null ? { deviceId } : { deviceId, moduleId });
  // A module has no status of its own (facts §1.3), which every line of an import must have all the same.
  const identity = text(
    (name) =>
      !TWIN.has(name) && name !== 'id' && name !== 'moduleId' && (moduleId === null || name !== 'status'),
  );
  const placed = scope === null ? [] : placement(rest, parent, () => scope);
  const own = [identity, ...placed].filter((part) => part !== '').join(',');
  return {
    record,
    parent,
    identity: own === '' ? ids : `${ids.slice(0, -1)},${own}}`,
    twin: `{${text((name) => TWIN.has(name))}}`,
  };
}
