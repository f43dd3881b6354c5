import { HubferryError } from './errors.js';
import type { RegistryRecord } from './record.js';

/**
 * A wave is sent whole before the next one begins (design §5): `edge-0`, `edge-1`, …, `devices`, `modules`,
 * `module-updates`, `twins`, `by-rest`, and at the very end `deletes`. A child needs its parent's new scope, and a module
 * its device. An import may hold an id once, so what changes in a twin that is there already is a wave of its own.
 * Devices that are sent record by record go after those that an import takes: `edge-0`, `by-rest-edge-0`, ….
 */
export type Wave = string;

/** All devices that are no edge devices. */
export const DEVICES: Wave = 'devices';
/** Changes of modules that are there already: an import may clear their `managedBy`, which is put back. */
export const MODULE_UPDATES: Wave = 'module-updates';
/** Changes of twins that are there already. */
export const TWINS: Wave = 'twins';
/** What an import did not take as it was meant: sent record by record, in repair rounds. Devices have waves beside it. */
export const BY_REST: Wave = 'by-rest';
/** What only the target has, where the policy is to delete it; sent when all the rest has arrived. */
export const DELETES: Wave = 'deletes';

const EDGE = /^(by-rest-)?edge-(\d+)$/;

/** The waves after those of edge devices, in their order. */
const LATE: readonly Wave[] = [
  DEVICES,
  `${BY_REST}-${DEVICES}`,
  'modules',
  MODULE_UPDATES,
  TWINS,
  BY_REST,
  DELETES,
];

/** Whether a wave holds edge devices that imports take, whose scopes the waves after it need. */
export const isEdgeWave = (wave: Wave): boolean => EDGE.test(wave) && !isByRest(wave);

/** Whether a wave is sent record by record. */
export const isByRest = (wave: Wave): boolean => wave.startsWith(BY_REST);

/** The wave of a record; `edgeLevel` is how many edge devices stand above it, and counts for edge devices only. */
export function waveOf(record: RegistryRecord, edgeLevel: number): Wave {
  if (record.moduleId !== null) return 'modules';
  return record.iotEdge ? `edge-${edgeLevel}` : DEVICES;
}

/** The wave of a record that is created by REST. */
export function restWaveOf(record: RegistryRecord, edgeLevel: number): Wave {
  return record.moduleId === null ? `${BY_REST}-${waveOf(record, edgeLevel)}` : BY_REST;
}

/** Negative where `a` is sent before `b`. @throws HubferryError INTERNAL for a name that is no wave. */
export function compareWaves(a: Wave, b: Wave): number {
  return rank(a) - rank(b);
}

function rank(wave: Wave): number {
  const late = LATE.indexOf(wave);
  if (late >= 0) return Number.MAX_SAFE_INTEGER - LATE.length + late;
  const [, byRest, level] = EDGE.exec(wave) ?? [];
  if (level === undefined) throw new HubferryError('INTERNAL', `There is no wave "${wave}".`);
  return 2 * Number(level) + (byRest === undefined ? 0 : 1);
}

/** Some consecutive lines of one partition's change stream. */
export interface ChunkPart {
  readonly partition: number;
  /** Counted from 0. */
  readonly fromLine: number;
  readonly lines: number;
}

/** The lines of one import job, addressed by wave and number. */
export interface Chunk {
  readonly wave: Wave;
  /** From 1. */
  readonly number: number;
  readonly lines: number;
  readonly parts: readonly ChunkPart[];
}

/**
 * Cuts a wave into chunks: every line of every partition once, in the order of partitions and lines, all chunks full
 * but the last. A wave without lines has no chunk.
 *
 * @param chunkLines lines per chunk, a positive integer.
 * @throws RangeError where it is none.
 */
export function cutChunks(wave: Wave, linesPerPartition: readonly number[], chunkLines: number): Chunk[] {
  if (!Number.isInteger(chunkLines) || chunkLines < 1) {
    throw new RangeError(`A chunk cannot hold ${chunkLines} lines.`);
  }
  const chunks: Chunk[] = [];
  let parts: ChunkPart[] = [];
  let lines = 0;
  const close = (): void => {
    if (lines > 0) chunks.push({ wave, number: chunks.length + 1, lines, parts });
    parts = [];
    lines = 0;
  };
  for (const [partition, total] of linesPerPartition.entries()) {
    for (let fromLine = 0; fromLine < total; ) {
      const taken = Math.min(total - fromLine, chunkLines - lines);
      parts.push({ partition, fromLine, lines: taken });
      fromLine += taken;
      lines += taken;
      if (lines === chunkLines) close();
    }
  }
  close();
  return chunks;
}
