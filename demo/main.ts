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

/** As many records are imported for seconds; with fewer the import may be over before anybody is killed. */
const DEVICES = 5000;

/** How soon the server gives a dead worker's run to another: 2 s instead of 10, so that nobody watches a standstill. */
const QUICK_TAKEOVER = ['--sticky', '2'];

/** Waits in milliseconds instead of seconds: a demo's hubs are on this machine. */
const SETTINGS = `{ chunkLines: ${CHUNK_LINES}, settle: 200ms, heartbeat: 2s, slotWait: 200ms, poll: { first: 100ms, max: 1s }, edgePoll: 200ms, rates: 1000 }`;

/** Warnings of a run that sent some lines more than once. */
const SENT_AGAIN: readonly string[] = ['REPAIR_ROUND', 'SENDING_STOPPED'];

interface Options {
  readonly json: boolean;
  readonly devices: number;
  readonly seed: number;
}

type Say = (line: string) => void;

/**
 * A whole migration on this machine: two simulated hubs, blob storage and a Temporal server are started, the worker is
 * killed in the middle of the import, another takes over, and the target is proven equal to the source. The worker is a
 * process of its own (`hubferry worker`) and not the embedded one, which its supervisor would start again by itself.
 */
async function demo({ json, devices, seed }: Options, interrupted: Promise<never>): Promise<number> {
  const started = Date.now();
  const say: Say = (line) => {
    if (!json) process.stdout.write(`${line}\n`);
  };
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
  let exit: number;
  try {
    exit = await Promise.race([migration(stand, { json, devices, seed }, say), interrupted]);
  } finally {
    await stand.close();
  }
  await untilNoProcess();
  say(`everything is stopped again; ${((Date.now() - started) / 1000).toFixed(1)} s in all`);
  return exit;
}

/** The migration with its kill. @returns what `hubferry migrate` exited with. */
async function migration(stand: Stand, { json, devices, seed }: Options, say: Say): Promise<number> {
  stand.simulator.hub('old').load(generateFleet({ devices, seed }));
  say(`hub "old" holds ${devices} records (seed ${seed}); hub "new" is empty`);
  const first = await stand.worker(QUICK_TAKEOVER);
  say(`worker ${first.pid} is ready; migrating …`);

  const abort = new AbortController();
  const run = stand.cli(['migrate', 'old', 'new', '--json', '--config', stand.configFile], {
    onErrorOutput: (text) => {
      if (!json) process.stdout.write(text.replace(/^(?=.)/gm, '  '));
    },
  });
  const ended = run.ended.finally(() => abort.abort());
  const killed = await importIsHalfDone(stand, devices, abort.signal);
  if (killed) {
    first.kill('SIGKILL');
    say(`killed worker ${first.pid} with SIGKILL in the middle of an import job`);
    const second = await stand.worker(QUICK_TAKEOVER);
    say(`worker ${second.pid} takes over`);
  }
  const { code, stdout, stderr } = await ended;
  if (stdout === '') throw new Error(`hubferry migrate printed no result (exit ${code}):\n${stderr}`);
  const report = JSON.parse(stdout) as RunReport;
  if (json) process.stdout.write(stdout);
  else say(`\n${reportText(report)}\n`);
  if (!killed) {
    if (devices >= DEVICES) throw new Error('The import ended before the worker could be killed.');
    say('so few records arrived before the worker could be killed; nothing was interrupted');
  }
  say(`each of ${oneJobPerChunk(stand, report)} chunks was one import job at the hub`);
  const strays = await strayContainers(stand, report);
  if (strays.length > 0) throw new Error(`Containers left behind: ${strays.join(', ')}`);
  return code ?? 1;
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

/**
 * How many chunks there were.
 *
 * @throws Error if the lines of the import jobs are not those of the plan, each sent once, as the run and the hub saw it
 */
function oneJobPerChunk(stand: Stand, { jobs, ledger, warnings }: RunReport): number {
  const chunks = jobs.filter(({ type }) => type === 'import').map(({ lines }) => lines ?? 0);
  const atTheHub = stand.simulator
    .hub('new')
    .jobs.list()
    .filter(({ type }) => type === 'import').length;
  if (atTheHub !== chunks.length)
    throw new Error(`The run knows ${chunks.length} import jobs, the hub ${atTheHub}.`);
  const sent = chunks.reduce((sum, lines) => sum + lines, 0);
  const again = warnings.filter(({ code }) => SENT_AGAIN.includes(code)).map(({ code }) => code);
  if (sent !== ledger.create || again.length > 0)
    throw new Error(`${sent} lines were sent for ${ledger.create} planned ones. ${again.join(' ')}`);
  return chunks.length;
}

/**
 * A child that has ended counts until its handle is closed, shortly afterwards.
 *
 * @throws Error if one is left
 */
async function untilNoProcess(): Promise<void> {
  for (let looks = 0; process.getActiveResourcesInfo().includes('ProcessWrap'); looks++) {
    if (looks === 100) throw new Error('A process was left behind.');
    await pause(10);
  }
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

/** Says what is wrong with the command line, and ends with 2. */
function usage(problem: string): never {
  process.stderr.write(`${problem}\nUsage: npm run demo -- [--devices N] [--seed S] [--json]\n`);
  process.exit(2);
}

function options(): Options {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        devices: { type: 'string', default: String(DEVICES) },
        seed: { type: 'string', default: '1' },
      },
    });
    return {
      json: values.json,
      devices: whole('devices', values.devices, 1),
      seed: whole('seed', values.seed),
    };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string, least = 0): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} must be a whole number from ${least} up, not "${text}".`);
  return value;
}

/** The second signal ends the process at once, since the handlers are gone then. */
function untilSignal(): Promise<never> {
  return new Promise((_, reject) => {
    for (const [signal, exit] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const)
      process.once(signal, () => reject(new Interruption(signal, exit)));
  });
}

class Interruption extends Error {
  readonly exit: number;

  constructor(signal: string, exit: number) {
    super(`Stopped by ${signal}.`);
    this.exit = exit;
  }
}

try {
  const interrupted = untilSignal();
  interrupted.catch(() => undefined); // it may come while the stand is being opened, and is looked at after that
  process.exitCode = await demo(options(), interrupted);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof Interruption ? error.exit : 1);
}
