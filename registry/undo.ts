import type { ChangeKind } from './reconcile.js';
import type { RecordKey, RegistryRecord } from './record.js';

/** What stays of one change of a plan after its run. */
export interface KeptChange {
  readonly key: RecordKey;
  readonly kind: ChangeKind;
  /** Salted digest of what the change leaves; null for a delete. */
  readonly digest: string | null;
}

/** The same of a configuration. */
export interface KeptConfiguration extends Pick<KeptChange, 'kind' | 'digest'> {
  readonly configuration: string;
}

/** A record with its parent by device id. */
export interface Placed {
  readonly record: RegistryRecord;
  readonly parent: string | null;
}

/**
 * What undoing a change takes: nothing, where the record is as it was before the run; to make it as it was; to remove it;
 * or nothing, since it is not what the run left: somebody has written to it since.
 */
export type Undoing = 'as before' | 'restore' | 'remove' | 'foreign';

/**
 * Says what undoing one change takes. What a run never did leaves its record as it was, so it needs no list of that.
 *
 * @param before what the record held when the run found it, and `now`; null where there was, or is, none.
 * @param digestOf the salted digest of a content, as the plan's.
 */
export function undoingOf(
  { kind, digest }: Pick<KeptChange, 'kind' | 'digest'>,
  before: string | null,
  now: string | null,
  digestOf: (content: string) => string,
): Undoing {
  if (now === before) return 'as before';
  if (kind === 'delete') return now === null && before !== null ? 'restore' : 'foreign';
  if (now === null || digestOf(now) !== digest) return 'foreign';
  if (kind === 'create') return 'remove';
  // What was there before the run is never removed, not even where nobody knows how it was.
  return before === null ? 'foreign' : 'restore';
}

/**
 * What stays of two plans of one run that were carried out one after the other, for one key; null where the second took
 * back what the first did.
 */
export function mergedChange<C extends Pick<KeptChange, 'kind' | 'digest'>>(
  first: C | undefined,
  second: C,
): C | null {
  if (first === undefined) return second;
  if (first.kind === 'create') return second.kind === 'delete' ? null : { ...second, kind: 'create' };
  // What was there before the run, and what was made again in its place, is changed in the end.
  return second.kind === 'create' ? { ...second, kind: 'update' } : second;
}

/** The header of the file that keeps a plan. */
export interface KeptPlanHeader {
  readonly version: number;
  readonly salt: string;
}

/** The form of the files that this release writes and can undo: digests are of what records hold. */
export const KEPT_PLAN = 3;
