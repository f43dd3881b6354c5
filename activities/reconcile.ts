import type { BlobWriter, Storage } from '../azure/storage.js';
import {
  byRest,
  type Change,
  changesOf,
  makesKeys,
  parseChange,
  printChange,
  writesKeys,
} from '../registry/change.js';
import { differingFields, isTwinField } from '../registry/compare.js';
import { contentOf } from '../registry/content.js';
import { changeDigest, saltedDigest } from '../registry/digest.js';
import { mayBeThere, mayGoByRest, mayPass } from '../registry/error-log.js';
import { foreignFields, isMerged, type Seen } from '../registry/foreign.js';
import type { VerifyCounts } from '../registry/ledger.js';
import { identityOfLine, parseDesiredLine, parseLine } from '../registry/line.js';
import { managedValues } from '../registry/managed.js';
import type { ImportMode } from '../registry/modes.js';
import { type PlanSample, planSample, SAMPLES_EACH } from '../registry/plan-sample.js';
import type { Policy } from '../registry/policy.js';
import { type ChangeKind, type Comparison, comparePartition, decide } from '../registry/reconcile.js';
import { kindOf, type RecordKey, type RegistryRecord, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { EdgeTable, parentOf } from '../registry/scopes.js';
import { countByKind, emptyTotals, SAMPLES, type Totals } from '../registry/totals.js';
import { BY_REST } from '../registry/waves.js';
import { configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { markedLines, NewKeys } from './new-keys.js';
import { allOwnLines, edgeTableOf, LINES_PER_MARK, ownLines, PARENT_MISSING, workBlob } from './work.js';

/** What a run has sent so far: only its records may be sent again (design §5). */
export interface OwnPlan {
  /** The passes whose changes were sent: the plan's first, then those of repair rounds. */
  readonly passes: readonly number[];
  /** The target's snapshot that the plan was made against. */
  readonly before: string;
}

export interface ReconcileInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partition: number;
  readonly sourceEdges: string;
  readonly targetSnapshot: string;
  readonly policy: Policy;
  /** After an import: what this run sent. */
  readonly own: OwnPlan | null;
  /** The snapshot that holds the configurations of the target that were there before the first write. */
  readonly configurations?: string;
  /** Of the digests that stay of a plan; left out where this is no plan, or one of 0.1. */
  readonly salt?: string;
  /** Whether the run is about the records of `workBlob.selected` only. Left out: about all. */
  readonly selected?: boolean;
  /** Whether what is desired is known without keys. Left out: no. */
  readonly keyless?: boolean;
  /** Whether changes go together in few jobs, as those of edits do. Left out: no. */
  readonly together?: boolean;
  /** Twins that an import merged, and that are put right one by one in this partition, at most. Left out: all. */
  readonly maxTwinCalls?: number;
}

/** What one partition holds. */
export interface PartitionDifference extends Totals {
  /** Lines to send, by wave. */
  readonly lines: Readonly<Record<string, number>>;
}

export function reconcileActivities({ connections }: Deps) {
  return {
    /**
     * Joins one partition of desired and actual: counts every kind of difference and writes the changes, one stream
     * per wave. Serves the plan before an import and the verdict after it alike.
     */
    async reconcile(input: ReconcileInput): Promise<PartitionDifference> {
      const { work, pass, partition } = input;
      const storage = connections.storage(input.account);
      const [sourceEdges, actualEdges] = await Promise.all([
        edgeTableOf(storage, input.sourceEdges),
        edgeTableOf(storage, input.targetSnapshot),
      ]);
      const desired = await allOwnLines(storage, work, workBlob.desired(partition));
      const actual = await allOwnLines(storage, work, workBlob.actual(pass, partition));
      const filtered = await allOwnLines(storage, work, workBlob.filtered(partition));
      const selected =
        input.selected === true ? await allOwnLines(storage, work, workBlob.selected(partition)) : undefined;
      const own = input.own && (await Own.read(storage, input, input.own));
      const out = new Changes(storage, input);
      const differences = storage.writer(work, workBlob.differences(pass, partition));
      const kept = input.salt === undefined ? null : new KeptPlan(storage, input, input.salt);
      const samples = new PlanSamples();
      const judge = new Judge(input.policy, own, actualEdges, input.maxTwinCalls);
      const configurations = await configurationsOf(storage, input.configurations ?? null);
      const managed = managedValues(configurations);

      const { keyless = false, together = false } = input;
      const marked = selected === undefined ? NONE_MARKED : await markedLines(storage, work, partition);
      const modes = modesIn(selected ?? []);
      const sides = { desired, actual, actualEdges, managed, filtered, keyless };
      for (const found of comparePartition(selected === undefined ? sides : { ...sides, selected })) {
        const difference = differenceLine(found);
        if (difference !== null) await differences.write(`${difference}\n`);
        const due = judge.count(found);
        if (due === null) continue;
        const { key } = due.found;
        judge.countKind(due);
        if (kept !== null) samples.add(due, actualEdges);
        // Keys that the run makes enter the hash as marks (design §5).
        out.digest(due.kind, key, 'line' in due.found ? (marked.get(key) ?? due.found.line) : '');
        const level = sourceEdges.levelOf(due.found.record.deviceId);
        const lines =
          due.byRest === true
            ? byRest(due.found)
            : changesOf(due.found, level, { together, mode: modes.get(key) });
        const made = (change: Change): boolean =>
          makesKeys(change) || (marked.has(key) && writesKeys(change));
        if (lines.some(({ change }) => made(change))) judge.newKeys(key);
        for (const { wave, change } of lines) await out.add(wave, change);
        await kept?.add(due, lines[0]?.change);
      }
      await differences.close();
      await kept?.close();
      if (kept !== null) await samples.write(storage, work, workBlob.samples(pass, partition));
      return { ...judge.sum, lines: await out.close() };
    },
  };
}

const NONE_MARKED: ReadonlyMap<RecordKey, string> = new Map();

/** The modes that a user has chosen, as lines of selected records name them. */
function modesIn(selected: readonly string[]): Map<RecordKey, ImportMode> {
  const modes = new Map<RecordKey, ImportMode>();
  for (const line of selected) {
    const { mode } = JSON.parse(line) as { mode?: ImportMode };
    if (mode !== undefined) modes.set(keyOfLine(line), mode);
  }
  return modes;
}

/** What is said of a record in the file of differences, or null where there is nothing to say. */
function differenceLine(found: Comparison): string | null {
  const { kind, key: record } = found;
  switch (kind) {
    case 'missing':
    case 'extra':
      return JSON.stringify({ record, difference: kind });
    case 'different':
      return JSON.stringify({ record, difference: kind, fields: found.fields });
    case 'refused':
      return JSON.stringify({ record, difference: kind, code: found.refusal.code });
    default:
      return null;
  }
}

type Of<Kind> = Extract<Comparison, { readonly kind: Kind }>;

/** A change to be sent. */
type Due =
  | { readonly kind: 'create'; readonly found: Of<'missing'>; readonly byRest?: boolean }
  | { readonly kind: 'update'; readonly found: Of<'different'>; readonly byRest?: boolean }
  | { readonly kind: 'delete'; readonly found: Of<'extra'>; readonly byRest?: false };

/** Counts what was found, and says what is to be done about each record. */
class Judge {
  readonly sum = emptyTotals();
  /** Twins that are put right one by one in this look for the first time. */
  #twinCalls = 0;

  /** @param own what this run has sent: null before the first write. Afterwards only its records may be sent again. */
  constructor(
    readonly policy: Policy,
    readonly own: Own | null,
    readonly actualEdges: EdgeTable,
    readonly maxTwinCalls = Number.POSITIVE_INFINITY,
  ) {}

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
    if (kind === 'create' && record.authentication?.type === 'certificateAuthority')
      this.sum.authorities = (this.sum.authorities ?? 0) + 1;
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
    if (
      rejection &&
      found.record.moduleId !== null &&
      mayGoByRest(rejection.code) &&
      !own?.sentByRest.has(key)
    ) {
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
    if (decide(found, this.policy) !== 'delete') return null;
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

/** A leaf device that is as it should be, but for its parent. */
function isLeafsParent({ record, fields }: Of<'different'>): boolean {
  return record.moduleId === null && !record.iotEdge && fields.every((field) => field === 'parent');
}

function some<T>(list: T[], item: T): void {
  if (list.length < SAMPLES) list.push(item);
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

/** What this run planned and sent in one partition. */
class Own {
  /**
   * @param planned what the plan does with each of its records.
   * @param rejected records whose line was rejected when it was last sent: a line that was sent again later, and not
   *   rejected then, says nothing of its record any more.
   * @param sentByRest records that were sent by REST.
   * @param twinsByRest those of them of which only the twin was sent.
   */
  private constructor(
    readonly planned: ReadonlyMap<RecordKey, ChangeKind>,
    readonly rejected: ReadonlyMap<RecordKey, Rejected>,
    readonly passes: number,
    readonly lines: ReadonlyMap<RecordKey, string>,
    readonly edges: EdgeTable,
    readonly sentByRest: ReadonlySet<RecordKey>,
    readonly twinsByRest: ReadonlySet<RecordKey>,
  ) {}

  /** A record of the target as the plan found it. */
  before(key: RecordKey): Seen | undefined {
    const line = this.lines.get(key);
    return line === undefined ? undefined : { record: parseLine(line), edges: this.edges };
  }

  static async read(
    storage: Storage,
    { work, partition }: ReconcileInput,
    { passes, before }: OwnPlan,
  ): Promise<Own> {
    const rejected = new Map<RecordKey, Rejected>();
    const sentByRest = new Set<RecordKey>();
    const twinsByRest = new Set<RecordKey>();
    let planned: Map<RecordKey, ChangeKind> | undefined;
    for (const pass of passes) {
      const sent = new Map<RecordKey, ChangeKind>();
      for await (const { name } of storage.list(work, workBlob.changes(pass, partition))) {
        for await (const batch of ownLines(storage, work, name)) {
          for (const text of batch) {
            const { part, line } = parseChange(text);
            const kind = part === 'create' || part === 'delete' ? part : 'update';
            const key = keyOfLine(line);
            sent.set(key, kind);
            if (!name.endsWith(`/${BY_REST}`)) continue;
            sentByRest.add(key);
            if (part === 'twin') twinsByRest.add(key);
          }
        }
      }
      planned ??= sent;
      for (const key of sent.keys()) rejected.delete(key);
      for await (const { name } of storage.list(work, workBlob.rejected(pass, partition))) {
        for (const text of await allOwnLines(storage, work, name)) {
          const rejection = JSON.parse(text) as Rejected;
          rejected.set(rejection.record as RecordKey, rejection);
        }
      }
    }
    planned ??= new Map();
    const lines = new Map<RecordKey, string>();
    const [first = 0] = passes;
    if ([...planned.values()].some((kind) => kind !== 'create')) {
      for await (const batch of ownLines(storage, work, workBlob.actual(first, partition))) {
        for (const text of batch) {
          const key = keyOfLine(text);
          if (planned.has(key)) lines.set(key, text);
        }
      }
    }
    const edges = lines.size > 0 ? await edgeTableOf(storage, before) : EdgeTable.of([]);
    return new Own(planned, rejected, passes.length, lines, edges, sentByRest, twinsByRest);
  }
}

function keyOfLine(line: string): RecordKey {
  const { deviceId, moduleId } = identityOfLine(line);
  return recordKey(deviceId, moduleId);
}

/** Some changes of each kind in one partition of a plan, field by field and without keys. */
class PlanSamples {
  readonly #samples: PlanSample[] = [];
  readonly #counts = new Map<string, number>();

  add({ kind, found }: Due, actualEdges: EdgeTable): void {
    const name = `${kind} ${kindOf(found.record)}`;
    const count = this.#counts.get(name) ?? 0;
    if (count >= SAMPLES_EACH) return;
    this.#counts.set(name, count + 1);
    const actual = kind === 'delete' ? found.record : kind === 'update' ? found.actual : null;
    const before = actual && { record: actual, parent: parentOf(actual, actualEdges).parent };
    const after = kind === 'delete' ? null : { record: found.record, parent: found.parent };
    const sample = planSample(found.key, kind, before, after, kind === 'update' ? found.fields : []);
    if (sample !== null) this.#samples.push(sample);
  }

  async write(storage: Storage, container: string, blob: string): Promise<void> {
    await storage.writeText(container, blob, JSON.stringify(this.#samples));
  }
}

/** What stays of one partition of a plan after the run: whose each change is, its kind, and a digest of what it leaves. */
class KeptPlan {
  readonly #writer: BlobWriter;
  readonly #keys: NewKeys;
  readonly #salt: string;

  constructor(storage: Storage, { work, pass, partition }: ReconcileInput, salt: string) {
    this.#writer = storage.writer(work, workBlob.kept(pass, partition));
    this.#keys = new NewKeys(storage, work);
    this.#salt = salt;
  }

  /** @param change one of the lines that carry it out: each holds the whole record. */
  async add({ kind, found: { key } }: Due, change: Change | undefined): Promise<void> {
    const digest = kind === 'delete' || change === undefined ? null : await this.#digest(change);
    await this.#writer.write(`${JSON.stringify({ key, kind, digest })}\n`);
  }

  /** Keys that the run makes count with their values, so that others in their place are seen. */
  async #digest(change: Change): Promise<string | null> {
    const read = parseDesiredLine((await this.#keys.filled(change)).line);
    return read.kind === 'refused' ? null : saltedDigest(this.#salt, contentOf(read.record, read.parent));
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}

/** The changes of one partition: a stream per wave with a mark every thousand lines, and the digests for the hash. */
class Changes {
  readonly #streams = new Map<string, { writer: BlobWriter; lines: number; marks: number[] }>();
  readonly #storage: Storage;
  readonly #input: ReconcileInput;
  readonly #digests: Buffer[] = [];

  constructor(storage: Storage, input: ReconcileInput) {
    this.#storage = storage;
    this.#input = input;
  }

  /** A change counts once for the hash, in however many lines it is sent. */
  digest(kind: ChangeKind, key: RecordKey, content: string): void {
    this.#digests.push(changeDigest(kind, key, content));
  }

  async add(wave: string, change: Change): Promise<void> {
    const { work, pass, partition } = this.#input;
    let stream = this.#streams.get(wave);
    if (stream === undefined) {
      stream = {
        writer: this.#storage.writer(work, workBlob.changes(pass, partition, wave)),
        lines: 0,
        marks: [],
      };
      this.#streams.set(wave, stream);
    }
    if (stream.lines % LINES_PER_MARK === 0) stream.marks.push(stream.writer.bytes);
    stream.lines += 1;
    await stream.writer.write(`${printChange(change)}\n`);
  }

  async close(): Promise<Record<string, number>> {
    const { work, pass, partition } = this.#input;
    const lines: Record<string, number> = {};
    for (const [wave, stream] of this.#streams) {
      await stream.writer.close();
      await this.#storage.writeText(
        work,
        workBlob.marks(pass, partition, wave),
        JSON.stringify(stream.marks),
      );
      lines[wave] = stream.lines;
    }
    const digests = this.#storage.writer(work, workBlob.digests(pass, partition));
    await digests.write(Buffer.concat(this.#digests));
    await digests.close();
    return lines;
  }
}
