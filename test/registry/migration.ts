import { emptyLedger, type Ledger } from '../../registry/ledger.js';
import { refusalOf } from '../../registry/limits.js';
import { parseLine, printDesiredLine, printImportLine, printRefused } from '../../registry/line.js';
import { partitionOf } from '../../registry/partition.js';
import {
  type Comparison,
  comparePartition,
  decide,
  type Policy,
  type Verdict,
} from '../../registry/reconcile.js';
import { isSystemModule, type RegistryRecord } from '../../registry/record.js';
import { EdgeTable, edgeRow, parentOf, placementRefusal } from '../../registry/scopes.js';
import { compareWaves, cutChunks, waveOf } from '../../registry/waves.js';
import type { HubModel } from './hub-model.js';

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
  readonly edges: EdgeTable;
  readonly ledger: Ledger;
  readonly stale: number;
}

export function transform(source: HubModel): Desired {
  const records = source.exportLines().map(parseLine);
  const edges = edgesOf(records);
  const ledger = emptyLedger();
  let stale = 0;
  const partitions = emptyPartitions();
  for (const record of records) {
    ledger.source += 1;
    if (isSystemModule(record)) {
      ledger.system += 1;
      continue;
    }
    const lines = partitions[partitionOf(record.deviceId, PARTITIONS)];
    const refused = refusalOf(record) ?? placementRefusal(record, edges);
    const found = parentOf(record, edges);
    if (found.stale) stale += 1;
    lines?.push(refused === null ? printDesiredLine(record, found.parent) : printRefused(record, refused));
  }
  return { partitions, edges, ledger, stale };
}

/** Joins the desired state with the target's. */
export function compare(desired: Desired, target: HubModel): Comparison[] {
  const actual = emptyPartitions();
  const lines = target.exportLines();
  for (const line of lines) actual[partitionOf(parseLine(line).deviceId, PARTITIONS)]?.push(line);
  const actualEdges = edgesOf(lines.map(parseLine));
  return actual.flatMap((theirs, at) => [
    ...comparePartition({ desired: desired.partitions[at] ?? [], actual: theirs, actualEdges }),
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
    else if (comparison.kind !== 'extra' && comparison.kind !== 'system') ledger.desired += 1;
    if (verdict === 'unchanged' || verdict === 'kept') ledger[verdict] += 1;
    if (verdict === 'create' || verdict === 'update' || verdict === 'delete') ledger[verdict] += 1;
  }
  return { changes, ledger };
}

/**
 * Sends a plan wave by wave, chunk by chunk, deletes last, and counts what becomes of each line. A child whose parent
 * has no scope on the target stays unsent: the target keeps a record there that is no edge device.
 */
export function apply(changes: readonly Decided[], desired: Desired, target: HubModel, ledger: Ledger): void {
  const waves = new Map<string, { line: string; mode: 'create' | 'update' }[]>();
  for (const { comparison, verdict } of changes) {
    if (verdict !== 'create' && verdict !== 'update') continue;
    if (comparison.kind !== 'missing' && comparison.kind !== 'different') throw new Error('It has no line.');
    const wave = waveOf(comparison.record, desired.edges.levelOf(comparison.record.deviceId));
    waves.set(wave, [...(waves.get(wave) ?? []), { line: comparison.line, mode: verdict }]);
  }
  for (const [wave, lines] of [...waves].toSorted(([a], [b]) => compareWaves(a, b))) {
    for (const { parts } of cutChunks(wave, [lines.length], 2)) {
      for (const { fromLine, lines: count } of parts) {
        for (const { line, mode } of lines.slice(fromLine, fromLine + count)) {
          const read = printed(line, mode, target);
          if (read === null) ledger.unsent += 1;
          else if (target.importLine(read) === null) ledger.applied += 1;
          else ledger.rejected += 1;
        }
      }
    }
  }
  const deleted = new Set<string>();
  for (const { comparison, verdict } of changes) {
    if (verdict !== 'delete' || comparison.kind !== 'extra') continue;
    const { deviceId, moduleId, status } = comparison.record;
    if (moduleId === null) deleted.add(deviceId);
    // A deleted device takes its modules with it, whichever of them comes first.
    const gone = target.importLine(JSON.stringify({ id: deviceId, moduleId, status, importMode: 'delete' }));
    if (gone === null || deleted.has(deviceId)) ledger.applied += 1;
    else ledger.rejected += 1;
  }
}

function printed(line: string, mode: 'create' | 'update', target: HubModel): string | null {
  let known = true;
  const read = printImportLine(line, mode, (parent) => {
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
