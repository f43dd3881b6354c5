import { planBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { BlobWriter, Storage } from '../azure/storage.js';
import { printIdentity } from '../registry/change.js';
import { contentOf } from '../registry/content.js';
import { saltedDigest } from '../registry/digest.js';
import { HubferryError } from '../registry/errors.js';
import { parseLine, printDesiredLine } from '../registry/line.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import { isSystemModule, type RecordKey, type RegistryRecord, recordKey } from '../registry/record.js';
import { type EdgeTable, parentOf } from '../registry/scopes.js';
import {
  KEPT_PLAN,
  type KeptChange,
  type KeptConfiguration,
  type KeptPlanHeader,
  type Placed,
  undoingOf,
} from '../registry/undo.js';
import { wholeSnapshot } from './backup-export.js';
import type { Deps } from './deps.js';
import { PartitionWriters, splitSnapshot } from './partitions.js';
import { type Sampled, Sampler } from './sampler.js';
import { allOwnLines, edgeTableOf, ownLines, workBlob } from './work.js';

export interface UndoInput {
  readonly account: string;
  readonly work: string;
  /** RUN of the run that is undone. */
  readonly undone: string;
  /** The target's snapshot from before it, and one from now, with their hashes from their manifests. */
  readonly before: SnapshotRef;
  readonly now: SnapshotRef;
  /** Whether what the run made is removed even where it was changed since. Left out: no. */
  readonly changedToo?: boolean;
  /** Of the larger one. */
  readonly bytes: number;
  readonly partitionBytes: number;
  readonly maxLineBytes: number;
}

interface SnapshotRef {
  readonly id: string;
  readonly sha256: string;
}

export interface UndoResult {
  readonly partitions: number;
  /** Records that are to be as they were before the run; others of its plan were not there. */
  readonly restored: number;
  /** What is not as the run left it, or has something of others below it: left alone. */
  readonly foreign: Sampled;
  /** Of those: records that were there before the run. */
  readonly foreignBefore: number;
  /** System modules that the run wrote, and those that went with a device that it deleted. */
  readonly beside: Sampled;
}

export function undoActivities({ connections }: Deps) {
  return {
    /**
     * Turns what stays of a run's plan, and the target's snapshot from before it, into a desired state: what the run
     * changed as it was before, as far as it still is what the run left. Only these records are selected.
     *
     * @throws HubferryError PLAN_NOT_KEPT where nobody knows what the run did; SNAPSHOT_… for a damaged snapshot.
     */
    async undo(input: UndoInput): Promise<UndoResult> {
      const storage = connections.storage(input.account);
      const partitions = partitionCount(input.bytes, input.partitionBytes);
      const edges = {
        before: await edgeTableOf(storage, input.before.id),
        now: await edgeTableOf(storage, input.now.id),
      };
      const left = new LeftAlone(storage, input.work);
      const plan = await splitPlan(storage, input, partitions);
      const { work, maxLineBytes } = input;
      const split = async (
        { id, sha256 }: SnapshotRef,
        blob: (partition: number) => string,
      ): Promise<void> => {
        const lines = wholeSnapshot(storage, { snapshot: id, sha256, maxLineBytes });
        await splitSnapshot(lines, new PartitionWriters(storage, work, blob), partitions);
      };
      await split(input.before, workBlob.undoBefore);
      await split(input.now, workBlob.undoNow);
      const undo = new Undo(storage, input, plan, edges, left);
      for (let partition = 0; partition < partitions; partition++)
        await undo.partition(partition, partitions);
      return { partitions, ...(await undo.end(partitions)) };
    },
  };
}

/** What is not undone: counted, some of it by name, and all of it written down, to be told of in a file. */
class LeftAlone {
  /** Records that are not as the run left them. */
  readonly foreign = new Sampler();
  /** What the run did to system modules. */
  readonly beside = new Sampler();
  readonly #writer: BlobWriter;
  #lines = '';

  constructor(storage: Storage, work: string) {
    this.#writer = storage.writer(work, workBlob.leftAlone);
  }

  addForeign(record: RecordKey): void {
    this.foreign.add(record);
    this.#lines += `${JSON.stringify({ record, difference: 'changed since the run' })}\n`;
  }

  addBeside(record: string): void {
    this.beside.add(record);
    this.#lines += `${JSON.stringify({ record, difference: 'not undone' })}\n`;
  }

  async flush(): Promise<void> {
    await this.#writer.write(this.#lines);
    this.#lines = '';
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#writer.close();
  }
}

/** What the file of a plan says beside its records. */
interface Plan {
  readonly salt: string;
  /** Ids of edge devices whose system modules the run wrote. */
  readonly manifests: Set<string>;
}

const MANIFEST = '/$manifest';

/** Splits the changes of records by device; others are only counted. */
async function splitPlan(storage: Storage, { work, undone }: UndoInput, partitions: number): Promise<Plan> {
  const unknown = (why: string): HubferryError =>
    new HubferryError('PLAN_NOT_KEPT', `The plan of run ${undone} ${why}, so nobody can say what it did.`);
  const writers = new PartitionWriters(storage, work, workBlob.undoPlan);
  const manifests = new Set<string>();
  const configurations: string[] = [];
  let header: KeptPlanHeader | null = null;
  for await (const batch of ownLines(storage, SHARED_CONTAINER, planBlob(undone))) {
    for (const line of batch) {
      if (header === null) {
        header = JSON.parse(line) as KeptPlanHeader;
        if (header.version !== KEPT_PLAN) throw unknown('was kept by another release, in another form');
        continue;
      }
      const { key, configuration } = JSON.parse(line) as Partial<KeptChange & KeptConfiguration>;
      if (configuration !== undefined) configurations.push(line);
      else if (key?.endsWith(MANIFEST) === true) manifests.add(key.slice(0, -MANIFEST.length));
      else if (key !== undefined) await writers.write(partitionOf(deviceOf(key), partitions), line);
    }
  }
  await writers.closeAll(partitions);
  if (header === null) throw unknown('is not in storage');
  const { salt } = header;
  await storage.writeText(
    work,
    workBlob.undoConfigurations,
    [JSON.stringify({ salt }), ...configurations].join('\n'),
  );
  return { salt, manifests };
}

const deviceOf = (key: RecordKey): string => key.split('/', 1)[0] ?? key;

/** Records of one partition by key. */
type Records = ReadonlyMap<RecordKey, Placed>;

/** A device that is to be removed, unless others have put something below it. */
interface Removal {
  readonly key: RecordKey;
  readonly record: RegistryRecord;
}

/** Decides partition by partition; edge devices at the end, since what hangs below them may be in any partition. */
class Undo {
  readonly #storage: Storage;
  readonly #input: UndoInput;
  readonly #plan: Plan;
  readonly #edges: { readonly before: EdgeTable; readonly now: EdgeTable };
  readonly #desired: PartitionWriters;
  readonly #selected: PartitionWriters;
  readonly #left: LeftAlone;
  readonly #removals: Removal[] = [];
  /** Edge devices below which something is that stays. */
  readonly #needed = new Set<string>();
  #restored = 0;
  #foreignBefore = 0;

  constructor(
    storage: Storage,
    input: UndoInput,
    plan: Plan,
    edges: { readonly before: EdgeTable; readonly now: EdgeTable },
    left: LeftAlone,
  ) {
    this.#left = left;
    this.#storage = storage;
    this.#input = input;
    this.#plan = plan;
    this.#edges = edges;
    this.#desired = new PartitionWriters(storage, input.work, workBlob.desired);
    this.#selected = new PartitionWriters(storage, input.work, workBlob.selected);
  }

  async partition(partition: number, partitions: number): Promise<void> {
    const before = await this.#read(workBlob.undoBefore(partition), this.#edges.before);
    const now = await this.#read(workBlob.undoNow(partition), this.#edges.now);
    const planned = new Map<RecordKey, KeptChange>();
    for (const line of await allOwnLines(this.#storage, this.#input.work, workBlob.undoPlan(partition))) {
      const change = JSON.parse(line) as KeptChange;
      planned.set(change.key, change);
    }
    withModulesOfDeleted(planned, before);
    const removed = new Map<RecordKey, Removal>();
    const restored = new Set<RecordKey>();
    const digestOf = (content: string): string => saltedDigest(this.#plan.salt, content);
    for (const change of planned.values()) {
      const { key } = change;
      const was = before.get(key) ?? null;
      const is = now.get(key) ?? null;
      if (was !== null && isSystemModule(was.record)) {
        if (holdsAnything(was.record)) this.#left.addBeside(`system module ${key}`);
        continue;
      }
      const made = this.#input.changedToo === true && was === null && is !== null;
      const undoing = made ? 'remove' : undoingOf(change, held(was), held(is), digestOf);
      if (undoing === 'foreign') {
        this.#left.addForeign(key);
        if (was !== null) this.#foreignBefore += 1;
      } else if (undoing === 'remove' && is !== null) removed.set(key, { key, record: is.record });
      else if (was !== null) {
        restored.add(key);
        await this.#restore(partition, was);
      }
    }
    // What is restored hangs where it did before the run, and that is below nothing the run made.
    const stays = (key: RecordKey): boolean => !removed.has(key) && !restored.has(key);
    for (const [key, { record }] of now) {
      if (record.moduleId === null || isSystemModule(record) || !stays(key)) continue;
      const device = recordKey(record.deviceId, null);
      if (removed.delete(device)) this.#left.addForeign(device);
    }
    for (const [key, { record, parent }] of now)
      if (record.moduleId === null && parent !== null && stays(key)) this.#needed.add(parent);
    for (const removal of removed.values()) {
      if (removal.record.moduleId === null && removal.record.iotEdge) this.#removals.push(removal);
      else await this.#remove(removal, partitions);
    }
    await this.#left.flush();
  }

  /** Those edge devices that nothing hangs below any more go, too. */
  async end(partitions: number): Promise<Omit<UndoResult, 'partitions'>> {
    const { now } = this.#edges;
    const removals = new Map(this.#removals.map((removal) => [removal.record.deviceId, removal]));
    const keep = (id: string): void => {
      const removal = removals.get(id);
      if (removal === undefined) return;
      removals.delete(id);
      this.#left.addForeign(removal.key);
      const parent = now.parentOf(id);
      if (parent !== null) keep(parent);
    };
    for (const id of this.#needed) keep(id);
    for (const removal of removals.values()) await this.#remove(removal, partitions);
    // Those of a device that goes, go with it.
    for (const id of this.#plan.manifests) if (now.has(id)) this.#left.addBeside(`system modules of ${id}`);
    await this.#left.close();
    await this.#desired.closeAll(partitions);
    await this.#selected.closeAll(partitions);
    return {
      restored: this.#restored,
      foreign: this.#left.foreign.result(),
      foreignBefore: this.#foreignBefore,
      beside: this.#left.beside.result(),
    };
  }

  async #restore(partition: number, { record, parent }: Placed): Promise<void> {
    this.#restored += 1;
    await this.#desired.write(partition, printDesiredLine(record, parent));
    await this.#selected.write(partition, printIdentity(record));
  }

  async #remove({ record }: Removal, partitions: number): Promise<void> {
    if (record.moduleId === null) this.#plan.manifests.delete(record.deviceId);
    await this.#selected.write(partitionOf(record.deviceId, partitions), printIdentity(record));
  }

  async #read(blob: string, edges: EdgeTable): Promise<Records> {
    const records = new Map<RecordKey, Placed>();
    for (const line of await allOwnLines(this.#storage, this.#input.work, blob)) {
      const record = parseLine(line);
      const { parent } = parentOf(record, edges);
      records.set(recordKey(record.deviceId, record.moduleId), { record, parent });
    }
    return records;
  }
}

const held = (placed: Placed | null): string | null => placed && contentOf(placed.record, placed.parent);

/** The service makes the empty ones again by itself. */
const holdsAnything = ({ tags, desired }: RegistryRecord): boolean =>
  Object.keys(tags).length + Object.keys(desired).length > 0;

/** A device that is deleted takes its modules along, which the plan need not name. */
function withModulesOfDeleted(planned: Map<RecordKey, KeptChange>, before: Records): void {
  for (const [key, { record }] of before) {
    if (record.moduleId === null || planned.has(key)) continue;
    const device = planned.get(recordKey(record.deviceId, null));
    if (device?.kind === 'delete') planned.set(key, { key, kind: 'delete', digest: null });
  }
}
