import type { ChildProcess } from 'node:child_process';
import { expect } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { type CliRun, openStand, type Stand } from '../../demo/stand.js';
import { imbalances, verifyImbalances } from '../../registry/ledger.js';
import { generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import type { RunReport } from '../../workflows/messages.js';
import { packedPackage } from '../e2e/packed.js';
import { essence, writesOf } from '../support/stand.js';
import { until } from '../support/until.js';
import { StorageGate } from './storage-gate.js';

/** Records of the migration that is killed, system modules apart. */
const RECORDS = 300;

/** Five edge devices, a few children of theirs, other devices and modules: three waves. */
const FLEET = { devices: RECORDS, seed: 8, edgeShare: 0.02 };

/** Four chunks, the wave of the devices has two. Waits are short, and a dead worker is noticed soon. */
const SETTINGS =
  '{ chunkLines: 150, partitionBytes: 65536, settle: 50ms, heartbeat: 2s, slotWait: 100ms, poll: { first: 50ms, max: 100ms }, edgePoll: 100ms, visible: 2s, rates: 1000 }';

/** The server asks another worker this soon when one does not answer, so that a takeover takes no ten seconds. */
const QUICK_TAKEOVER = ['--sticky', '0.5'];

/** Long enough for a machine that does other work too; nothing waits for a time. */
export const PATIENCE = 120_000;

/** Who can be killed. */
export type Victim = 'worker' | 'server' | 'cli';

/** A point of a migration at which somebody is killed. */
export interface Moment {
  /** As in "the worker is killed while …". */
  readonly name: string;
  /** Prepares a run that has not started yet for being stopped at this point. */
  arm(scene: Scene): Armed;
}

export interface Armed {
  /** Resolves when the run has come to the point, where it stays. */
  reached(): Promise<void>;
  /** After the kill and with everybody back: lets the run go on. */
  release(): Promise<void> | void;
}

/** Real processes around two simulated hubs, for one migration after the other. */
export interface Scene {
  readonly stand: Stand;
  readonly gate: StorageGate;
  readonly source: SimulatedHub;
  readonly target: SimulatedHub;
  /** One migration with a kill in it, proven to have ended well. */
  survives(victim: Victim, moment: Moment): Promise<RunReport>;
  close(): Promise<void>;
}

export async function openScene(): Promise<Scene> {
  let gate: StorageGate | undefined;
  const packed = await packedPackage();
  const stand = await openStand({
    command: [process.execPath, packed.main],
    hubs: [{ name: 'old' }, { name: 'new' }],
    seed: 11,
    settings: SETTINGS,
    storageThrough: async (connectionString) => {
      const opened = await StorageGate.open(connectionString);
      ({ gate } = opened);
      return opened.connectionString;
    },
  });
  if (gate === undefined) throw new Error('the stand did not ask for a gate');
  const scene = new ProcessScene(stand, gate);
  await scene.replaceWorker();
  return scene;
}

class ProcessScene implements Scene {
  readonly stand: Stand;
  readonly gate: StorageGate;
  readonly source: SimulatedHub;
  readonly target: SimulatedHub;
  readonly #storage: Storage;
  #worker: ChildProcess | undefined;

  constructor(stand: Stand, gate: StorageGate) {
    this.stand = stand;
    this.gate = gate;
    this.source = stand.simulator.hub('old');
    this.target = stand.simulator.hub('new');
    this.#storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
  }

  async survives(victim: Victim, moment: Moment): Promise<RunReport> {
    this.#reset();
    const containersBefore = await this.#containers();
    const armed = moment.arm(this);
    const first = this.#migrate();
    await Promise.race([armed.reached(), endedEarly(first)]);
    const last = await this.#kill(victim, first);
    await armed.release();
    const { code, stdout, stderr } = await last.ended;
    if (stdout === '') throw new Error(`no report (exit ${code}):\n${stderr}`);
    const report = JSON.parse(stdout) as RunReport;
    this.#expectWhole(report);
    expect(code).toBe(0);
    const containers = (await this.#containers()).filter((name) => !containersBefore.includes(name));
    const { source, target } = report.snapshots;
    const kept = [source, target, ...(containersBefore.includes('hubferry') ? [] : ['hubferry'])];
    expect(new Set(containers)).toEqual(new Set(kept));
    await this.#nothingRuns();
    return report;
  }

  async replaceWorker(): Promise<void> {
    await ended(this.#worker);
    this.#worker = await this.stand.worker(QUICK_TAKEOVER);
  }

  async close(): Promise<void> {
    await this.stand.close();
    await this.gate.close();
  }

  #reset(): void {
    for (const hub of [this.source, this.target]) {
      hub.reset();
    }
    this.source.load(generateFleet(FLEET));
  }

  #migrate(): CliRun {
    return this.stand.cli(['migrate', 'old', 'new', '--json', '--config', this.stand.configFile]);
  }

  /** Kills the victim and brings a new one. @returns the command whose end is the run's end. */
  async #kill(victim: Victim, command: CliRun): Promise<CliRun> {
    if (victim === 'worker') {
      await this.replaceWorker();
      return command;
    }
    if (victim === 'server') {
      await this.stand.restartTemporal();
      return command;
    }
    await ended(command.child);
    let said = '';
    const again = this.#migrate();
    again.child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    await until('the second command attaches to the run', () => said.includes('attached to it'), PATIENCE);
    return again;
  }

  /** Everything arrived, the counts prove it, and no job ran that was not needed. */
  #expectWhole(report: RunReport): void {
    expect(report.error).toBeNull();
    expect(report.outcome).toBe('verified');
    const { systemModules: _modules, configurations: _configurations, ...ledger } = report.ledger;
    expect(imbalances(ledger)).toEqual([]);
    expect(ledger).toMatchObject({ desired: RECORDS, create: RECORDS, applied: RECORDS });
    expect(report.verify).toMatchObject({ compared: RECORDS, match: RECORDS, extra: 0 });
    if (report.verify) expect(verifyImbalances(ledger, report.verify)).toEqual([]);
    expect(essence(this.target.dump())).toEqual(essence(this.source.dump()));

    const jobsOf = (hub: SimulatedHub, type: string) =>
      report.jobs.filter((job) => job.hub === hub.hostName && job.type === type);
    // One job per chunk: each record was sent once, in a job that the report knows, and there were no other jobs.
    const imports = jobsOf(this.target, 'import');
    expect(imports.reduce((lines, job) => lines + (job.lines ?? 0), 0)).toBe(RECORDS);
    expect(jobsOf(this.target, 'export')).toHaveLength(2);
    expect(this.target.counts()['POST /jobs/create']).toBe(imports.length + 2);
    expect(jobsOf(this.source, 'export')).toHaveLength(1);
    expect(this.source.counts()['POST /jobs/create']).toBe(1);
    expect([writesOf(this.source), writesOf(this.target)]).toEqual([{}, {}]);
  }

  async #containers(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.#storage.listContainers('')) names.push(name);
    return names;
  }

  /** No workflow is left but the lines of the hubs, which wait for the next caller. */
  async #nothingRuns(): Promise<void> {
    const { client, connection } = await connectClient({
      address: this.stand.temporal.address,
      namespace: 'default',
    });
    try {
      await until(
        'no workflow runs any more',
        async () => {
          for await (const { workflowId } of client.workflow.list({ query: "ExecutionStatus='Running'" }))
            if (!workflowId.startsWith('hub-queue/')) return false;
          return true;
        },
        PATIENCE,
      );
    } finally {
      await connection.close();
    }
  }
}

/** Kills a process with SIGKILL and waits until it is gone. */
async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}

async function endedEarly({ ended: end }: CliRun): Promise<never> {
  const { code, stderr } = await end;
  throw new Error(`the command ended (exit ${code}) before the point of the kill:\n${stderr}`);
}
