import { differingFields, isTwinField } from '../registry/compare.js';
import { FULL, mayBeThere, mayGoByRest, mayPass } from '../registry/error-log.js';
import { foreignFields, isMerged } from '../registry/foreign.js';
import { HeadRecord } from '../registry/head-line.js';
import type { VerifyCounts } from '../registry/ledger.js';
import type { Policy } from '../registry/policy.js';
import { type Comparison, decide } from '../registry/reconcile.js';
import { kindOf, type RecordKey, type RegistryRecord } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { type EdgeTable, parentOf } from '../registry/scopes.js';
import { countByKind, emptyTotals, SAMPLES } from '../registry/totals.js';
import type { Own } from './own.js';
import { PARENT_MISSING } from './work.js';

type Of<Kind> = Extract<Comparison, { readonly kind: Kind }>;

/** A change to be sent. */
export type Due =
  | { readonly kind: 'create'; readonly found: Of<'missing'>; readonly byRest?: boolean }
  | { readonly kind: 'update'; readonly found: Of<'different'>; readonly byRest?: boolean }
  | { readonly kind: 'delete'; readonly found: Of<'extra'>; readonly byRest?: false };

/** What a judge goes by. */
interface Grounds {
  readonly policy: Policy;
  /** What this run has sent: null before the first write. Afterwards only its records may be sent again. */
  readonly own: Own | null;
  readonly actualEdges: EdgeTable;
  /** What earlier plans of the run have made: it is not anybody else's, and goes when it is not desired any more. */
  readonly made: ReadonlySet<RecordKey>;
}

/** Counts what was found, and says what is to be done about each record. */
export class Judge {
  readonly sum = emptyTotals();
  /** Twins that are put right one by one in this look for the first time. */
  #twinCalls = 0;

  readonly policy: Policy;
  readonly own: Own | null;
  readonly actualEdges: EdgeTable;
  readonly #made: ReadonlySet<RecordKey>;

  constructor(
    { policy, own, actualEdges, made }: Grounds,
    readonly maxTwinCalls = Number.POSITIVE_INFINITY,
  ) {
    this.policy = policy;
    this.own = own;
    this.actualEdges = actualEdges;
    this.#made = made;
  }

  /** @returns the change that is due, or null. */
  count(found: Comparison): Due | null {
    const { sum } = this;
    switch (found.kind) {
      case 'refused':
        sum.refused += 1;
        some(sum.samples.refused, { record: found.key, ...found.refusal });
        return null;
      case 'system':
      case 'filtered':
        return null;
      case 'extra':
        this.#found(found, 'extra');
        sum.extra += 1;
        return this.#extra(found);
      case 'equal':
        sum.desired += 1;
        sum.equal += 1;
        this.#found(found, 'match');
        if (found.managedBy) {
          sum.managed += 1;
          some(sum.samples.managed, `${found.key}, by ${found.managedBy.join(', ')}`);
        }
        return null;
      case 'missing':
        sum.desired += 1;
        sum.missing += 1;
        this.#found(found, 'missing');
        some(sum.samples.missing, found.key);
        return this.#missing(found);
      default:
        sum.desired += 1;
        return this.#different(found);
    }
  }

  newKeys(key: RecordKey): void {
    this.sum.newKeys += 1;
    some(this.sum.samples.newKeys, key);
  }

  countKind({ kind, found: { record } }: Due): void {
    countByKind(this.sum.kinds ?? {}, kindOf(record), kind);
    if (kind === 'create' && isByAuthority(record)) this.sum.authorities = (this.sum.authorities ?? 0) + 1;
  }

