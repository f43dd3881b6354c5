import { differingFields, type Field } from './compare.js';
import { HubferryError } from './errors.js';
import { HeadRecord } from './head-line.js';
import {
  type DesiredLine,
  type Identity,
  identityOfLine,
  quickDesiredLine,
  readDesiredLine,
  readLine,
} from './line.js';
import { type Managed, managersOf } from './managed.js';
import { isOfPieces, newPieces, piecesOf } from './pieces.js';
import type { Policy } from './policy.js';
import { isSystemModule, quoted, type RecordKey, type RegistryRecord, recordKey } from './record.js';
import { type Refusal, refusal } from './refusal.js';
import * as scan from './scan-line.js';
import { type LineBytes, textOf } from './scan-line.js';
import type { EdgeTable } from './scopes.js';

/** A desired record. */
class Wanted {
  constructor(
    readonly key: RecordKey,
    /** Its desired line as it was read. */
    readonly source: LineBytes,
    readonly record: RegistryRecord,
    readonly parent: string | null,
  ) {}

  /** The desired line as text. */
  get line(): string {
    return textOf(this.source);
  }
}

class Equal extends Wanted {
  readonly kind = 'equal';
  /** Configurations of the target that explain all that is different, where something is. */
  readonly managedBy?: readonly string[];

  constructor(wanted: Wanted, managedBy?: readonly string[]) {
    super(wanted.key, wanted.source, wanted.record, wanted.parent);
    if (managedBy !== undefined) this.managedBy = managedBy;
  }
}

class Missing extends Wanted {
  readonly kind = 'missing';
}

class Different extends Wanted {
  readonly kind = 'different';

  constructor(
    { key, source, record, parent }: Wanted,
    readonly actual: RegistryRecord,
    readonly fields: Field[],
  ) {
    super(key, source, record, parent);
  }
}

/** A record that only the target has. */
interface Found {
  readonly key: RecordKey;
  readonly record: RegistryRecord;
}

/** What became of one record in the join of desired and actual. */
export type Comparison =
  | Equal
  | Missing
  | Different
  /** `deletable`: false for a module whose device goes too, or is refused. */
  | ({ readonly kind: 'extra'; readonly deletable: boolean } & Found)
  /** The service's own. */
  | ({ readonly kind: 'system' } & Found)
  /** What rules leave out of the source: whatever the target has under its key is left alone. */
  | ({ readonly kind: 'filtered' } & Found)
  /** Refused while the source was read, or here, for its device's sake. */
  | { readonly kind: 'refused'; readonly key: RecordKey; readonly refusal: Refusal };

/** Both sides of one partition: a device and its modules are in the same partition. */
export interface PartitionInput {
  /** Desired lines and marks of refused records. */
  readonly desired: Iterable<LineBytes>;
  /** Lines of the target's snapshot. */
  readonly actual: Iterable<LineBytes>;
  /** The target's edge devices, all of them. */
  readonly actualEdges: EdgeTable;
  /** What configurations of the target write to twins. */
  readonly managed?: Managed;
  /** Lines that say whose records rules leave out. */
  readonly filtered?: Iterable<string>;
  /** Lines that say which records the run is about, where it is not about all: no other of the target is looked at. */
  readonly selected?: Iterable<string>;
  /** Whether the desired side is known without keys. */
  readonly keyless?: boolean;
}

/**
 * Joins one partition of the desired state with the target's: one comparison for each record of either side, first in
 * the order of the desired lines, then what only the target has, in its order. So the same input gives the same output.
 *
 * Memory: the lines of both sides; a record is read when it is its turn, and a plain device that is the same on both sides
 * not at all. No order of lines is relied on: the service promises none (facts §2.1).
 *
 * @throws HubferryError SNAPSHOT_DUPLICATE where a record stands twice on one side; SNAPSHOT_LINE_… for a damaged line.
 */
