import type { Storage } from '../azure/storage.js';
import { parseChange } from '../registry/change.js';
import type { Seen } from '../registry/foreign.js';
import { identityOfDesired, identityOfLine, parseLine } from '../registry/line.js';
import type { ChangeKind } from '../registry/reconcile.js';
import { type RecordKey, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import { EdgeTable } from '../registry/scopes.js';
import { isByRest } from '../registry/waves.js';
import { allOwnLines, edgeTableOf, ownLines, partitionLines, workBlob } from './work.js';

/** What a run has sent so far: only its records may be sent again (design §5). */
export interface OwnPlan {
  /** The passes whose changes were sent: the plan's first, then those of repair rounds. */
  readonly passes: readonly number[];
  /** The target's snapshot that the plan was made against. */
  readonly before: string;
}

/** What this run planned and sent in one partition. */
export class Own {
  /**
   * @param planned what the plan does with each of its records.
   * @param rejected records whose line was rejected when it was last sent: a line that was sent again later, and not
   *   rejected then, says nothing of its record any more.
   * @param sentByRest records that were sent by REST.
   * @param twinsByRest those of them of which only the twin was sent.
   * @param full whether the hub has said that it is full.
   */
  private constructor(
    readonly planned: ReadonlyMap<RecordKey, ChangeKind>,
    readonly rejected: ReadonlyMap<RecordKey, Rejected>,
    readonly passes: number,
    readonly lines: ReadonlyMap<RecordKey, string>,
    readonly edges: EdgeTable,
    readonly sentByRest: ReadonlySet<RecordKey>,
    readonly twinsByRest: ReadonlySet<RecordKey>,
    readonly full: boolean,
  ) {}

  /** A record of the target as the plan found it. */
  before(key: RecordKey): Seen | undefined {
    const line = this.lines.get(key);
    return line === undefined ? undefined : { record: parseLine(line), edges: this.edges };
  }

  static async read(
    storage: Storage,
    { work, partition }: { readonly work: string; readonly partition: number },
    { passes, before }: OwnPlan,
  ): Promise<Own> {
    const rejected = new Map<RecordKey, Rejected>();
    const sentByRest = new Set<RecordKey>();
    const twinsByRest = new Set<RecordKey>();
    let planned: Map<RecordKey, ChangeKind> | undefined;
    let full = false;
    for (const pass of passes) {
      const sent = new Map<RecordKey, ChangeKind>();
      full ||= (await storage.size(work, workBlob.full(pass))) !== null;
      for await (const { name } of storage.list(work, workBlob.changes(pass, partition))) {
        for await (const batch of ownLines(storage, work, name)) {
          for (const text of batch) {
            const { part, line } = parseChange(text);
            const kind = part === 'create' || part === 'delete' ? part : 'update';
            const { deviceId, moduleId } = identityOfDesired(line);
            const key = recordKey(deviceId, moduleId);
            sent.set(key, kind);
            if (!isByRest(name.slice(name.lastIndexOf('/') + 1))) continue;
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
      for await (const batch of partitionLines(storage, work, workBlob.actual(first, partition))) {
        for (const text of batch) {
          const key = keyOfLine(text);
          if (planned.has(key)) lines.set(key, text);
        }
      }
    }
    const edges = lines.size > 0 ? await edgeTableOf(storage, before) : EdgeTable.of([]);
    return new Own(planned, rejected, passes.length, lines, edges, sentByRest, twinsByRest, full);
  }
}

/** The key of the record of any of our lines. */
export function keyOfLine(line: string): RecordKey {
  const { deviceId, moduleId } = identityOfLine(line);
  return recordKey(deviceId, moduleId);
}