  #found({ record }: { readonly record: RegistryRecord }, as: keyof Omit<VerifyCounts, 'compared'>): void {
    countByKind(this.sum.found ?? {}, kindOf(record), as);
  }

  #missing(found: Of<'missing'>): Due | null {
    const { own, sum } = this;
    const { key, parent } = found;
    const rejection = own?.rejected.get(key);
    const parentIsThere = parent === null || this.actualEdges.scopeOf(parent) !== null;
    const planned = own?.planned.get(key);
    const ours = own === null || planned === 'create';
    if (planned !== undefined) this.#open(rejection);
    if (planned === 'update') {
      // Somebody deleted it since the plan was made: not ours to bring back.
      this.#foreign(key);
      return null;
    }
    if (own && rejection && goesByRest(found, rejection, own)) {
      sum.create += 1;
      return { kind: 'create', found, byRest: true };
    }
    if (rejection && isExplained(rejection, parentIsThere)) sum.explained += 1;
    const again = rejection === undefined || isWorthATry(rejection, parentIsThere, own);
    if (!ours || !again) return null;
    sum.create += 1;
    return { kind: 'create', found };
  }

  #different(found: Of<'different'>): Due | null {
    const { own, sum } = this;
    const { key, fields } = found;
    const verdict = decide(found, this.policy);
    const planned = own?.planned.get(key);
    if (verdict === 'kept' && planned === undefined) {
      sum.kept += 1;
      this.#found(found, 'kept');
      return null;
    }
    sum.different += 1;
    this.#found(found, 'different');
    some(sum.samples.different, key);
    for (const field of fields) sum.fields[field] = (sum.fields[field] ?? 0) + 1;
    if (verdict === 'conflict' && own === null) sum.conflict += 1;
    const rejection = own?.rejected.get(key);
    // One that was created, but not as it should be, is no open one, unless it was there before and its line rejected.
    if (planned === 'update' || rejection) this.#open(rejection);
    if (planned === 'create' && rejection === undefined && isLeafsParent(found)) {
      // Created as planned, but an import may ignore where a leaf hangs.
      sum.update += 1;
      return { kind: 'update', found, byRest: true };
    }
    if (verdict !== 'update' || (own !== null && planned !== 'update')) return null;
    const before = own?.before(key);
    if (before !== undefined) {
      const now = { record: found.actual, edges: this.actualEdges };
      if (foreignFields(before, found.record, now, fields).length > 0) {
        this.#foreign(key);
        return null;
      }
      if (own && rejection && moduleGoesByRest(found, rejection, own)) {
        sum.update += 1;
        return { kind: 'update', found, byRest: true };
      }
      if (rejection && !isWorthATry(rejection, true, own) && !wasGuarded(rejection)) {
        sum.explained += 1;
        return null;
      }
    }
    const merged =
      before !== undefined &&
      rejection === undefined &&
      fields.every(isTwinField) &&
      isMerged(before.record, found.record, found.actual);
    if (merged && own?.twinsByRest.has(key) === false) {
      if (own.twinsByRest.size + this.#twinCalls >= this.maxTwinCalls) {
        sum.merged = (sum.merged ?? 0) + 1;
        sum.explained += 1;
        return null;
      }
      this.#twinCalls += 1;
    }
    sum.update += 1;
    const half = isLeafsParent(found) || merged;
    return { kind: 'update', found, byRest: own !== null && half && rejection === undefined };
  }

  #extra(found: Of<'extra'>): Due | null {
    const { own, sum } = this;
    const { key, record } = found;
    if (decide(found, this.policy) !== 'delete' && !this.#made.has(key)) return null;
    if (own !== null) {
      const before = own.before(key);
      if (own.planned.get(key) !== 'delete' || before === undefined) return null;
      const rejection = own.rejected.get(key);
      this.#open(rejection);
      const parent = parentOf(before.record, before.edges).parent;
      if (differingFields(before.record, parent, record, this.actualEdges).length > 0) {
        sum.foreign += 1;
        some(sum.samples.foreign, key);
        return null;
      }
      if (rejection && !isWorthATry(rejection, true, own) && !wasGuarded(rejection)) return null;
    }
    sum.delete += 1;
    some(sum.samples.extra, key);
    return { kind: 'delete', found };
  }

  #open(rejection: Rejected | undefined): void {
    this.sum.plannedOpen += 1;
    if (rejection === undefined) return;
    this.sum.rejected += 1;
    some(this.sum.samples.rejected, rejection);
  }

  /** Somebody else's write to a desired record since the plan: it survives, and is named. */
  #foreign(key: RecordKey): void {
    this.sum.foreign += 1;
    this.sum.explained += 1;
    some(this.sum.samples.foreign, key);
  }
}

/**
 * Whether a record whose line was rejected is sent by REST: a module where the hub refuses module lines as such, and
 * where it says that it is full whatever was rejected for that, or for what it hangs on.
 */
function goesByRest({ key, record }: Of<'missing'>, { code }: Rejected, own: Own): boolean {
  if (own.full && !own.sentByRest.has(key) && (code === FULL || code === PARENT_MISSING || code === '404001'))
    return true;
  return moduleGoesByRest({ key, record }, { code }, own);
}

function moduleGoesByRest(
  { key, record }: Pick<Of<'missing'>, 'key' | 'record'>,
  { code }: Pick<Rejected, 'code'>,
  own: Own,
): boolean {
  return own.sentByRest.has(key) ? mayPass(code) : record.moduleId !== null && mayGoByRest(code);
}

/** A leaf device that is as it should be, but for its parent. */
function isLeafsParent({ record, fields }: Of<'different'>): boolean {
  return record.moduleId === null && !record.iotEdge && fields.every((field) => field === 'parent');
}

function some<T>(list: T[], item: T): void {
  if (list.length < SAMPLES) list.push(item);
}

/** A plain device has keys, and is not read for it. */
function isByAuthority(record: RegistryRecord): boolean {
  return !(record instanceof HeadRecord) && record.authentication?.type === 'certificateAuthority';
}

/** Whether it is no wonder that a rejected record is missing: then nobody needs to look twice. */
function isExplained({ code }: Rejected, parentIsThere: boolean): boolean {
  return code === PARENT_MISSING ? !parentIsThere : !mayBeThere(code);
}

/**
 * Whether a rejected record is sent again. One that was withheld goes along once without its parent being there yet: the
 * parent may arrive in the same round, in an earlier wave.
 */
function isWorthATry({ code }: Rejected, parentIsThere: boolean, own: Own | null): boolean {
  return code === PARENT_MISSING ? parentIsThere || own?.passes === 1 : mayPass(code);
}

/**
 * Whether a line was refused for its ETag. Where nobody else's write shows in the record, our own earlier one moved it,
 * or one that changed nothing: the line may be sent again, against the new ETag.
 */
function wasGuarded({ code }: Rejected): boolean {
  return code === '412001' || code === '400023';
}
