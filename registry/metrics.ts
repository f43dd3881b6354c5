/** What hubferry measures, beside what Temporal's SDK measures of itself. `docs/telemetry.md` lists them. */
export interface MetricInfo {
  readonly kind: 'counter' | 'histogram';
  /** Each has few values: hub hosts at most, never anything of a record. */
  readonly labels: readonly string[];
  readonly description: string;
  /** Upper ends of a histogram's buckets, seconds. */
  readonly buckets?: readonly number[];
}

/** From a job of a few records to the deadline of the largest one (`settings.jobDeadline`, 12 h). */
const JOB_BUCKETS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200];

/** The waits between tries are up to 30 s, those for a turn may be longer. */
const WAIT_BUCKETS = [0.1, 0.5, 1, 2, 4, 8, 15, 30, 60, 120];

/** By name; Prometheus shows counters with `_total` behind it. */
export const METRICS = {
  hubferry_records: {
    kind: 'counter',
    labels: ['stage'],
    description: 'Records that a stage has read or written.',
  },
  hubferry_lines: {
    kind: 'counter',
    labels: ['hub', 'outcome'],
    description: 'Lines of import jobs and records sent one by one, by what became of them.',
  },
  hubferry_chunks: {
    kind: 'counter',
    labels: ['hub', 'outcome'],
    description: 'Import jobs that a plan was sent by, by how they ended.',
  },
  hubferry_job_seconds: {
    kind: 'histogram',
    labels: ['hub', 'type', 'outcome'],
    description: 'From the hub’s acceptance of a job to its end.',
    buckets: JOB_BUCKETS,
  },
  hubferry_hub_calls: {
    kind: 'counter',
    labels: ['hub', 'kind'],
    description: 'Requests sent to a hub.',
  },
  hubferry_throttles: {
    kind: 'counter',
    labels: ['hub'],
    description: 'Requests that a hub answered with 429.',
  },
  hubferry_backoff_seconds: {
    kind: 'histogram',
    labels: ['code'],
    description: 'Waits of an activity in its place, before a call is tried again.',
    buckets: WAIT_BUCKETS,
  },
  hubferry_turn_seconds: {
    kind: 'histogram',
    labels: ['hub'],
    description: 'Waits of calls for their turn, within what the hub lets through and the run may use.',
    buckets: WAIT_BUCKETS,
  },
  hubferry_stage_seconds: {
    kind: 'histogram',
    labels: ['workflow', 'stage'],
    description: 'Time that a run spent in a stage at a stretch.',
    buckets: JOB_BUCKETS,
  },
  hubferry_runs: {
    kind: 'counter',
    labels: ['workflow', 'outcome'],
    description: 'Runs that have ended, by outcome.',
  },
} as const satisfies Record<string, MetricInfo>;

type Metrics = typeof METRICS;
type NameOf<K extends MetricInfo['kind']> = {
  [N in keyof Metrics]: Metrics[N]['kind'] extends K ? N : never;
}[keyof Metrics];

/** A value for every label of a metric. */
export type Labels<N extends keyof Metrics> = Readonly<Record<Metrics[N]['labels'][number], string>>;

/** What is used of Temporal's meter, of workflows, activities and the process alike. */
export interface Meter {
  createCounter(
    name: string,
    unit?: string,
    description?: string,
  ): { add(value: number, labels?: Record<string, string>): void };
  createHistogram(
    name: string,
    valueType?: 'int' | 'float',
    unit?: string,
    description?: string,
  ): { record(value: number, labels?: Record<string, string>): void };
}

/** Adds to a counter; nothing for zero, so that no series appears that never counted. */
export function counted<N extends NameOf<'counter'>>(
  meter: Meter,
  name: N,
  value: number,
  labels: Labels<N>,
): void {
  if (value > 0) meter.createCounter(name, undefined, METRICS[name].description).add(value, { ...labels });
}

/** Records a time in seconds. */
export function timed<N extends NameOf<'histogram'>>(
  meter: Meter,
  name: N,
  seconds: number,
  labels: Labels<N>,
): void {
  meter.createHistogram(name, 'float', undefined, METRICS[name].description).record(seconds, { ...labels });
}
