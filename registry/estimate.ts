import { type HubSize, type OperationClass, throttleOf } from './throttles.js';
import { type Chunk, cutChunks, isEdgeWave, type Wave } from './waves.js';

/** What a plan sends, as far as its time depends on it. */
export interface Workload {
  /** Lines to send, by wave and partition. */
  readonly waves: readonly { readonly wave: Wave; readonly linesPerPartition: readonly number[] }[];
  readonly chunkLines: number;
  /** Edge devices whose manifest is sent. */
  readonly manifests: number;
  /** Of configurations. */
  readonly configurations: { readonly create: number; readonly update: number };
  /** Records on the target when all has arrived: what the export that proves it carries. */
  readonly arriving: number;
  /** Whether something is deleted when the rest has arrived, which is proven by an export of its own. */
  readonly deletes: boolean;
  /** Pause before the target is looked at after an import, ms. */
  readonly settle: number;
}

/** Export jobs that are over: lines, and how long they took. */
export interface MeasuredExports {
  readonly records: number;
  readonly seconds: number;
}

/** What a plan sends to the target, and about how long that takes. */
export interface Work {
  /** In the order in which they are sent. An update of identity and twin is two lines. */
  readonly waves: readonly { readonly wave: Wave; readonly lines: number; readonly jobs: number }[];
  /** Exports that prove it, without repair rounds. */
  readonly exports: number;
  /** Calls that no job carries, without repair rounds and polls. */
  readonly calls: {
    readonly applyConfigurationContent: number;
    readonly configurations: number;
    /** Queries of the scopes that new edge devices get. */
    readonly scopes: number;
  };
  /** Estimated. `exportRate`: whether this run's own exports gave the rate; that of all the rest is documented. */
  readonly seconds: {
    readonly imports: number;
    readonly exports: number;
    readonly calls: number;
    readonly total: number;
    readonly exportRate: 'measured' | 'documented';
  };
}

/** Records a second that a job carries (Microsoft's migration guide: 2 h for 500,000; facts §4). */
const RECORDS_PER_SECOND = 70;

/** Rows of one page of a query. */
const PAGE = 1000;

/**
 * How many jobs and calls a plan takes, and about how long. Repair rounds, other people's jobs and polling are not
 * foreseen. Waves are sent one after the other, so the times add up.
 *
 * `applyConfigurationContent` is taken to be a configuration call, the slower of the two classes it may be in (facts §5).
 */
export function workOf(load: Workload, size: HubSize, measured: MeasuredExports): Work {
  const waves = load.waves.map(({ wave, linesPerPartition }) => {
    const chunks: readonly Chunk[] = cutChunks(wave, linesPerPartition, load.chunkLines);
    return { wave, lines: chunks.reduce((sum, { lines }) => sum + lines, 0), jobs: chunks.length };
  });
  const lines = waves.reduce((sum, wave) => sum + wave.lines, 0);
  const only = waves.length === 1 && load.manifests === 0;
  const proofs = load.deletes && !only ? 2 : 1;
  const exports = lines + load.manifests === 0 ? 0 : proofs;
  // One before a level is sent, and one after it.
  const scopes = waves
    .filter(({ wave }) => isEdgeWave(wave))
    .reduce((sum, level) => sum + 2 * Math.ceil(level.lines / PAGE), 0);
  const { create, update } = load.configurations;
  // What has changed is deleted and made again; all are read once more in the end.
  const configurations = create + update === 0 ? 0 : create + 2 * update + 1;
  const calls = { applyConfigurationContent: load.manifests, configurations, scopes };
  const isMeasured = measured.seconds > 0 && measured.records > 0;
  const rate = isMeasured ? measured.records / measured.seconds : RECORDS_PER_SECOND;
  const seconds = {
    imports: lines / RECORDS_PER_SECOND,
    exports: exports * (load.arriving / rate + load.settle / 1000),
    calls:
      secondsOf(load.manifests + configurations, 'configurations', size) + secondsOf(scopes, 'queries', size),
  };
  const total = seconds.imports + seconds.exports + seconds.calls;
  const exportRate = isMeasured ? 'measured' : 'documented';
  return { waves, exports, calls, seconds: { ...seconds, total, exportRate } };
}

/** Seconds that so many calls of a class take. */
function secondsOf(count: number, operation: OperationClass, size: HubSize): number {
  const { calls, seconds } = throttleOf(operation, size);
  return (count / calls) * seconds;
}
