import { metricMeter } from '@temporalio/activity';
import type { Storage } from '../azure/storage.js';
import { byRest, type Change, changesOf, makesKeys, writesKeys } from '../registry/change.js';
import { HeadRecord } from '../registry/head-line.js';
import { managedValues } from '../registry/managed.js';
import { counted } from '../registry/metrics.js';
import type { ImportMode } from '../registry/modes.js';
import type { Policy } from '../registry/policy.js';
import { type Comparison, comparePartition } from '../registry/reconcile.js';
import type { RecordKey } from '../registry/record.js';
import type { Totals } from '../registry/totals.js';
import type { KeptChange } from '../registry/undo.js';
import { DEVICES } from '../registry/waves.js';
import { configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { type Due, Judge } from './judge.js';
import { writeKeptChanges } from './kept.js';
import { markedLines } from './new-keys.js';
import { keyOfLine, Own, type OwnPlan } from './own.js';
import { Changes, PlanSamples } from './plan-streams.js';
import { allOwnLines, allPartitionBytes, edgeTableOf, workBlob } from './work.js';

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
  /** Whether some changes are shown field by field. Left out: no. */
  readonly samples?: boolean;
  /** In histories of 0.1: of the digests that stay of a plan, which are written down here, too. */
  readonly salt?: string;
  /** Whether the run is about the records of `workBlob.selected` only. Left out: about all. */
  readonly selected?: boolean;
  /** Whether what is desired is known without keys. Left out: no. */
  readonly keyless?: boolean;
  /** Whether changes go together in few jobs, as those of edits do. Left out: no. */
  readonly together?: boolean;
  /** Whether earlier plans of the run were carried out: what they made, and is not desired any more, goes. Left out: no. */
  readonly followed?: boolean;
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
      const [sourceEdges, actualEdges, desired, actual, filtered] = await Promise.all([
        edgeTableOf(storage, input.sourceEdges),
        edgeTableOf(storage, input.targetSnapshot),
        allPartitionBytes(storage, work, workBlob.desired(partition)),
        allPartitionBytes(storage, work, workBlob.actual(pass, partition)),
        allOwnLines(storage, work, workBlob.filtered(partition)),
      ]);
      const selected =
        input.selected === true ? await allOwnLines(storage, work, workBlob.selected(partition)) : undefined;
      const own = input.own && (await Own.read(storage, input, input.own));
      const out = new Changes(storage, input);
      const differences = storage.writer(work, workBlob.differences(pass, partition));
      const samples = input.samples === true || input.salt !== undefined ? new PlanSamples() : null;
      const made = input.followed === true ? await madeBefore(storage, work, partition) : NONE_MADE;
      const judge = new Judge({ policy: input.policy, own, actualEdges, made }, input.maxTwinCalls);
      const configurations = await configurationsOf(storage, input.configurations ?? null);
      const managed = managedValues(configurations);

      const { keyless = false, together = false } = input;
      const marked = selected === undefined ? NONE_MARKED : await markedLines(storage, work, partition);
      const modes = modesIn(selected ?? []);
      const sides = { desired, actual, actualEdges, managed, filtered, keyless };
      for (const found of comparePartition(selected === undefined ? sides : { ...sides, selected })) {
        const difference = differenceLine(found);
        const told = difference === null ? undefined : differences.write(`${difference}\n`);
        if (told !== undefined) await told;
        const due = judge.count(found);
        if (due === null) continue;
        const { key } = due.found;
        judge.countKind(due);
        samples?.add(due, actualEdges);
        if (isPlainCreate(due) && !modes.has(key) && !marked.has(key)) {
          out.digest('create', key, due.found.source);
          const added = out.create(DEVICES, due.found.source);
          if (added !== undefined) await added;
          continue;
        }
        // Keys that the run makes enter the hash as marks (design §5).
        out.digest(due.kind, key, 'line' in due.found ? (marked.get(key) ?? due.found.line) : '');
        const level = sourceEdges.levelOf(due.found.record.deviceId);
        const lines =
          due.byRest === true
            ? byRest(due.found, level)
            : changesOf(due.found, level, { together, mode: modes.get(key) });
        const makes = (change: Change): boolean =>
          makesKeys(change) || (marked.has(key) && writesKeys(change));
        if (lines.some(({ change }) => makes(change))) judge.newKeys(key);
        // What is only buffered is not waited for: a wait costs more than most of what is done for a record.
        for (const { wave, change } of lines) {
          const added = out.add(wave, change);
          if (added !== undefined) await added;
        }
      }
      counted(metricMeter, 'hubferry_records', desired.length, { stage: 'compare' });
      const [lines] = await Promise.all([
        out.close(),
        differences.close(),
        samples?.write(storage, work, workBlob.samples(pass, partition)),
      ]);
      if (input.salt !== undefined)
        await writeKeptChanges(storage, { work, pass, partition, salt: input.salt });
      return { ...judge.sum, lines };
    },
  };
}

/** Whether all that is to be done is to send a plain device's desired line as it stands. */
function isPlainCreate(due: Due): due is Extract<Due, { readonly kind: 'create' }> {
  return due.kind === 'create' && due.byRest !== true && due.found.record instanceof HeadRecord;
}

const NONE_MARKED: ReadonlyMap<RecordKey, string> = new Map();

const NONE_MADE: ReadonlySet<RecordKey> = new Set();

/** What earlier plans of the run have made in one partition. */
async function madeBefore(storage: Storage, work: string, partition: number): Promise<Set<RecordKey>> {
  const made = new Set<RecordKey>();
  for (const line of await allOwnLines(storage, work, workBlob.followed(partition))) {
    const { key, kind } = JSON.parse(line) as KeptChange;
    if (kind === 'create') made.add(key);
  }
  return made;
}

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
      // Of a plan against an empty target there is one for each record.
      return `{"record":${JSON.stringify(record)},"difference":"${kind}"}`;
    case 'different':
      return JSON.stringify({ record, difference: kind, fields: found.fields });
    case 'refused':
      return JSON.stringify({ record, difference: kind, code: found.refusal.code });
    default:
      return null;
  }
}
