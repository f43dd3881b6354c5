import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openStorage } from '../azure/storage.js';
import { reportText } from '../client/print.js';
import { loadConfig, storageOf } from '../config/index.js';
import { generateFleet } from '../simulator/fleet.js';
import type { RunReport } from '../workflows/messages.js';
import { openStand, type Stand } from './stand.js';

/** Lines of one import job in the demo, so that there are several to be killed in. */
const CHUNK_LINES = 500;

/** Lines a second of a simulated job: fast enough for a demo, slow enough to be killed in the middle. */
const JOB_RATE = 1500;

/** How soon the server gives a dead worker's run to another: 2 s instead of 10, so that nobody watches a standstill. */
const QUICK_TAKEOVER = ['--sticky', '2'];

/** Waits in milliseconds instead of seconds: a demo's hubs are on this machine. */
const SETTINGS = `{ chunkLines: ${CHUNK_LINES}, settle: 200ms, heartbeat: 2s, slotWait: 200ms, poll: { first: 100ms, max: 1s }, edgePoll: 200ms }`;

/**
 * A whole migration on this machine: two simulated hubs, blob storage and a Temporal server are started, the worker is
 * killed in the middle of the import, another takes over, and the target is proven equal to the source.
 */
async function demo(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      devices: { type: 'string', default: '5000' },
      seed: { type: 'string', default: '1' },
    },
  });
  const devices = Number(values.devices);
  const seed = Number(values.seed);
  const say = (line: string): void => {
    if (!values.json) process.stdout.write(`${line}\n`);
  };
  const started = Date.now();
  say('starting Azurite, a simulator with two hubs, and a Temporal server …');
  const stand = await openStand({
    hubs: [
      { name: 'old', rate: JOB_RATE * 4 },
      { name: 'new', rate: JOB_RATE },
    ],
    seed,
    settings: SETTINGS,
    say,
  });
  try {
    stand.simulator.hub('old').load(generateFleet({ devices, seed }));
    say(`hub "old" holds ${devices} records (seed ${seed}); hub "new" is empty`);
    const first = await stand.worker(QUICK_TAKEOVER);
    say(`worker ${first.pid} is ready; migrating …`);

    const run = stand.cli(['migrate', 'old', 'new', '--json', '--config', stand.configFile], {
      onErrorOutput: (text) => {
        if (!values.json) process.stdout.write(text.replace(/^(?=.)/gm, '  '));
      },
    });
    const ended = run.ended.finally(() => abort.abort());
    const abort = new AbortController();
    if (await importIsHalfDone(stand, devices, abort.signal)) {
      first.kill('SIGKILL');
      say(`killed worker ${first.pid} with SIGKILL in the middle of an import job`);
      const second = await stand.worker(QUICK_TAKEOVER);
      say(`worker ${second.pid} takes over`);
    }
    const { code, stdout, stderr } = await ended;
    if (stdout === '') throw new Error(`hubferry migrate printed no result (exit ${code}):\n${stderr}`);
    const report = JSON.parse(stdout) as RunReport;
    if (values.json) process.stdout.write(stdout);
    else say(`\n${reportText(report)}\n`);
    process.exitCode = code ?? 1;
    const chunks = report.jobs.filter(({ type }) => type === 'import').length;
    const atTheHub = stand.simulator
      .hub('new')
      .jobs.list()
      .filter(({ type }) => type === 'import').length;
    say(`${chunks} chunks were sent, and the hub ran ${atTheHub} import jobs`);
    if (chunks !== atTheHub) throw new Error('A chunk was sent twice.');
    const strays = await strayContainers(stand, report);
    if (strays.length > 0) throw new Error(`Containers left behind: ${strays.join(', ')}`);
  } finally {
    await stand.close();
  }
  say(`everything is stopped again; ${((Date.now() - started) / 1000).toFixed(1)} s in all`);
}

/** Waits until about half of the records stand on the target while an import job runs. False: the run ended before. */
async function importIsHalfDone(stand: Stand, devices: number, ended: AbortSignal): Promise<boolean> {
  const target = stand.simulator.hub('new');
  while (!ended.aborted) {
    const importing = target.jobs
      .list()
      .some(({ type, status }) => type === 'import' && status === 'running');
    if (importing && target.store.deviceCount + target.store.moduleCount >= devices / 2) return true;
    await pause(10);
  }
  return false;
}

/** Containers that are neither a snapshot of the run nor the shared one. */
async function strayContainers(stand: Stand, { snapshots }: RunReport): Promise<string[]> {
  const storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
  const expected = new Set(['hubferry', snapshots.source, snapshots.target]);
  const strays: string[] = [];
  for await (const container of storage.listContainers(''))
    if (!expected.has(container)) strays.push(container);
  return strays;
}

await demo();
