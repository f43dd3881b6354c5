import { metricMeter } from '@temporalio/activity';
import { lacksKeys } from '../registry/keyless.js';
import { type Refusal, refusalOf } from '../registry/limits.js';
import { printDesiredLine, printRefused } from '../registry/line.js';
import { counted } from '../registry/metrics.js';
import { isToGenerate } from '../registry/new-keys.js';
import { partitionCount, partitionOf } from '../registry/partition.js';
import { isSystemModule, type RegistryRecord, recordKey } from '../registry/record.js';
import type { Rejected } from '../registry/refusal.js';
import type { OrphanPolicy, Rule } from '../registry/rules.js';
import { type EdgeTable, parentOf, placementRefusal } from '../registry/scopes.js';
import { SAMPLES } from '../registry/totals.js';
import { type SnapshotLine, snapshotLines, wholeSnapshot } from './backup-export.js';
import type { Deps } from './deps.js';
import { PartitionWriters, PlainLines, splitSnapshot } from './partitions.js';
import type { SnapshotRange } from './ranges.js';
import { type RuledResult, RuledSnapshot } from './rules.js';
import { type Sampled, Sampler } from './sampler.js';
import { edgeTableOf, workBlob } from './work.js';

export { type Sampled, Sampler } from './sampler.js';

export interface TransformInput {
  readonly account: string;
  readonly work: string;
  readonly snapshot: string;
  /** Of the snapshot, from its manifest. */
  readonly sha256: string;
  /** The larger of the two snapshots, so that a partition of either fits. */
  readonly bytes: number;
  readonly partitionBytes: number;
  readonly maxLineBytes: number;
  /** A range of the snapshot, and its place among all; only without rules. Left out: the whole snapshot. */
  readonly range?: SnapshotRange;
  readonly piece?: number;
  /** Left out: none. */
  readonly rules?: readonly Rule[];
  readonly orphans?: OrphanPolicy;
  /**
   * Of a snapshot without keys: what is to be `written` has to be known, what is only `compared` may be left open. Left
   * out: the snapshot has keys.
   */
  readonly keyless?: 'written' | 'compared';
}

export interface TransformResult {
  /** The snapshot that was transformed; its side table knows the level of each edge device. */
  readonly snapshot: string;
  readonly partitions: number;
  readonly systemModules: Sampled;
  /** Whether they were written down, to be carried by manifests; not in histories of 0.1. */
  readonly manifests?: boolean;
  readonly staleParents: Sampled;
  /** Lines too long to be read: refused, but no partition can hold them. */
  readonly refusedWithoutId: { readonly count: number; readonly samples: readonly Rejected[] };
  /** What rules did, where there are any. */
  readonly ruled?: RuledResult;
  /** Of a snapshot without keys. */
  readonly keyless?: KeylessResult;
}

/** What is not known of the desired records, since the snapshot was taken without keys. */
export interface KeylessResult {
  /** Records whose keys are not known, and not to be made either; where it is only compared also these. */
  readonly lacking: Sampled;
  /** Records of which nothing of this is known; none of those that are refused for it. */
  readonly unknown: Sampled;
}

export interface PartitionInput {
  readonly account: string;
  readonly work: string;
  readonly snapshot: string;
  readonly pass: number;
  readonly partitions: number;
  readonly maxLineBytes: number;
  /** As in `TransformInput`. */
  readonly range?: Pick<SnapshotRange, 'offset' | 'bytes'>;
  readonly piece?: number;
}

