import { createHash } from 'node:crypto';
import { metricMeter } from '@temporalio/activity';
import type { Storage } from '../azure/storage.js';
import { HubferryError } from '../registry/errors.js';
import { lacksKeys } from '../registry/keyless.js';
import { readLine } from '../registry/line.js';
import { counted } from '../registry/metrics.js';
import { isJsonObject, isSystemModule, type RegistryRecord } from '../registry/record.js';
import type { LineBytes } from '../registry/scan-line.js';
import { type EdgeRow, edgeRow } from '../registry/scopes.js';
import { type ConfigurationsInfo, sealConfigurations } from './configurations.js';
import type { Deps } from './deps.js';
import { withParents } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { type BadLine, Line, type LineOptions, lineBatches } from './lines.js';
import { RangeCutter, type SnapshotRange } from './ranges.js';
import { DEVICES_BLOB, MANIFEST_BLOB, writeEdges } from './work.js';

/** The manifest of a snapshot: what it holds, without holding any of it. */
export interface SnapshotInfo {
  /** The name of its container. */
  readonly id: string;
  readonly host: string;
  /** ISO time at which the export was complete. */
  readonly taken: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Whether it holds symmetric keys. */
  readonly keys: boolean;
  /** Of one without keys: records that have some, and records of which nobody knows how they prove who they are. */
  readonly lackingKeys?: number;
  readonly authenticationUnknown?: number;
  /** Lines: devices + modules, system modules included. */
  readonly records: number;
  readonly devices: number;
  readonly modules: number;
  readonly systemModules: number;
  readonly edges: number;
  /** Lines over the limit, which are refused. */
  readonly longLines: number;
  /** Parts that can be read on their own, in order; not in manifests of 0.1. */
  readonly ranges?: readonly SnapshotRange[];
  /** Devices that the hub's statistics counted before the export; not in manifests of 0.1. */
  readonly counted?: number;
  /** Null where the hub does not tell them. Not in manifests of 0.1, and where nobody asked for them. */
  readonly configurations?: ConfigurationsInfo | null;
}

export interface SealInput {
  readonly account: string;
  readonly container: string;
  readonly host: string;
  readonly maxLineBytes: number;
  readonly counted: number;
  /** Bytes of each part of it that can be read on its own, at least. Left out: it is read as a whole only. */
  readonly rangeBytes?: number;
  /** Whether configurations are stored, too. */
  readonly configurations?: boolean;
  /** Whether it was taken without keys. Left out: no. */
  readonly keyless?: boolean;
}

export function backupExportActivities({ connections }: Deps) {
  return {
    async createContainer(input: { account: string; container: string }): Promise<void> {
      await connections.storage(input.account).createContainer(input.container);
    },

    /**
     * Reads an export once from end to end: counts, checks and hashes it, writes the side table of edge devices (with the
     * hub's help where the export does not tell their parents) and the manifest that makes it a snapshot. Where there is a
     * key, the export's sealed form is in its place before that.
     *
     * @throws HubferryError SNAPSHOT_… for a damaged export.
     */
    async sealSnapshot(input: SealInput): Promise<Counted<SnapshotInfo>> {
      const storage = connections.storage(input.account);
      const hash = createHash('sha256');
      const edges: EdgeRow[] = [];
      const count = { records: 0, devices: 0, modules: 0, systemModules: 0, edges: 0, longLines: 0 };
      const open = { lackingKeys: 0, authenticationUnknown: 0 };
      const ranges = input.rangeBytes === undefined ? null : new RangeCutter(input.rangeBytes);
      let bytes = 0;
      const sealer = await storage.sealer(input.container, DEVICES_BLOB);
      const see = (part: Buffer): Promise<void> | void => {
        hash.update(part);
        ranges?.add(part);
        bytes += part.length;
        return sealer?.write(part);
      };
      const note = (record: RegistryRecord): void => {
        if (record.moduleId === null) count.devices += 1;
        else count.modules += 1;
        if (isSystemModule(record)) count.systemModules += 1;
        else if (record.authentication === null) open.authenticationUnknown += 1;
        else if (lacksKeys(record)) open.lackingKeys += 1;
        if (record.moduleId === null && record.iotEdge) {
          count.edges += 1;
          edges.push(edgeRow(record));
        }
      };
      for await (const batch of snapshotLines(storage, input.container, input.maxLineBytes, { see })) {
        for (const { record } of batch) {
          count.records += 1;
          if (record === null) count.longLines += 1;
          else note(record);
        }
      }
      await sealer?.close();
      counted(metricMeter, 'hubferry_records', count.records, { stage: 'snapshot' });
      const hub = connections.hub(input.host);
      await writeEdges(storage, input.container, await withParents(hub, edges));
      const configurations =
        input.configurations === true ? await sealConfigurations(storage, hub, input.container) : undefined;
      const info: SnapshotInfo = {
        id: input.container,
        host: input.host,
        taken: new Date().toISOString(),
        bytes,
        sha256: hash.digest('hex'),
        ...(input.keyless === true ? { keys: false, ...open } : { keys: true }),
        ...count,
        ...(ranges === null ? {} : { ranges: ranges.close() }),
        counted: input.counted,
        ...(configurations === undefined ? {} : { configurations }),
      };
      await storage.writeText(input.container, MANIFEST_BLOB, JSON.stringify(info));
      return { value: info, calls: hub.takeCalls() };
    },

    /** @throws HubferryError SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED */
    async readManifest(input: { account: string; id: string }): Promise<SnapshotInfo> {
      return await manifestIn(connections.storage(input.account), input.id);
    },
  };
}

