import type { ChildProcess } from 'node:child_process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CliRun, openStand, type Stand } from '../../demo/stand.js';
import { imbalances } from '../../registry/ledger.js';
import { generateFleet, type SimulatedHub } from '../../simulator/index.js';
import type { RunReport } from '../../workflows/messages.js';
import { StorageGate } from '../crash/storage-gate.js';
import { earlierPackage, type Started, start } from '../e2e/packed.js';
import { compiledCommand } from '../support/compiled.js';
import { essence } from '../support/stand.js';
import { until } from '../support/until.js';

/** Packages that are named in docs/upgrades.md: runs that they began are finished by this one. */
const EARLIER = [
  { commit: 'b70a0a1', name: 'the first one whose histories are kept', approves: false },
  { commit: 'e49a9c0', name: 'the one before versions of workers', approves: true },
];

const RECORDS = 20;

/** Two chunks; waits are short, and a dead worker is noticed soon. */
const SETTINGS =
  '{ chunkLines: 10, settle: 50ms, heartbeat: 2s, slotWait: 100ms, poll: { first: 50ms, max: 100ms }, edgePoll: 100ms, visible: 2s }';
const PATIENCE = 300_000;

/** Compiling and packing takes a few seconds of two processors that may do other work. */
const PACKING = 300_000;

describe.concurrent.each(EARLIER)('a run that began under $commit, $name', ({ commit, approves }) => {
  let gate: StorageGate;
  let stand: Stand;
  const workers: Started[] = [];

  beforeAll(async () => {
    const { main } = await earlierPackage(commit);
    stand = await openStand({
      command: [process.execPath, main],
      hubs: [{ name: 'old' }, { name: 'new' }],
      seed: 11,
      settings: SETTINGS,
      storageThrough: async (connectionString) => {
        const opened = await StorageGate.open(connectionString);
        gate = opened.gate;
        return opened.connectionString;
      },
    });
  }, PACKING);
  afterAll(async () => {
    await stand?.close();
    await gate?.close();
  });

  let earlier: ChildProcess;
  let importsBefore: number;
  beforeEach(async () => {
    for (const name of ['old', 'new']) stand.simulator.hub(name).reset();
    importsBefore = importsOf(stand.simulator.hub('new'));
    stand.simulator.hub('old').load(generateFleet({ devices: RECORDS, seed: 8, plain: true }));
    earlier = await stand.worker(['--sticky', '0.5']);
  }, PATIENCE);
  afterEach(async () => {
    for (const { child, ended } of workers.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
  });

  const importsOf = (hub: SimulatedHub): number =>
    hub.jobs.list().filter(({ type }) => type === 'import').length;

  /** A command of this version. */
  const ours = (...args: string[]): Started =>
    start(compiledCommand('client/main'), [...args, '--config', stand.configFile], {
      cwd: stand.folder,
      env: stand.env,
    });

  const begin = (...args: string[]): CliRun =>
    stand.cli(['migrate', 'old', 'new', '--json', ...args, '--config', stand.configFile]);

  /** Kills the earlier worker; from then on there is only one of this version. */
  async function upgrade(): Promise<void> {
    const gone = new Promise((resolve) => earlier.once('exit', resolve));
    earlier.kill('SIGKILL');
    await gone;
    const worker = ours('worker', '--sticky', '0.5');
    workers.push(worker);
    await until('the worker of this version takes tasks', () => worker.stdout().includes('worker ready'));
  }

  const runsNow = async (): Promise<RunReport[]> =>
    JSON.parse((await ours('list', '--json').ended).stdout) as RunReport[];

  /** All arrived, in one job for each chunk. */
  function expectWhole(text: string): RunReport {
    const report = JSON.parse(text) as RunReport;
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    const { systemModules: _modules, configurations: _configurations, ...ledger } = report.ledger;
    expect(imbalances(ledger)).toEqual([]);
    expect(ledger).toMatchObject({ desired: RECORDS, create: RECORDS, applied: RECORDS });
    const [source, target] = [stand.simulator.hub('old'), stand.simulator.hub('new')];
    expect(essence(target.dump())).toEqual(essence(source.dump()));
    const imports = report.jobs.filter(({ type }) => type === 'import');
    expect(imports.reduce((lines, job) => lines + (job.lines ?? 0), 0)).toBe(RECORDS);
    expect(importsOf(target) - importsBefore).toBe(imports.length);
    return report;
  }

  it.sequential(
    'is finished by this version where its worker dies before the transform',
    async () => {
      const hold = gate.hold(/^PUT \/hf-[^/]+-work\/desired\//);
      const command = begin();
      await hold.reached;
      await upgrade();
      hold.release();
      expectWhole((await command.ended).stdout);
    },
    PATIENCE,
  );

  it.sequential(
    'is finished by this version where its worker dies during an import, and ours shows it meanwhile',
    async () => {
      const target = stand.simulator.hub('new');
      target.set({ rate: 5 });
      const command = begin();
      await until('half of a chunk is written', () => target.store.deviceCount >= 2, PATIENCE);
      target.set({ rate: 0.1 });
      const [shown] = await runsNow();
      expect(shown).toMatchObject({ workflow: 'migrate', outcome: 'running', phase: 'apply' });
      await upgrade();
      const looks = (): number => target.counts()['GET /jobs/{id}'] ?? 0;
      const before = looks();
      await until('the job is looked at again', () => looks() > before, PATIENCE);
      target.set({ rate: 0 });
      const { run } = expectWhole((await command.ended).stdout);
      expect(expectWhole((await ours('status', run, '--json').ended).stdout)).toMatchObject({ run });
    },
    PATIENCE,
  );

  // Others know of no approvals.
  if (approves)
    it.sequential(
      'is approved by this version where it waits for that',
      async () => {
        const command = begin('--approve');
        await until('it waits', async () => (await runsNow())[0]?.outcome === 'parked', PATIENCE);
        await upgrade();
        const [{ run, plan } = { run: '', plan: '' }] = await runsNow();
        const approved = ours('approve', run, plan ?? '', '--json');
        expectWhole((await approved.ended).stdout);
        // The command that started it has ended when the run began to wait.
        expect(JSON.parse((await command.ended).stdout)).toMatchObject({ run, outcome: 'parked' });
      },
      PATIENCE,
    );
});
