import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { type Cost, median } from './cost.js';
import { benchFleet } from './fleet.js';
import { BenchStand, type Measured, type MigrationOptions } from './migration.js';

/**
 * The figures of docs/performance.md, each as a ratio or a count that was measured in one run.
 *
 *     npm run bench -- --devices 1000000 --rounds 3 --json FILE
 *     npm run bench -- --only plan,workers
 *
 * It needs `npm run build` first, 16 GB of memory and a quiet machine; a figure that is missed says so.
 */
const { values: asks } = parseArgs({
  options: {
    devices: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'plan,azurite,workers,chunks,sizes,kill' },
    json: { type: 'string' },
  },
});
const DEVICES = Number(asks.devices);
const ROUNDS = Number(asks.rounds);

interface Figure {
  readonly figure: string;
  readonly must: string;
  /** One of each round. */
  readonly measured: readonly number[];
  readonly unit: '' | 's' | 'MB' | 'calls' | 'events';
  readonly holds: boolean | null;
}

const figures: Figure[] = [];
const details: Record<string, unknown[]> = {};

function tell(
  figure: string,
  must: string,
  measured: readonly number[],
  unit: Figure['unit'] = '',
  holds: ((value: number) => boolean) | null = null,
): void {
  const middle = median(measured);
  figures.push({ figure, must, measured, unit, holds: holds && holds(middle) });
  const mark = holds === null ? '' : holds(middle) ? '' : ' MISSED';
  process.stdout.write(`${figure}: ${shown(measured, unit)} (${must})${mark}\n`);
}

