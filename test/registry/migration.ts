import {
  type Change,
  changesOf,
  parseChange,
  printChange,
  printIdentity,
  printImportOf,
} from '../../registry/change.js';
import { HubferryError } from '../../registry/errors.js';
import { emptyLedger, type Ledger } from '../../registry/ledger.js';
import { refusalOf } from '../../registry/limits.js';
import { parseLine, printDesiredLine, printRefused } from '../../registry/line.js';
import { partitionOf } from '../../registry/partition.js';
import type { Policy } from '../../registry/policy.js';
import { type Comparison, comparePartition, decide, type Verdict } from '../../registry/reconcile.js';
import { isSystemModule, type RegistryRecord } from '../../registry/record.js';
import { isLeftOut, Names, RuledEdges, ruledPartition } from '../../registry/ruled.js';
import type { OrphanPolicy, Rules } from '../../registry/rules.js';
import { EdgeTable, edgeRow, parentOf, placementRefusal } from '../../registry/scopes.js';
import { compareWaves, cutChunks } from '../../registry/waves.js';
import type { HubModel } from './hub-model.js';
import { lineBytes } from './records.js';

/** A migration by the functions of registry/ alone, in memory: what the activities do over blobs and jobs. */

export const PARTITIONS = 3;

/** A comparison with what the policy makes of it. */
export interface Decided {
  readonly comparison: Comparison;
  readonly verdict: Verdict;
}

/** The desired lines of each partition, counted into the ledger. */
export interface Desired {
  readonly partitions: readonly string[][];
  /** Whose records rules leave out. */
  readonly filtered: readonly string[][];
  readonly edges: EdgeTable;
  readonly ledger: Ledger;
  readonly stale: number;
}

/** What rules make of a source. */
export interface Under {
  readonly rules: Rules;
  readonly orphans: OrphanPolicy;
}

export function transform(source: HubModel, under?: Under): Desired {
  const lines = source.exportLines();
  const ledger = emptyLedger();
  const filtered = emptyPartitions();
  ledger.source = lines.length;
  const { records, edges } =
    under === undefined
      ? { records: lines.map(parseLine), edges: edgesOf(lines.map(parseLine)) }
      : ruled(lines, under, filtered, ledger);
  let stale = 0;
  const partitions = emptyPartitions();
  for (const record of records) {
    if (isSystemModule(record)) {
      ledger.system += 1;
      continue;
    }
    const desired = partitions[partitionOf(record.deviceId, PARTITIONS)];
    const refused = refusalOf(record) ?? placementRefusal(record, edges);
    const found = parentOf(record, edges);
    if (found.stale) stale += 1;
    desired?.push(refused === null ? printDesiredLine(record, found.parent) : printRefused(record, refused));
  }
  return { partitions, filtered, edges, ledger, stale };
}

/** The records that go to the target; what is left out is noted under its id on either hub. */
function ruled(
  lines: readonly string[],
  { rules, orphans }: Under,
  filtered: readonly string[][],
  ledger: Ledger,
): { records: RegistryRecord[]; edges: EdgeTable } {
  const split = emptyPartitions();
  const source = lines.map(parseLine);
  const edges = new RuledEdges(edgesOf(source), orphans);
  for (const [at, record] of source.entries()) {
    split[partitionOf(record.deviceId, PARTITIONS)]?.push(lines[at] ?? '');
    if (record.iotEdge && record.moduleId === null)
      edges.add(record.deviceId, rules.apply(record, edges.parentOf(record)));
  }
  const rows = EdgeTable.of(edges.rows());
  const names = new Names();
  const records: RegistryRecord[] = [];
  let orphaned = 0;
  for (const { record, from, fate } of split.flatMap((part) => [...ruledPartition(part, rules, edges)])) {
    if (fate === 'orphan') orphaned += 1;
    if (!isLeftOut(fate)) {
      if (record.moduleId === null) names.add(record.deviceId, from);
      records.push(record);
      continue;
    }
    ledger.filtered += 1;
    for (const deviceId of new Set([record.deviceId, from]))
      filtered[partitionOf(deviceId, PARTITIONS)]?.push(printIdentity({ ...record, deviceId }));
  }
  if (orphaned > 0) throw new HubferryError('PARENT_FILTERED', `${orphaned}`);
  return { records, edges: rows };
}