export function* comparePartition(input: PartitionInput): Generator<Comparison> {
  const desired = byIdentity(input.desired, 'the desired state', desiredEntry);
  const actual = byIdentity(input.actual, 'the target', (line) => actualEntry(line, desired));
  const around = input.selected === undefined ? NO_DEVICES : takeOthers(actual, input.selected);
  const grounds = { ...input, devices: { desired, around } };
  for (const [identity, entry] of desired) {
    const theirs = actual.get(identity);
    // Whatever is desired or refused under this key, the target's record is no extra one.
    if (theirs !== undefined) actual.delete(identity);
    yield compareLine(entry, theirs, grounds);
  }
  const filtered = new Set([...(input.filtered ?? [])].map((line) => joinKey(identityOfLine(line))));
  for (const [identity, { line }] of actual) {
    const record = readLine(line);
    const { deviceId, moduleId } = record;
    const key = recordKey(deviceId, moduleId);
    const deletable = moduleId === null || deviceRefusal(deviceId, { desired, around }) === null;
    if (isSystemModule(record)) yield { kind: 'system', key, record };
    else if (filtered.has(identity)) yield { kind: 'filtered', key, record };
    else yield { kind: 'extra', key, record, deletable };
  }
}

/** The devices that a module may be of. */
interface Devices {
  /** Desired lines and marks. */
  readonly desired: ReadonlyMap<string, DesiredEntry>;
  /** Ids of devices on the target that the run is not about. */
  readonly around: ReadonlySet<string>;
}

const NO_DEVICES: ReadonlySet<string> = new Set();

/** Takes the lines of all but the selected records away. @returns the devices among them */
function takeOthers(lines: Map<string, ActualEntry>, selected: Iterable<string>): Set<string> {
  const keys = new Set([...selected].map((line) => joinKey(identityOfLine(line))));
  const devices = new Set<string>();
  for (const [identity, { deviceId, moduleId }] of lines) {
    if (keys.has(identity)) continue;
    lines.delete(identity);
    if (moduleId === null) devices.add(deviceId);
  }
  return devices;
}

function compareLine(
  { line, deviceId, read: quick }: DesiredEntry,
  theirs: ActualEntry | undefined,
  { actualEdges, managed, keyless, devices }: PartitionInput & { readonly devices: Devices },
): Comparison {
  if (quick === 'plain') {
    const key = recordKey(deviceId, null);
    const record = new HeadRecord(deviceId, line);
    if (theirs === undefined) return new Missing(key, line, record, null);
    if (theirs.isSame) return new Equal(new Wanted(key, line, record, null));
  }
  const read = quick === 'plain' || quick === null ? readDesiredLine(line) : quick;
  if (read.kind === 'refused') {
    return { kind: 'refused', key: recordKey(read.deviceId, read.moduleId), refusal: read.refusal };
  }
  const { record, parent } = read;
  const key = recordKey(record.deviceId, record.moduleId);
  const refused = record.moduleId === null ? null : deviceRefusal(record.deviceId, devices);
  if (refused !== null) return { kind: 'refused', key, refusal: refused };
  if (theirs === undefined) return new Missing(key, line, record, parent);
  const wanted = new Wanted(key, line, record, parent);
  const actual = readLine(theirs.line);
  const fields = differingFields(record, parent, actual, actualEdges, keyless);
  if (fields.length === 0) return new Equal(wanted);
  if (managed !== undefined && fields.includes('desired')) {
    const values = record.moduleId === null ? managed.device : managed.module;
    const managedBy = managersOf(record.desired, actual.desired, values);
    const others = fields.filter((field) => field !== 'desired');
    if (managedBy.length > 0 && others.length === 0) return new Equal(wanted, managedBy);
    if (managedBy.length > 0) return new Different(wanted, actual, others);
  }
  return new Different(wanted, actual, fields);
}

/** Why a module cannot go without its device, or null where the device goes too. */
function deviceRefusal(deviceId: string, { desired, around }: Devices): Refusal | null {
  const device = desired.get(deviceId);
  if (device === undefined) return around.has(deviceId) ? null : refusal('DEVICE_MISSING');
  // The lines of good devices are not parsed once more for each module.
  if (device.read !== null) return null;
  const read = readDesiredLine(device.line);
  return read.kind === 'refused' ? refusal('DEVICE_REFUSED', read.refusal.code) : null;
}