/** The manifest of a stored snapshot. @throws HubferryError SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED */
export async function manifestIn(storage: Storage, id: string): Promise<SnapshotInfo> {
  const text = (await storage.containerExists(id)) ? await storage.readText(id, MANIFEST_BLOB) : null;
  if (text === null)
    throw new HubferryError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${id} in ${storage.account}.`);
  const info = manifestOf(text);
  if (info?.id === id) return info;
  throw new HubferryError('SNAPSHOT_DAMAGED', `The manifest of snapshot ${id} cannot be read.`);
}

/** A manifest as `sealSnapshot` writes it, or null. */
function manifestOf(text: string): SnapshotInfo | null {
  try {
    const info: unknown = JSON.parse(text);
    if (!isJsonObject(info)) return null;
    const { id, sha256, bytes, records } = info;
    const known = [id, sha256].every((value) => typeof value === 'string');
    return known && [bytes, records].every(Number.isSafeInteger) ? (info as unknown as SnapshotInfo) : null;
  } catch {
    return null;
  }
}

/** A line of a snapshot: a record, or the place of a line that is too long to be one. */
export class SnapshotLine {
  readonly #container: string;
  readonly #line: Line | BadLine;
  readonly #isUnterminated: boolean;
  #record: RegistryRecord | null | undefined;

  constructor(container: string, line: Line | BadLine, isUnterminated: boolean) {
    this.#container = container;
    this.#line = line;
    this.#isUnterminated = isUnterminated;
  }

  get offset(): number {
    return this.#line.offset;
  }

  /** Null for one that cannot be read. */
  get bytes(): LineBytes | null {
    return this.#line.problem === null ? this.#line : null;
  }

  get text(): string | null {
    return this.#line.text;
  }

  /** Read when it is asked for. @throws HubferryError SNAPSHOT_… for a damaged line, naming snapshot and byte */
  get record(): RegistryRecord | null {
    return this.#record === undefined ? (this.#record = this.#read()) : this.#record;
  }

  #read(): RegistryRecord | null {
    const where = `Snapshot ${this.#container}, at byte ${this.offset}`;
    if (this.#line.problem !== null) {
      if (this.#line.problem === 'too long') return null;
      const code = this.#isUnterminated ? 'SNAPSHOT_CUT' : 'SNAPSHOT_LINE_NOT_JSON';
      throw new HubferryError(code, `${where}: The line is not valid UTF-8.`);
    }
    try {
      return readLine(this.#line);
    } catch (error) {
      if (!(error instanceof HubferryError)) throw error;
      const cut = this.#isUnterminated && error.code === 'SNAPSHOT_LINE_NOT_JSON';
      throw new HubferryError(cut ? 'SNAPSHOT_CUT' : error.code, `${where}: ${error.message}`);
    }
  }
}

export interface SnapshotLinesOptions {
  /** Sees every byte; what it returns is awaited. */
  readonly see?: LineOptions['onBytes'];
  /** False for lines that may stand before the first record and are none. */
  readonly mayBegin?: (line: string) => boolean;
  /** Left out: the whole snapshot. */
  readonly range?: Pick<SnapshotRange, 'offset' | 'bytes'>;
}

/**
 * The lines of a snapshot's devices.txt, in order, in batches: a wait for each line would cost more than to read it.
 *
 * @throws HubferryError SNAPSHOT_… where a record is asked for; SNAPSHOT_CUT when the last line ends in the middle.
 */
export async function* snapshotLines(
  storage: Storage,
  container: string,
  maxLineBytes: number,
  { see, mayBegin, range }: SnapshotLinesOptions = {},
): AsyncGenerator<SnapshotLine[]> {
  let begun = mayBegin === undefined;
  let lastByte = 0x0a;
  const start = range?.offset ?? 0;
  const count = range === undefined ? {} : { count: range.bytes };
  const stream = await storage.read(container, DEVICES_BLOB, { offset: start, ...count });
  const batches = lineBatches(stream, {
    maxLineBytes,
    start,
    onBytes: (bytes) => {
      lastByte = bytes.at(-1) ?? lastByte;
      return see?.(bytes);
    },
  });
  let pending: Line | BadLine | null = null; // held back by one, so that a bad last line can be told from a bad line
  for await (const batch of batches) {
    const lines: SnapshotLine[] = [];
    for (const found of batch) {
      const line = found.offset === 0 ? withoutMark(found) : found;
      if (isBlank(line)) continue;
      begun ||= line.text === null || mayBegin?.(line.text) === true;
      if (!begun) continue;
      if (pending) lines.push(new SnapshotLine(container, pending, false));
      pending = line;
    }
    yield lines;
  }
  if (pending) yield [new SnapshotLine(container, pending, lastByte !== 0x0a)];
}

/** A snapshot, or a range of one, with its hash, as its manifest tells it. */
export interface WholeSnapshotInput {
  readonly snapshot: string;
  readonly sha256: string;
  readonly maxLineBytes: number;
  /** Left out: the whole snapshot. */
  readonly range?: SnapshotRange;
}

/**
 * The records of a snapshot's devices.txt, or of a range of it, in order, to the last one, in batches.
 *
 * @throws HubferryError SNAPSHOT_…, at the end also for one that was changed, or cut between two lines, since it was taken
 */
export async function* wholeSnapshot(
  storage: Storage,
  { snapshot, sha256, maxLineBytes, range }: WholeSnapshotInput,
): AsyncGenerator<SnapshotLine[]> {
  const hash = createHash('sha256');
  const see = (bytes: Buffer): void => void hash.update(bytes);
  yield* snapshotLines(storage, snapshot, maxLineBytes, range === undefined ? { see } : { see, range });
  if (hash.digest('hex') !== (range?.sha256 ?? sha256)) {
    throw new HubferryError(
      'SNAPSHOT_DAMAGED',
      `The content of snapshot ${snapshot} is not what its manifest says: it was changed, or cut.`,
    );
  }
}

const BRACE = 0x7b;

/** Nothing but spaces, or the byte order mark of an export of an empty hub. */
function isBlank(line: Line | BadLine): boolean {
  if (line.problem !== null || line.bytes[line.from] === BRACE) return false;
  return line.text.trim() === ''; // trim() takes U+FEFF for a space
}

const MARK = Buffer.from('\uFEFF');

function withoutMark(line: Line | BadLine): Line | BadLine {
  if (line.problem !== null) return line;
  const { bytes, from, to, offset } = line;
  const isMarked = bytes.subarray(from, to).indexOf(MARK) === 0;
  return isMarked ? new Line(bytes, from + MARK.length, to, offset) : line;
}