/** Joins the desired state with the target's. */
export function compare(desired: Desired, target: HubModel): Comparison[] {
  const actual = emptyPartitions();
  const lines = target.exportLines();
  for (const line of lines) actual[partitionOf(parseLine(line).deviceId, PARTITIONS)]?.push(line);
  const actualEdges = edgesOf(lines.map(parseLine));
  return actual.flatMap((theirs, at) => [
    ...comparePartition({
      desired: (desired.partitions[at] ?? []).map(lineBytes),
      filtered: desired.filtered[at] ?? [],
      actual: theirs.map(lineBytes),
      actualEdges,
    }),
  ]);
}

export function plan(
  desired: Desired,
  target: HubModel,
  policy: Policy,
): { changes: Decided[]; ledger: Ledger } {
  const ledger = { ...desired.ledger };
  const changes = compare(desired, target).map((comparison) => ({
    comparison,
    verdict: decide(comparison, policy),
  }));
  for (const { comparison, verdict } of changes) {
    if (verdict === 'refused') ledger.refused += 1;
    else if (!['extra', 'system', 'filtered'].includes(comparison.kind)) ledger.desired += 1;
    if (verdict === 'unchanged' || verdict === 'kept') ledger[verdict] += 1;
    if (verdict === 'create' || verdict === 'update' || verdict === 'delete') ledger[verdict] += 1;
  }
  return { changes, ledger };
}

/**
 * Sends a plan wave by wave, chunk by chunk, deletes last, and counts what becomes of each record. A child whose parent
 * has no scope on the target stays unsent: the target keeps a record there that is no edge device.
 */
export function apply(changes: readonly Decided[], desired: Desired, target: HubModel, ledger: Ledger): void {
  const waves = new Map<string, { key: string; change: Change }[]>();
  const open = new Map<string, 'unsent' | 'rejected' | null>();
  for (const { comparison, verdict } of changes) {
    if (verdict !== 'create' && verdict !== 'update' && verdict !== 'delete') continue;
    const { kind, key } = comparison;
    if (kind !== 'missing' && kind !== 'different' && kind !== 'extra')
      throw new Error(`${kind} is no change.`);
    open.set(key, null);
    for (const { wave, change } of changesOf(comparison, desired.edges.levelOf(comparison.record.deviceId)))
      waves.set(wave, [...(waves.get(wave) ?? []), { key, change }]);
  }
  for (const [wave, lines] of [...waves].toSorted(([a], [b]) => compareWaves(a, b))) {
    for (const { parts } of cutChunks(wave, [lines.length], 2)) {
      for (const { fromLine, lines: count } of parts) {
        for (const { key, change } of lines.slice(fromLine, fromLine + count)) {
          const read = printed(change, target);
          if (read === null) open.set(key, 'unsent');
          else if (target.importLine(read) !== null) open.set(key, open.get(key) ?? 'rejected');
        }
      }
    }
  }
  for (const fate of open.values()) ledger[fate ?? 'applied'] += 1;
}

function printed(change: Change, target: HubModel): string | null {
  let known = true;
  const read = printImportOf(parseChange(printChange(change)), (parent) => {
    const scope = target.scopeOf(parent);
    known = scope !== null;
    return scope ?? '';
  });
  return known ? read : null;
}

function edgesOf(records: readonly RegistryRecord[]): EdgeTable {
  return EdgeTable.of(records.filter(({ iotEdge, moduleId }) => iotEdge && moduleId === null).map(edgeRow));
}

function emptyPartitions(): string[][] {
  return Array.from({ length: PARTITIONS }, () => []);
}