/** A line of the desired state, and its record where it could be read quickly; of plain devices only the beginning was. */
interface DesiredEntry extends Identity {
  readonly line: LineBytes;
  readonly read: Extract<DesiredLine, { readonly kind: 'record' }> | 'plain' | null;
}

interface ActualEntry extends Identity {
  readonly line: LineBytes;
  /** Whether it is the plain device that is desired, to the byte. */
  readonly isSame: boolean;
}

/** One of each for all lines: nothing is done between a scan and the look at what it found. */
const SPANS = scan.newSpans();
const PIECES = newPieces();

function desiredEntry(line: LineBytes): DesiredEntry {
  if (scan.scanHead(line, SPANS))
    return { deviceId: idIn(line, scan.ID), moduleId: null, line, read: 'plain' };
  const read = quickDesiredLine(line);
  const { deviceId, moduleId } = read?.record ?? identityOfLine(textOf(line));
  return { deviceId, moduleId, line, read };
}

function actualEntry(line: LineBytes, desired: ReadonlyMap<string, DesiredEntry>): ActualEntry {
  if (!scan.scanExported(line, SPANS)) return { ...identityOfLine(textOf(line)), line, isSame: false };
  const deviceId = idIn(line, scan.ID);
  if (scan.has(SPANS, scan.MODULE))
    return { deviceId, moduleId: idIn(line, scan.MODULE), line, isSame: false };
  const wanted = desired.get(deviceId);
  const isSame =
    wanted?.read === 'plain' &&
    scan.isPlainDevice(SPANS) &&
    isOfPieces(line, PIECES, piecesOf(SPANS, PIECES), wanted.line);
  return { deviceId, moduleId: null, line, isSame };
}

/** An id that a scan has found: of ASCII. */
const idIn = ({ bytes }: LineBytes, part: number): string =>
  bytes.toString('latin1', scan.fromOf(SPANS, part) + 1, scan.toOf(SPANS, part) - 1);

function byIdentity<Entry extends Identity>(
  lines: Iterable<LineBytes>,
  side: string,
  entryOf: (line: LineBytes) => Entry,
): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const line of lines) {
    const entry = entryOf(line);
    const key = joinKey(entry);
    if (entries.has(key)) {
      const { deviceId, moduleId } = entry;
      const name = moduleId === null ? quoted(deviceId) : `module ${quoted(moduleId)} of ${quoted(deviceId)}`;
      throw new HubferryError('SNAPSHOT_DUPLICATE', `In ${side}, ${name} stands twice.`);
    }
    entries.set(key, entry);
  }
  return entries;
}

/** Unlike a record's key this is unambiguous for refused records too, whose ids may hold a slash. */
function joinKey({ deviceId, moduleId }: Identity): string {
  return moduleId === null ? deviceId : `${deviceId}\n${deviceId.length}\n${moduleId}`;
}

export type ChangeKind = 'create' | 'update' | 'delete';

/** What a run does with one record; `conflict` is one that differs where the policy is to fail. */
export type Verdict =
  | ChangeKind
  | 'unchanged'
  | 'kept'
  | 'conflict'
  | 'extra'
  | 'system'
  | 'filtered'
  | 'refused';

const ABOUT_DIFFERENT = { fail: 'conflict', skip: 'kept', overwrite: 'update' } as const;

/** What the policy makes of a comparison. */
export function decide(comparison: Comparison, policy: Policy): Verdict {
  switch (comparison.kind) {
    case 'equal':
      return 'unchanged';
    case 'missing':
      return 'create';
    case 'different':
      return ABOUT_DIFFERENT[policy.existing];
    case 'extra':
      return policy.extra === 'delete' && comparison.deletable ? 'delete' : 'extra';
    default:
      return comparison.kind;
  }
}
