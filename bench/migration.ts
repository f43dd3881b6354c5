import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { openStand, type Stand } from '../demo/stand.js';
import type { FleetRecord, SimulatedHub } from '../simulator/index.js';
import { compiledCommand } from '../test/support/compiled.js';
import { connectClient } from '../worker/connection.js';
import { type RunReport, writerIdOf } from '../workflows/messages.js';

export interface MigrationOptions {
  readonly fleet: () => Iterable<FleetRecord>;
  readonly chunkLines: number;
  /** Lines a second of the simulated jobs; 0: as fast as they go. */
  readonly rate: number;
}

/** One run of a command, with what it took. */
export interface Measured {
  readonly report: RunReport;
  readonly seconds: number;
  /** Of the parent workflow: those of its children are their own. */
  readonly history: { readonly events: number; readonly bytes: number };
  /** Calls to hubs but for looks at jobs, looks at jobs, and jobs. */
  readonly calls: number;
  readonly polls: number;
  readonly jobs: number;
  /** Import lines that the target's jobs read. */
  readonly sent: number;
}

/** Processes of hubferry between two simulated hubs. */
export class BenchStand {
  readonly #stand: Stand;
  readonly workers: ChildProcess[] = [];

  private constructor(stand: Stand) {
    this.#stand = stand;
  }

  static async open({ chunkLines, rate, fleet }: MigrationOptions): Promise<BenchStand> {
    const stand = await openStand({
      command: compiledCommand('client/main'),
      hubs: [{ name: 'old' }, { name: 'new' }],
      seed: 1,
      settings: `{ chunkLines: ${chunkLines}, settle: 0s }`,
    });
    const bench = new BenchStand(stand);
    bench.old.load(fleet());
    for (const hub of [bench.old, bench.new]) hub.set({ rate });
    await bench.worker();
    return bench;
  }

  get old(): SimulatedHub {
    return this.#stand.simulator.hub('old');
  }

  get new(): SimulatedHub {
    return this.#stand.simulator.hub('new');
  }

  /** A worker process more. */
  async worker(): Promise<void> {
    this.workers.push(await this.#stand.worker());
  }

  /** @param meanwhile what is done while the run goes on. */
  async migrate(args: readonly string[] = [], meanwhile?: () => Promise<void>): Promise<Measured> {
    for (const hub of [this.old, this.new]) hub.resetCounters();
    const before = this.new.jobs.list().length + this.old.jobs.list().length;
    const began = performance.now();
    const config = ['--config', this.#stand.configFile];
    const run = this.#stand.cli(['migrate', 'old', 'new', '--yes', '--json', ...args, ...config]);
    const beside = meanwhile?.();
    const { code, stdout, stderr } = await run.ended;
    const seconds = (performance.now() - began) / 1000;
    await beside;
    if (stdout === '') throw new Error(`the command ended with ${code}: ${stderr}`);
    const report = JSON.parse(stdout) as RunReport;
    const counts = [this.old, this.new].map((hub) => hub.counts());
    const count = (which: (route: string) => boolean): number =>
      counts
        .flatMap((one) => Object.entries(one))
        .reduce((sum, [route, n]) => sum + (which(route) ? n : 0), 0);
    const isPoll = (route: string): boolean => route === 'GET /jobs/{id}';
    return {
      report,
      seconds,
      history: await this.#history(report),
      calls: count((route) => !isPoll(route)),
      polls: count(isPoll),
      jobs: this.new.jobs.list().length + this.old.jobs.list().length - before,
      sent: report.jobs
        .filter(({ type }) => type === 'import')
        .reduce((sum, { lines = 0 }) => sum + lines, 0),
    };
  }

  async #history({ target }: RunReport): Promise<Measured['history']> {
    const { address } = this.#stand.temporal;
    const { client, connection } = await connectClient({ address, namespace: 'default' });
    try {
      const { raw } = await client.workflow.getHandle(writerIdOf(target ?? '')).describe();
      const { historyLength, historySizeBytes } = raw.workflowExecutionInfo ?? {};
      return { events: Number(historyLength ?? 0), bytes: Number(historySizeBytes ?? 0) };
    } finally {
      await connection.close();
    }
  }

  /** The most memory that a worker has had, in bytes. */
  peak(): number {
    return Math.max(...this.workers.map(({ pid }) => peakOf(pid)));
  }

  /** Waits for a state of the target. */
  async until(what: () => boolean): Promise<void> {
    while (!what()) await pause(50);
  }

  close(): Promise<void> {
    return this.#stand.close();
  }
}

/** The high-water mark of a process's resident memory. */
function peakOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}
