import type { VerifyCounts } from './ledger.js';
import type { ChangeKind } from './reconcile.js';
import type { RecordKind } from './record.js';
import type { Rejected } from './refusal.js';

/** Records named in a report for one warning or list; counts are always exact. */
export const SAMPLES = 5;

/** Counts by kind of record; what there is none of is left out. */
export type ByKind<Name extends string> = Partial<Record<RecordKind, Partial<Record<Name, number>>>>;

/** Changes to send, by kind of record and kind of change. */
export type Kinds = ByKind<ChangeKind>;

/** What was found of each kind of record. */
export type Found = ByKind<keyof Omit<VerifyCounts, 'compared'>>;

/** What a comparison of desired and actual found. `desired = equal + kept + different + missing`. */
export interface Totals {
  desired: number;
  equal: number;
  /** Of those: but for what configurations of the target write. */
  managed: number;
  missing: number;
  different: number;
  /** Differs, and is left as it is by policy. */
  kept: number;
  /** Differs, and the policy forbids to go on; counted in `different` too. */
  conflict: number;
  /** Changes to send. */
  create: number;
  update: number;
  delete: number;
  /** Planned, and changed by somebody else since: left alone. Counted among `different`, `missing` or `extra` too. */
  foreign: number;
  extra: number;
  refused: number;
  /** Of those to send: records that get new keys. */
  newKeys: number;
  /** Planned by this run, and not arrived: still missing, different or there, or rejected in favour of one that was there. */
  plannedOpen: number;
  /** Of those: rejected by the hub with a reason. */
  rejected: number;
  /** Of what is open: what the hub will not take, or somebody else changed, so that nobody needs to look twice. */
  explained: number;
  /** The changes to send; not in histories of 0.1. */
  kinds?: Kinds;
  /** What was found; not in histories of 0.1. */
  found?: Found;
  /** Of those that are different: twins that an import merged, and that are too many to be put right one by one. */
  merged?: number;
  /** Of those that are created: devices and modules with certificates of an authority. */
  authorities?: number;
  /** Differing fields over all different records, by field name. */
  fields: Record<string, number>;
  samples: {
    different: string[];
    missing: string[];
    extra: string[];
    foreign: string[];
    managed: string[];
    newKeys: string[];
    refused: Rejected[];
    rejected: Rejected[];
  };
}

export function emptyTotals(): Totals {
  return {
    desired: 0,
    equal: 0,
    managed: 0,
    missing: 0,
    different: 0,
    kept: 0,
    conflict: 0,
    create: 0,
    update: 0,
    delete: 0,
    foreign: 0,
    extra: 0,
    refused: 0,
    newKeys: 0,
    plannedOpen: 0,
    rejected: 0,
    explained: 0,
    kinds: {},
    found: {},
    authorities: 0,
    merged: 0,
    fields: {},
    samples: {
      different: [],
      missing: [],
      extra: [],
      foreign: [],
      managed: [],
      newKeys: [],
      refused: [],
      rejected: [],
    },
  };
}

/** The totals of two disjoint parts of a registry. */
export function addTotals(a: Totals, b: Totals): Totals {
  const fields = { ...a.fields };
  for (const [field, count] of Object.entries(b.fields)) fields[field] = (fields[field] ?? 0) + count;
  const some = <T>(x: readonly T[], y: readonly T[]): T[] => [...x, ...y].slice(0, SAMPLES);
  return {
    desired: a.desired + b.desired,
    equal: a.equal + b.equal,
    managed: (a.managed ?? 0) + (b.managed ?? 0),
    missing: a.missing + b.missing,
    different: a.different + b.different,
    kept: a.kept + b.kept,
    conflict: a.conflict + b.conflict,
    create: a.create + b.create,
    // Histories of releases that knew no updates do not have these.
    update: (a.update ?? 0) + (b.update ?? 0),
    delete: (a.delete ?? 0) + (b.delete ?? 0),
    foreign: (a.foreign ?? 0) + (b.foreign ?? 0),
    extra: a.extra + b.extra,
    refused: a.refused + b.refused,
    newKeys: (a.newKeys ?? 0) + (b.newKeys ?? 0),
    plannedOpen: a.plannedOpen + b.plannedOpen,
    rejected: a.rejected + b.rejected,
    explained: a.explained + b.explained,
    kinds: addByKind(a.kinds ?? {}, b.kinds ?? {}),
    found: addByKind(a.found ?? {}, b.found ?? {}),
    authorities: (a.authorities ?? 0) + (b.authorities ?? 0),
    merged: (a.merged ?? 0) + (b.merged ?? 0),
    fields,
    samples: {
      different: some(a.samples.different, b.samples.different),
      missing: some(a.samples.missing, b.samples.missing),
      extra: some(a.samples.extra ?? [], b.samples.extra ?? []),
      foreign: some(a.samples.foreign ?? [], b.samples.foreign ?? []),
      managed: some(a.samples.managed ?? [], b.samples.managed ?? []),
      newKeys: some(a.samples.newKeys ?? [], b.samples.newKeys ?? []),
      refused: some(a.samples.refused, b.samples.refused),
      rejected: some(a.samples.rejected, b.samples.rejected),
    },
  };
}

function addByKind<Name extends string>(a: ByKind<Name>, b: ByKind<Name>): ByKind<Name> {
  const sum: ByKind<Name> = {};
  for (const part of [a, b])
    for (const kind of Object.keys(part) as RecordKind[])
      for (const name of Object.keys(part[kind] ?? {}) as Name[])
        countByKind(sum, kind, name, part[kind]?.[name]);
  return sum;
}

/** A count, and the first few by name. */
export interface Sampled {
  readonly count: number;
  readonly samples: readonly string[];
}

const NONE: Sampled = { count: 0, samples: [] };

/** What was counted in two places. */
export function addSampled(a = NONE, b = NONE): Sampled {
  return { count: a.count + b.count, samples: [...a.samples, ...b.samples].slice(0, SAMPLES) };
}

/** Counts something of a kind of record. */
export function countByKind<Name extends string>(
  counts: ByKind<Name>,
  kind: RecordKind,
  name: Name,
  count = 1,
): void {
  const named: Partial<Record<Name, number>> = (counts[kind] ??= {});
  named[name] = (named[name] ?? 0) + count;
}
