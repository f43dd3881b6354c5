import { isTwinField } from './compare.js';
import { membersOf } from './json-scan.js';
import { type Identity, parseLine, printImportLine, splitParent } from './line.js';
import type { ImportMode } from './modes.js';
import { lineIsToGenerate, withKeptKeys } from './new-keys.js';
import type { Comparison } from './reconcile.js';
import type { RegistryRecord } from './record.js';
import { BY_REST, DELETES, MODULE_UPDATES, TWINS, type Wave, waveOf } from './waves.js';

/** What one line of a plan's change stream does. An update of identity and twin is two lines, of two jobs. */
export type ChangePart = 'create' | 'identity' | 'twin' | 'delete';

/** One line of a plan's change stream. */
export interface Change {
  readonly part: ChangePart;
  /** The ETag of the target's record (for `twin` of its twin) that the change was planned against; none for a create. */
  readonly eTag: string | null;
  /** The desired line; of a delete only whose it is. */
  readonly line: string;
}

/** Creates never overwrite, and everything else is refused where somebody else has written meanwhile (design §5). */
const MODES: Record<ChangePart, ImportMode> = {
  create: 'create',
  identity: 'updateIfMatchETag',
  twin: 'updateTwinIfMatchETag',
  delete: 'deleteIfMatchETag',
};

/** A change as a line of its stream: a create is its desired line, the others say before it what they are. */
export function printChange({ part, eTag, line }: Change): string {
  return part === 'create' ? line : `${part} ${eTag ?? ''} ${line}`;
}

/** Reads what `printChange` prints. */
export function parseChange(text: string): Change {
  if (text.startsWith('{')) return { part: 'create', eTag: null, line: text };
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  return {
    part: text.slice(0, first) as ChangePart,
    eTag: text.slice(first + 1, second),
    line: text.slice(second + 1),
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
): { readonly wave: Wave; readonly change: Change }[] {
  const { record } = comparison;
  if (comparison.kind === 'extra') {
    return [{ wave: DELETES, change: { part: 'delete', eTag: record.eTag, line: printIdentity(record) } }];
  }
  const wave = waveOf(record, edgeLevel);
  if (comparison.kind === 'missing')
    return [{ wave, change: { part: 'create', eTag: null, line: comparison.line } }];
  const { actual, fields } = comparison;
  const line = withKeptKeys(comparison.line, actual);
  const identity = {
    wave: record.moduleId === null ? wave : MODULE_UPDATES,
    change: { part: 'identity', eTag: actual.eTag, line },
  } as const;
  const twin = { wave: TWINS, change: { part: 'twin', eTag: actual.twinETag, line } } as const;
  return [...(fields.every(isTwinField) ? [] : [identity]), ...(fields.some(isTwinField) ? [twin] : [])];
}

/** The same change as a call to the hub's REST API, where an import did not take it as it was meant. */
export function byRest(
  comparison: Extract<Comparison, { kind: 'missing' | 'different' }>,
): { readonly wave: Wave; readonly change: Change }[] {
  return changesOf(comparison, 0).map(({ change }) => ({ wave: BY_REST, change }));
}

/** Whether sending this change makes keys. */
export function makesKeys({ part, line }: Pick<Change, 'part' | 'line'>): boolean {
  return (part === 'create' || part === 'identity') && lineIsToGenerate(line);
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
  const { part, eTag, line } = change;
  const mode = MODES[part];
  if (part === 'create') return printImportLine(line, mode, scopeOf);
  if (part === 'delete')
    return `${line.slice(0, -1)},"status":"enabled","eTag":${quote(eTag)},"importMode":"${mode}"}`;
  const { parent, rest } = splitParent(line);
  const kept = (membersOf(rest) ?? []).filter(({ name }) =>
    part === 'twin' ? TWIN.has(name) || ALWAYS.has(name) : !TWIN.has(name),
  );
  const members = kept.map(({ at, to }) => rest.slice(at, to));
  members.push(`"${part === 'twin' ? 'twinETag' : 'eTag'}":${quote(eTag)}`);
  if (part === 'identity') members.push(...placement(rest, parent, scopeOf));
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

/** The parts of a desired line as a REST call takes them, byte for byte: identity and twin. */
export function restBodies({ line }: Change): {
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
  const own = text(
    (name) =>
      !TWIN.has(name) && name !== 'id' && name !== 'moduleId' && (moduleId === null || name !== 'status'),
  );
  return {
    record,
    parent,
    identity: own === '' ? ids : `${ids.slice(0, -1)},${own}}`,
    twin: `{${text((name) => TWIN.has(name))}}`,
  };
}