export function transformActivities({ connections }: Deps) {
  return {
    /**
     * Turns the source snapshot, or a range of it, into the desired state of the target, partitioned by device id: system
     * modules stand apart, records that the target would not take become refusals, scopes become parents.
     *
     * @throws HubferryError SNAPSHOT_…, also for one that was changed, or cut between two lines, since it was taken
     */
    async transform(input: TransformInput): Promise<TransformResult> {
      const storage = connections.storage(input.account);
      const partitions = partitionCount(input.bytes, input.partitionBytes);
      const { rules, orphans = 'fail', piece } = input;
      const ruled = rules && (await RuledSnapshot.of(storage, { ...input, rules, orphans }, partitions));
      const open = input.keyless === 'compared';
      const table = ruled?.edges ?? (await edgeTableOf(storage, input.snapshot));
      const edges = open ? table.without('AUTHENTICATION_UNKNOWN') : table;
      const writers = new PartitionWriters(storage, input.work, (at) => workBlob.desired(at, piece));
      const manifests = new PartitionWriters(storage, input.work, (at) => workBlob.systemModules(at, piece));
      const systemModules = new Sampler();
      const staleParents = new Sampler();
      const lacking = new Sampler();
      const unknown = new Sampler();
      const long: Rejected[] = [];
      let longCount = 0;
      let records = 0;

      const plain = new PlainLines(writers, partitions);
      const add = (line: Pick<SnapshotLine, 'record' | 'offset' | 'bytes'>): Promise<void> | void => {
        records += 1;
        if (line.bytes !== null && plain.add(line.bytes)) return undefined;
        const { record, offset } = line;
        if (record === null) {
          longCount += 1;
          const reason = `the line is longer than ${input.maxLineBytes} bytes`;
          if (long.length < SAMPLES)
            long.push({ record: `line at byte ${offset}`, code: 'LINE_TOO_LONG', reason });
          return undefined;
        }
        const partition = partitionOf(record.deviceId, partitions);
        if (isSystemModule(record)) {
          systemModules.add(recordKey(record.deviceId, record.moduleId));
          return manifests.write(partition, printDesiredLine(record, null));
        }
        const refusal = refusalIn(record, edges, open);
        if (refusal !== null) return writers.write(partition, printRefused(record, refusal));
        const { parent, stale } = parentOf(record, edges);
        if (stale) staleParents.add(record.deviceId);
        const { authentication } = record;
        const key = recordKey(record.deviceId, record.moduleId);
        if (authentication === null) unknown.add(key);
        else if (lacksKeys(record) || (open && isToGenerate(authentication))) lacking.add(key);
        return writers.write(partition, printDesiredLine(record, parent));
      };
      for await (const batch of ruled?.lines() ?? wholeSnapshot(storage, input)) {
        for (const line of batch) {
          const waits = add(line);
          if (waits !== undefined) await waits;
        }
        await writers.flush();
      }
      await writers.close();
      await manifests.close();
      counted(metricMeter, 'hubferry_records', records, { stage: 'transform' });
      return {
        snapshot: input.snapshot,
        partitions,
        systemModules: systemModules.result(),
        manifests: systemModules.result().count > 0,
        staleParents: staleParents.result(),
        refusedWithoutId: { count: longCount, samples: long },
        ...(ruled === undefined ? {} : { ruled: ruled.result() }),
        ...(input.keyless === undefined
          ? {}
          : { keyless: { lacking: lacking.result(), unknown: unknown.result() } }),
      };
    },

    /** Splits a snapshot of the target, or a range of it, by the same hash: each partition can be compared on its own. */
    async partition(input: PartitionInput): Promise<void> {
      const storage = connections.storage(input.account);
      const writers = new PartitionWriters(storage, input.work, (partition) =>
        workBlob.actual(input.pass, partition, input.piece),
      );
      // A record that is left out for its length is left alone like any other extra of the target.
      const { range } = input;
      const lines = snapshotLines(storage, input.snapshot, input.maxLineBytes, range && { range });
      await splitSnapshot(lines, writers, input.partitions);
    },
  };
}

/** @param open whether it is no reason that nobody knows how the record proves who it is. */
function refusalIn(record: RegistryRecord, edges: EdgeTable, open: boolean): Refusal | null {
  const own = refusalOf(record);
  if (own !== null && !(open && own.code === 'AUTHENTICATION_UNKNOWN')) return own;
  return placementRefusal(record, edges);
}
