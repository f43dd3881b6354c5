import { HubferryError } from './errors.js';
import type { RegistryRecord } from './record.js';

/**
 * A wave is sent whole before the next one begins: `edge-0`, `edge-1`, …, `devices`, `modules` (design §5). A child
 * needs its parent's new scope, and a module its device.
 */
export type Wave = string;

const EDGE = /^edge-(\d+)$/;

/** Whether a wave holds edge devices, whose scopes the waves after it need. */
export const isEdgeWave = (wave: Wave): boolean => EDGE.test(wave);

/** The wave of a record; `edgeLevel` is how many edge devices stand above it, and counts for edge devices only. */
export function waveOf(record: RegistryRecord, edgeLevel: number): Wave {
  if (record.moduleId !== null) return 'modules';
  return record.iotEdge ? `edge-${edgeLevel}` : 'devices';
}

/** Negative where `a` is sent before `b`. @throws HubferryError INTERNAL for a name that is no wave. */
export function compareWaves(a: Wave, b: Wave): number {
  return rank(a) - rank(b);
}

function rank(wave: Wave): number {
  if (wave === 'devices') return Number.MAX_SAFE_INTEGER - 1;
  if (wave === 'modules') return Number.MAX_SAFE_INTEGER;
  const level = EDGE.exec(wave)?.[1];
  if (level === undefined) throw new HubferryError('INTERNAL', `There is no wave "${wave}".`);
  return Number(level);
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
