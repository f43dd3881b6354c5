import type { Storage } from '../azure/storage.js';
import { type LineBytes, textOf } from '../registry/scan-line.js';
import { type EdgeRow, EdgeTable } from '../registry/scopes.js';
import { lineBatches } from './lines.js';
import { manyAtOnce } from './many.js';

export { DEVICES_BLOB, ERROR_LOG_BLOB } from '../azure/job-containers.js';

/** Blobs beside a snapshot's devices.txt. */
export const MANIFEST_BLOB = 'manifest.json';
export const EDGES_BLOB = 'edges.ndjson';
export const CONFIGURATIONS_BLOB = 'configurations.ndjson';

/** One byte offset is kept per this many lines of changes, so that a chunk can start in the middle of a partition. */
export const LINES_PER_MARK = 1000;

/** Why we ourselves withhold a line: its parent is not on the target. Stands where codes of the hub stand. */
export const PARENT_MISSING = 'PARENT_MISSING';

/**
 * Names inside a run's private work container. Partitions of one device id hold its modules too. Those that have a `piece`
 * are read by `partitionLines`.
 */
export const workBlob = {
  desired: (partition: number, piece?: number) => `desired/${pad(partition)}${ofPiece(piece)}`,
  /**
   * Under rules: the source's lines, by the ids there; whose records are left out; and, where rules rename, for each device
   * `[its id, its id in the source]`.
   */
  source: (partition: number) => `source/${pad(partition)}`,
  filtered: (partition: number) => `filtered/${pad(partition)}`,
  /** Whose records the run is about, where it is not about all; with the mode that a user has chosen for a record. */
  selected: (partition: number) => `selected/${pad(partition)}`,
  /** Of a run of edits: its list, and the desired lines of records whose keys it makes, with marks in their places. */
  edits: (partition: number) => `edits/${pad(partition)}`,
  marked: (partition: number) => `marked/${pad(partition)}`,
  names: (partition: number) => `names/${pad(partition)}`,
  /** Of an export without keys, given by its container: its lines, and what else the hub tells of their records. */
  exported: (container: string, partition: number) => `exports/${container}/lines/${pad(partition)}`,
  learnt: (container: string, partition: number) => `exports/${container}/learnt/${pad(partition)}`,
  /** What new keys are made from. */
  keySecret: 'key-secret',
  /** What earlier plans of the run have done to records, by device. */
  followed: (partition: number) => `followed/${pad(partition)}`,
  followedConfigurations: 'followed/configurations',
  /** Of a source that the run has disabled: its devices before that, and its lines after it. */
  statuses: (partition: number) => `statuses/${pad(partition)}`,
  disabled: (partition: number) => `disabled/${pad(partition)}`,
  /** What a rollback reads, by device: the plan, and the target before and after. */
  undoPlan: (partition: number) => `undo/plan/${pad(partition)}`,
  undoBefore: (partition: number) => `undo/before/${pad(partition)}`,
  undoNow: (partition: number) => `undo/now/${pad(partition)}`,
  /** What it does not undo, as lines of differences. */
  leftAlone: 'undo/left-alone',
  configurationsLeftAlone: 'undo/configurations-left-alone',
  /** What the run did to configurations, after a line with the salt of its digests. */
  undoConfigurations: 'undo/configurations',
  actual: (pass: number, partition: number, piece?: number) =>
    `pass-${pass}/actual/${pad(partition)}${ofPiece(piece)}`,
  desiredConfigurations: 'configurations/desired',
  configurationChanges: 'configurations/changes',
  configurationsRejected: 'configurations/rejected',
  /** Written before a configuration is deleted to be made again: then one that is not there is ours to make. */
  configurationDeleted: (id: string) => `configurations/deleted/${encodeURIComponent(id)}`,
  /** The source's system modules. */
  systemModules: (partition: number, piece?: number) => `system-modules/${pad(partition)}${ofPiece(piece)}`,
  /** Manifests to send, some per blob. */
  manifests: (pass: number, partition: number, chunk?: number) =>
    `pass-${pass}/manifests/${pad(partition)}/${chunk === undefined ? '' : pad(chunk)}`,
  manifestDigests: (pass: number, partition: number) =>
    `${workBlob.allManifestDigests(pass)}${pad(partition)}`,
  allManifestDigests: (pass: number) => `pass-${pass}/manifest-digests/`,
  manifestsSent: (pass: number, partition: number, chunk?: number) =>
    `pass-${pass}/manifests-sent/${pad(partition)}/${chunk === undefined ? '' : pad(chunk)}`,
  /** The source's records of the first snapshot, as desired lines, and its lines of the second. */
  recheck: (side: 'before' | 'after', partition: number) => `recheck/${side}/${pad(partition)}`,
  differences: (pass: number, partition: number) => `pass-${pass}/differences/${pad(partition)}`,
  /** What stays of a plan after the run. */
  kept: (pass: number, partition: number) => `pass-${pass}/kept/${pad(partition)}`,
  /** Some changes of a plan, field by field. */
  samples: (pass: number, partition: number) => `pass-${pass}/samples/${pad(partition)}`,
  digests: (pass: number, partition: number) => `${workBlob.allDigests(pass)}${pad(partition)}`,
  allDigests: (pass: number) => `pass-${pass}/digests/`,
  changes: (pass: number, partition: number, wave = '') => `pass-${pass}/changes/${pad(partition)}/${wave}`,
  marks: (pass: number, partition: number, wave: string) => `pass-${pass}/marks/${pad(partition)}/${wave}`,
  edgesListed: (pass: number, wave: string) => `pass-${pass}/edges-listed/${wave}`,
  edgesCreated: (pass: number, wave = '') => `pass-${pass}/edges-created/${wave}`,
  managers: (pass: number, chunk: string) => `pass-${pass}/managers/${chunk}`,
  /** Written when the hub said during a pass that it is full. */
  full: (pass: number) => `pass-${pass}/full`,
  rejected: (pass: number, partition: number, chunk = '') =>
    `pass-${pass}/rejected/${pad(partition)}/${chunk}`,
};

