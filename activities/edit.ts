import { createHash } from 'node:crypto';
import type { Storage } from '../azure/storage.js';
import { compilePredicate } from '../config/predicate.js';
import { printIdentity } from '../registry/change.js';
import { type Edit, type Edited, EditedEdges, editedPartition } from '../registry/edit.js';
import { HubferryError } from '../registry/errors.js';
import type { Identity } from '../registry/line.js';
import { printDesiredLine, printRefused } from '../registry/line.js';
import type { ImportMode } from '../registry/modes.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import { type Rule, Rules, type RuleTally } from '../registry/rules.js';
import { EdgeTable } from '../registry/scopes.js';
import { type WholeSnapshotInput, wholeSnapshot } from './backup-export.js';
import type { Deps } from './deps.js';
import { makeKeySecret, NewKeys } from './new-keys.js';
import { PartitionWriters, splitSnapshot } from './partitions.js';
import { allOwnLines, EDGES_BLOB, edgeRowsOf, ownLines, workBlob, writeEdges } from './work.js';

/** A list of edits in storage: lines of JSON, private to the run. */
export interface EditList {
  readonly container: string;
  readonly blob: string;
  readonly sha256: string;
}

/** Of the hub's own snapshot. */
export interface EditInput extends WholeSnapshotInput {
  readonly account: string;
  readonly work: string;
  /** Of the snapshot, from its manifest. */
  readonly bytes: number;
  readonly partitionBytes: number;
  /** Left out: none. */
  readonly list?: EditList;
  readonly rules: readonly Rule[];
}

export interface EditResult {
  readonly partitions: number;
  /** Records that edits make, refused ones included, and those that they take away, modules of devices included. */
  readonly added: number;
  readonly removed: number;
  /** Records that stay as they are: modules of the service itself, and those that no edit is about. */
  readonly system: number;
  readonly untouched: number;
  readonly tallies: readonly RuleTally[];
}

export function editActivities({ connections }: Deps) {
  return {
    /**
     * Turns a hub's own snapshot and edits of it into the desired state of the records that they are about. Only those are
     * selected, be it to be made as they are desired or to be removed.
     *
     * @throws HubferryError RULE_FAILED; SNAPSHOT_… for a damaged snapshot; EDITS_LOST
     */
    async applyEdits(input: EditInput): Promise<EditResult> {
      const storage = connections.storage(input.account);
      const partitions = partitionCount(input.bytes, input.partitionBytes);
      const { work, snapshot, sha256, maxLineBytes } = input;
      await makeKeySecret(storage, work);
      const rows = await edgeRowsOf(storage, snapshot, EDGES_BLOB);
      const edges = EdgeTable.of(rows);
      const after = new EditedEdges(rows, edges);
      await splitList(storage, input, partitions, (edit) => after.add(edit));
      const rowsAfter = after.rows();
      await writeEdges(storage, work, rowsAfter);
      const long = await splitSnapshot(
        wholeSnapshot(storage, { snapshot, sha256, maxLineBytes }),
        new PartitionWriters(storage, work, workBlob.source),
        partitions,
      );

      const rules = new Rules(input.rules, compilePredicate);
      const makeKeys = await new NewKeys(storage, work).maker();
      const context = { edges, edgesAfter: EdgeTable.of(rowsAfter), rules, makeKeys };
      const out = new Outcome(storage, work, partitions);
      for (let partition = 0; partition < partitions; partition++) {
        const edits = await allOwnLines(storage, work, workBlob.edits(partition));
        const lines = await allOwnLines(storage, work, workBlob.source(partition));
        const list = edits.map((line) => JSON.parse(line) as Edit);
        for (const edited of editedPartition(lines, list, context)) await out.add(edited);
      }
      // A line that is too long to be read is a record, too, and nobody edits it.
      return { ...(await out.close(long)), partitions, tallies: rules.tallies() };
    },
  };
}

/** Splits a run's list of edits by device. @throws HubferryError EDITS_LOST where it is not what was given */
async function splitList(
  storage: Storage,
  { work, list }: EditInput,
  partitions: number,
  see: (edit: Edit) => void,
): Promise<void> {
  const writers = new PartitionWriters(storage, work, workBlob.edits);
  if (list !== undefined) {
    const hash = createHash('sha256');
    for await (const batch of ownLines(storage, list.container, list.blob)) {
      for (const line of batch) {
        hash.update(`${line}\n`);
        const edit = JSON.parse(line) as Edit;
        see(edit);
        await writers.write(partitionOf(edit.id, partitions), line);
      }
    }
    if (hash.digest('hex') !== list.sha256)
      throw new HubferryError(
        'EDITS_LOST',
        `The list of edits in ${list.container} is not the one that was given.`,
      );
  }
  await writers.closeAll(partitions);
}

/** Writes down what edits made of a hub, and counts it. */
class Outcome {
  readonly #partitions: number;
  readonly #desired: PartitionWriters;
  readonly #selected: PartitionWriters;
  readonly #marked: PartitionWriters;
  #added = 0;
  #removed = 0;
  #system = 0;
  #untouched = 0;

  constructor(storage: Storage, work: string, partitions: number) {
    this.#partitions = partitions;
    this.#desired = new PartitionWriters(storage, work, workBlob.desired);
    this.#selected = new PartitionWriters(storage, work, workBlob.selected);
    this.#marked = new PartitionWriters(storage, work, workBlob.marked);
  }

  async add(edited: Edited): Promise<void> {
    if (edited.kind === 'removed' || edited.kind === 'gone') this.#removed += 1;
    else if ('isNew' in edited && edited.isNew) this.#added += 1;
    switch (edited.kind) {
      case 'desired': {
        const { record, parent, marked, mode } = edited;
        const partition = this.#partitionOf(record);
        await this.#desired.write(partition, printDesiredLine(record, parent));
        await this.#selected.write(partition, printSelected(record, mode));
        if (marked !== null) await this.#marked.write(partition, printDesiredLine(marked, parent));
        return;
      }
      case 'removed':
        return this.#selected.write(
          this.#partitionOf(edited.record),
          printSelected(edited.record, edited.mode),
        );
      case 'refused':
        return this.#desired.write(this.#partitionOf(edited), printRefused(edited, edited.refusal));
      case 'system':
        this.#system += 1;
        return;
      case 'untouched':
        this.#untouched += 1;
        return;
      default:
    }
  }

  #partitionOf({ deviceId }: Pick<Identity, 'deviceId'>): number {
    return partitionOf(deviceId, this.#partitions);
  }

  async close(long: number): Promise<Omit<EditResult, 'partitions' | 'tallies'>> {
    for (const writers of [this.#desired, this.#selected, this.#marked])
      await writers.closeAll(this.#partitions);
    const counts = { added: this.#added, removed: this.#removed, system: this.#system };
    return { ...counts, untouched: this.#untouched + long };
  }
}

/** Whose record the run is about, and the mode that a user has chosen for it. */
function printSelected(record: Identity, mode: ImportMode | undefined): string {
  const identity = printIdentity(record);
  return mode === undefined ? identity : `${identity.slice(0, -1)},"mode":"${mode}"}`;
}