function shown(measured: readonly number[], unit: Figure['unit']): string {
  const digits = unit === '' || unit === 's' || unit === 'MB' ? 2 : 0;
  const [least, most] = [Math.min(...measured), Math.max(...measured)];
  const middle = `${median(measured).toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
  return measured.length === 1 ? middle : `${middle}, ${least.toFixed(digits)} to ${most.toFixed(digits)}`;
}

function note(name: string, detail: unknown): void {
  (details[name] ??= []).push(detail);
  process.stdout.write(`  ${name}: ${JSON.stringify(detail)}\n`);
}

/** Another process, which prints one line of JSON. */
async function asked<T>(script: string, ...args: readonly (number | string)[]): Promise<T> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', file, ...args.map(String)],
    { maxBuffer: 1e8 },
  );
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
}

type PlanCost = Record<'json' | 'transfer' | 'transform' | 'empty' | 'similar', Cost>;

async function rounds<T>(work: (round: number) => Promise<T>, count = ROUNDS): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < count; round++) results.push(await work(round));
  return results;
}

const GROUPS: Record<string, () => Promise<void>> = {
  async plan() {
    const costs = await rounds(() => asked<PlanCost>('plan-cost.ts', DEVICES, 'memory'));
    for (const cost of costs) note('plan', cost);
    tell(
      'transform + plan against an empty target, beside JSON.parse + JSON.stringify, processor time',
      '≥ 2.0 times as fast',
      costs.map(({ json, transform, empty }) => json.processor / (transform.processor + empty.processor)),
      '',
      (ratio) => ratio >= 2,
    );
    tell(
      'plan where 1 % differ, beside the plan against an empty target, processor time',
      '≤ 2.5 times as long',
      costs.map(({ similar, empty }) => similar.processor / empty.processor),
      '',
      (ratio) => ratio <= 2.5,
    );
  },

  async azurite() {
    const costs = await rounds(() => asked<PlanCost>('plan-cost.ts', DEVICES, 'azurite'));
    for (const cost of costs) note('azurite', cost);
    tell(
      'transform + plan through Azurite, beside writing and reading the same bytes once',
      'reported',
      costs.map(({ transform, empty, transfer }) => (transform.wall + empty.wall) / transfer.wall),
    );
  },

  async workers() {
    const { seconds } = await asked<{ seconds: Record<1 | 2, number[]> }>('workers.ts', DEVICES, ROUNDS);
    note('workers', seconds);
    tell(
      'transform + plan with two warm worker processes, beside one, on local files',
      '≥ 1.6 times as fast',
      seconds[1].map((one, round) => one / (seconds[2][round] ?? Number.NaN)),
      '',
      (ratio) => ratio >= 1.6,
    );
  },

  async chunks() {
    const devices = DEVICES / 10;
    const runs = await rounds(() =>
      migrated({ fleet: () => benchFleet(devices), chunkLines: devices / 4, rate: 2_000 }),
    );
    for (const { run } of runs) note('chunks', stagesOf(run));
    tell(
      `migration of ${devices} devices in 4 chunks by jobs of 2,000 devices a second, beside these jobs`,
      '≤ 1.15 times as long',
      runs.map(({ run: { report, seconds } }) => seconds / onPath(report)),
      '',
      (ratio) => ratio <= 1.15,
    );
  },

  async sizes() {
    const sizes = [DEVICES / 100, DEVICES / 10, DEVICES];
    const peaks: number[][] = [];
    const times: number[][] = [];
    for (const devices of sizes) {
      const name = `${devices} devices`;
      const options = { fleet: () => benchFleet(devices), chunkLines: 50_000, rate: 0 };
      const all = await rounds(() => migrated(options, true));
      for (const { run, again, idle, peak } of all) {
        const { history, calls, polls, jobs } = run;
        note(name, { ...stagesOf(run), idle, peak, history, calls, polls, jobs });
        note(`${name} again`, again && { ...stagesOf(again), sent: again.sent });
      }
      const runs = all.map(({ run }) => run);
      times.push(runs.map(({ seconds }) => seconds));
      peaks.push(all.map(({ peak }) => peak / 1e6));
      tell(
        `migration of ${name} at an unlimited rate`,
        'verified',
        runs.map(({ seconds }) => seconds),
        's',
        () => runs.every((run) => isVerified(run, devices)),
      );
      const again = all.flatMap(({ again: second }) => second ?? []);
      tell(
        'a second run of it',
        'no writes',
        again.map(({ seconds }) => seconds),
        's',
        () => again.every(({ sent }) => sent === 0),
      );
      tell(
        'hub calls of it but for looks at jobs, less 4 for each job',
        '≤ 30',
        runs.map(({ calls, jobs }) => calls - 4 * jobs),
        'calls',
        (calls) => calls <= 30,
      );
      tell(
        'looks at each job',
        '≤ 100',
        runs.map(({ polls, jobs }) => polls / jobs),
        'calls',
        (polls) => polls <= 100,
      );
      tell('peak memory of its worker', '≤ 450 MB', peaks.at(-1) ?? [], 'MB', (mb) => mb <= 450);
      tell(
        'history of its workflow',
        '≤ 2,000 events',
        runs.map(({ history }) => history.events),
        'events',
        (count) => count <= 2_000,
      );
      tell(
        'the same in bytes',
        '≤ 2 MB',
        runs.map(({ history }) => history.bytes / 1e6),
        'MB',
        (mb) => mb <= 2,
      );
    }
    const [small = [], , large = []] = times;
    const beside = (many: readonly number[], few: readonly number[] = []): number[] =>
      many.map((value, round) => value / (few[round] ?? Number.NaN));
    tell(
      `peak memory with ${sizes[2]} beside ${sizes[1]} devices`,
      '≤ 1.2 times',
      beside(peaks[2] ?? [], peaks[1]),
      '',
      (ratio) => ratio <= 1.2,
    );
    tell(
      `growth of the time from ${sizes[0]} to ${sizes[2]} devices, log-log slope`,
      '≤ 1.05',
      beside(large, small).map((times100) => Math.log(times100) / Math.log(100)),
      '',
      (value) => value <= 1.05,
    );
  },

  async kill() {
    const devices = DEVICES / 10;
    const options = { fleet: () => benchFleet(devices), chunkLines: devices / 10, rate: 5_000 };
    const heartbeat = 30;
    const extra = await rounds(async () => {
      const { run: whole } = await migrated(options);
      const killed = await killedAt(options, Math.floor(0.73 * devices));
      note('kill', {
        whole: whole.seconds,
        killed: killed.seconds,
        sent: killed.sent,
        outcome: killed.report.outcome,
      });
      if (killed.sent !== devices || killed.report.outcome !== 'verified')
        throw new Error(`${killed.report.outcome} after ${killed.sent} lines`);
      return killed.seconds - whole.seconds;
    });
    tell(
      `a worker killed at 73 % of the import of ${devices} devices, no chunk sent twice: time more`,
      `≤ heartbeat (${heartbeat} s) + 10 s`,
      extra,
      's',
      (seconds) => seconds <= heartbeat + 10,
    );
  },
};

/** A whole migration on a stand of its own, and another one on what it left. */
async function migrated(
  of: MigrationOptions,
  twice = false,
): Promise<{ run: Measured; again: Measured | null; idle: number; peak: number }> {
  const stand = await BenchStand.open(of);
  try {
    const idle = stand.peak();
    const run = await stand.migrate();
    const again = twice ? await stand.migrate() : null;
    return { run, again, idle, peak: stand.peak() };
  } finally {
    await stand.close();
  }
}

/** One whose worker is killed when the target holds so many devices; another worker starts at once. */
async function killedAt(of: MigrationOptions, devices: number): Promise<Measured> {
  const stand = await BenchStand.open(of);
  try {
    return await stand.migrate([], async () => {
      await stand.until(() => stand.new.store.deviceCount >= devices);
      stand.workers.shift()?.kill('SIGKILL');
      await stand.worker();
    });
  } finally {
    await stand.close();
  }
}

const isVerified = ({ report }: Measured, devices: number): boolean =>
  report.outcome === 'verified' && report.verify?.match === devices;

/** Seconds of the jobs that nothing can go on without: of two snapshots at a time the longer one. */
function onPath({ jobs }: Measured['report']): number {
  const [first, second, ...rest] = jobs.map(({ seconds }) => seconds ?? 0);
  return Math.max(first ?? 0, second ?? 0) + rest.reduce((sum, seconds) => sum + seconds, 0);
}

/** Where the time of a run went. */
function stagesOf({ report, seconds }: Measured): object {
  return { outcome: report.outcome, seconds, inJobs: onPath(report), phases: report.seconds.phases };
}

for (const name of asks.only.split(',')) {
  const group = GROUPS[name];
  if (group === undefined) throw new Error(`there is no group ${name}: ${Object.keys(GROUPS).join(', ')}`);
  await group();
}
const cells = figures.map(({ figure, must, measured, unit, holds }) => {
  const verdict = holds === null ? '' : holds ? 'yes' : '**no**';
  return `| ${figure} | ${must} | ${shown(measured, unit)} | ${verdict} |`;
});
process.stdout.write(`\n| figure | must be | measured | holds |\n|---|---|---|---|\n${cells.join('\n')}\n`);
if (asks.json !== undefined) {
  const machine = {
    processors: cpus().map(({ model }) => model),
    memory: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  writeFileSync(
    asks.json,
    JSON.stringify({ machine, devices: DEVICES, rounds: ROUNDS, figures, details }, null, 2),
  );
}