const pad = (number: number): string => String(number).padStart(4, '0');

const ofPiece = (piece: number | undefined): string => (piece === undefined ? '' : `/${pad(piece)}`);

/** Our own lines are never longer than what was accepted plus what we add. */
export const OWN_LINE_LIMIT = 64 * 1024 * 1024;

/** The lines of one of our own blobs, in batches; none where there is no blob. */
export async function* ownLines(
  storage: Storage,
  container: string,
  blob: string,
  offset = 0,
): AsyncGenerator<string[]> {
  if ((await storage.size(container, blob)) === null) return;
  const stream = await storage.read(container, blob, { offset });
  for await (const batch of lineBatches(stream, { maxLineBytes: OWN_LINE_LIMIT })) {
    yield batch.map((line) => line.text ?? '');
  }
}

/** The lines of a partition that was written as one blob, or in pieces: each by the activity that read a range. */
export async function* partitionLines(
  storage: Storage,
  container: string,
  blob: string,
): AsyncGenerator<string[]> {
  for await (const name of partsOf(storage, container, blob)) yield* ownLines(storage, container, name);
}

/** The same, all of them, as bytes. */
export async function allPartitionBytes(
  storage: Storage,
  container: string,
  blob: string,
): Promise<LineBytes[]> {
  const parts = await manyAtOnce(partsOf(storage, container, blob), async (name) => {
    const lines: LineBytes[] = [];
    const stream = await storage.read(container, name);
    for await (const batch of lineBatches(stream, { maxLineBytes: OWN_LINE_LIMIT }))
      for (const line of batch) if (line.problem === null) lines.push(line);
    return lines;
  });
  return parts.flat();
}

/** The same, as text. */
export async function allPartitionLines(
  storage: Storage,
  container: string,
  blob: string,
): Promise<string[]> {
  return (await allPartitionBytes(storage, container, blob)).map(textOf);
}

/** The blobs of a partition. */
async function* partsOf(storage: Storage, container: string, blob: string): AsyncGenerator<string> {
  for await (const { name } of storage.list(container, blob))
    if (name === blob || name.startsWith(`${blob}/`)) yield name;
}

/** All lines of one of our own blobs: for blobs that are one partition or a side table. */
export async function allOwnLines(storage: Storage, container: string, blob: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of ownLines(storage, container, blob)) for (const line of batch) lines.push(line);
  return lines;
}

/** The edge devices of a snapshot, as the side table that gives every partition its parents. */
export async function edgeTableOf(
  storage: Storage,
  container: string,
  blob = EDGES_BLOB,
): Promise<EdgeTable> {
  return EdgeTable.of(await edgeRowsOf(storage, container, blob));
}

/** Writes the side table of edge devices. */
export async function writeEdges(
  storage: Storage,
  container: string,
  rows: Iterable<EdgeRow>,
): Promise<void> {
  const table = storage.writer(container, EDGES_BLOB);
  for (const row of rows) await table.write(`${JSON.stringify(row)}\n`);
  await table.close();
}

/** Adds edge devices to such a table of a pass: another attempt, or another chunk, may have written more. */
export async function addEdges(
  storage: Storage,
  container: string,
  blob: string,
  seen: ReadonlyMap<string, EdgeRow>,
): Promise<void> {
  const before = await edgeRowsOf(storage, container, blob);
  const rows = new Map([...before.map((row) => [row.id, row] as const), ...seen]);
  const writer = storage.writer(container, blob);
  for (const row of rows.values()) await writer.write(`${JSON.stringify(row)}\n`);
  await writer.close();
}

export async function edgeRowsOf(storage: Storage, container: string, blob: string): Promise<EdgeRow[]> {
  return (await allOwnLines(storage, container, blob)).map((line) => JSON.parse(line) as EdgeRow);
}

/** The target's edge devices as a pass finds them: those it had, and those the pass created so far. */
export async function targetEdges(
  storage: Storage,
  pass: { readonly work: string; readonly pass: number; readonly targetSnapshot: string },
): Promise<EdgeTable> {
  const rows = new Map<string, EdgeRow>();
  for (const row of await edgeRowsOf(storage, pass.targetSnapshot, EDGES_BLOB)) rows.set(row.id, row);
  for await (const { name } of storage.list(pass.work, workBlob.edgesCreated(pass.pass))) {
    for (const row of await edgeRowsOf(storage, pass.work, name)) rows.set(row.id, row);
  }
  return EdgeTable.of(rows.values());
}
