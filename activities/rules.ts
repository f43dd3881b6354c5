import type { Storage } from '../azure/storage.js';
import { compilePredicate } from '../config/predicate.js';
import { printIdentity } from '../registry/change.js';
import { HubferryError } from '../registry/errors.js';
import { plainRecord } from '../registry/head-line.js';
import { partitionOf } from '../registry/partition.js';
import { isSystemModule, quoted } from '../registry/record.js';
import { isLeftOut, Names, RuledEdges, type RuledRecord, ruledPartition } from '../registry/ruled.js';
import { type OrphanPolicy, type Rule, Rules, type RuleTally } from '../registry/rules.js';
import { EdgeTable } from '../registry/scopes.js';
import { type SnapshotLine, type WholeSnapshotInput, wholeSnapshot } from './backup-export.js';
import { makeKeySecret } from './new-keys.js';
import { PartitionWriters } from './partitions.js';
import { type Sampled, Sampler } from './sampler.js';
import { allOwnLines, edgeTableOf, workBlob, writeEdges } from './work.js';

export interface RuledInput extends WholeSnapshotInput {
  readonly work: string;
  readonly rules: readonly Rule[];
  readonly orphans: OrphanPolicy;
}

/** What rules made of a snapshot. */
export interface RuledResult {
  /** The container with the side table of edge devices as the rules left them. */
  readonly edges: string;
  readonly tallies: readonly RuleTally[];
  /** Records that are left out. */
  readonly filtered: number;
  /** Devices that lost their parent, and those that are left out, since an edge device above is left out. */
  readonly detached: Sampled;
  readonly excludedWithParent: Sampled;
  /** Whether records may get new keys. */
  readonly newKeys: boolean;
}

/**
 * A snapshot under rules. A module goes where its device goes, and no order of lines is relied on, so the snapshot is
 * first split by the devices' ids in the source; then each partition is ruled on its own.
 */
export class RuledSnapshot {
  readonly #storage: Storage;
  readonly #input: RuledInput;
  readonly #partitions: number;
  readonly #rules: Rules;
  readonly #renames: boolean;
  readonly #newKeys: boolean;
  readonly #edges: RuledEdges;
  readonly #long: SnapshotLine[] = [];
  readonly #detached = new Sampler();
  readonly #below = new Sampler();
  readonly #orphans = new Sampler();
  #filtered = 0;
  /** The edge devices that go to the target, under their new ids. */
  edges = EdgeTable.of([]);

  private constructor(storage: Storage, input: RuledInput, partitions: number, source: EdgeTable) {
    this.#storage = storage;
    this.#input = input;
    this.#partitions = partitions;
    this.#rules = new Rules(input.rules, compilePredicate);
    this.#renames = input.rules.some(({ then }) => then.rename !== undefined);
    this.#newKeys = input.rules.some(({ then }) => then.keys === 'regenerate');
    this.#edges = new RuledEdges(source, input.orphans);
  }

  /**
   * Splits the snapshot, and makes the side table of edge devices.
   *
   * @throws HubferryError SNAPSHOT_…, RULE_FAILED, RENAME_COLLISION
   */
  static async of(storage: Storage, input: RuledInput, partitions: number): Promise<RuledSnapshot> {
    const source = await edgeTableOf(storage, input.snapshot);
    const ruled = new RuledSnapshot(storage, input, partitions, source);
    await ruled.#split();
    if (ruled.#newKeys) await makeKeySecret(storage, input.work);
    return ruled;
  }

  async #split(): Promise<void> {
    // What it counts is counted again with all other records.
    const rules = new Rules(this.#input.rules, compilePredicate);
    const writers = new PartitionWriters(this.#storage, this.#input.work, workBlob.source);
    const add = async (line: SnapshotLine): Promise<void> => {
      const { record, text } = line;
      if (record === null || text === null) {
        this.#long.push(line);
        return;
      }
      await writers.write(partitionOf(record.deviceId, this.#partitions), text);
      if (record.moduleId === null && record.iotEdge)
        this.#edges.add(record.deviceId, rules.apply(plainRecord(record), this.#edges.parentOf(record)));
    };
    for await (const batch of wholeSnapshot(this.#storage, this.#input))
      for (const line of batch) await add(line);
    await writers.close();
    const rows = this.#edges.rows();
    await writeEdges(this.#storage, this.#input.work, rows);
    this.edges = EdgeTable.of(rows);
  }

  /**
   * The records that go to the target, as the rules left them, and lines too long to be read. What is left out is noted
   * for the comparison, under its id on either hub.
   *
   * @throws HubferryError RULE_FAILED, PARENT_FILTERED, RENAME_COLLISION
   */
  async *lines(): AsyncGenerator<Pick<SnapshotLine, 'record' | 'offset' | 'bytes'>[]> {
    yield this.#long;
    const filtered = new PartitionWriters(this.#storage, this.#input.work, workBlob.filtered);
    const names = new PartitionWriters(this.#storage, this.#input.work, workBlob.names);
    for (let partition = 0; partition < this.#partitions; partition++) {
      const lines = await allOwnLines(this.#storage, this.#input.work, workBlob.source(partition));
      for (const ruled of ruledPartition(lines, this.#rules, this.#edges)) {
        this.#count(ruled);
        const { record, from, fate } = ruled;
        const to = partitionOf(record.deviceId, this.#partitions);
        if (isLeftOut(fate)) {
          if (isSystemModule(record)) continue;
          await filtered.write(to, printIdentity(record));
          if (from !== record.deviceId)
            await filtered.write(
              partitionOf(from, this.#partitions),
              printIdentity({ deviceId: from, moduleId: record.moduleId }),
            );
          continue;
        }
        if (this.#renames && record.moduleId === null)
          await names.write(to, JSON.stringify([record.deviceId, from]));
        yield [{ record, offset: 0, bytes: null }];
      }
    }
    await filtered.close();
    await names.close();
    this.#refuseOrphans();
    if (this.#renames) await this.#refuseCollisions();
  }

  #count({ record, from, fate }: RuledRecord): void {
    if (isLeftOut(fate)) this.#filtered += 1;
    if (fate === 'below') this.#below.add(record.deviceId);
    if (fate === 'detached') this.#detached.add(record.deviceId);
    if (fate === 'orphan') this.#orphans.add(from);
  }

  #refuseOrphans(): void {
    const { count, samples } = this.#orphans.result();
    if (count === 0) return;
    const some = samples.slice(0, 3).map(quoted).join(', ');
    throw new HubferryError(
      'PARENT_FILTERED',
      `Devices whose parent edge device is left out by rules: ${count}, such as ${some}. Nothing was written.`,
    );
  }

  async #refuseCollisions(): Promise<void> {
    for (let partition = 0; partition < this.#partitions; partition++) {
      const names = new Names();
      for (const line of await allOwnLines(this.#storage, this.#input.work, workBlob.names(partition))) {
        const [id, from] = JSON.parse(line) as [string, string];
        names.add(id, from);
      }
    }
  }

  /** What the rules did: to be asked for at the end of `lines`. */
  result(): RuledResult {
    return {
      edges: this.#input.work,
      tallies: this.#rules.tallies(),
      filtered: this.#filtered,
      detached: this.#detached.result(),
      excludedWithParent: this.#below.result(),
      newKeys: this.#newKeys,
    };
  }
}
