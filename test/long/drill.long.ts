import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { type CliRun, openStand, type Stand } from '../../demo/stand.js';
import { type FleetRecord, generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import { type RunReport, writerIdOf } from '../../workflows/messages.js';
import { StorageGate } from '../crash/storage-gate.js';
import { packedPackage } from '../e2e/packed.js';
import { keys } from '../support/keys.js';
import { essence, writesOf } from '../support/stand.js';

const PATIENCE = 300_000;

/** Several chunks of every restore; a dead worker is noticed soon. */
const SETTINGS =
  '{ chunkLines: 1000, settle: 50ms, heartbeat: 2s, slotWait: 100ms, poll: { first: 50ms, max: 200ms }, edgePoll: 100ms, visible: 2s, rates: 1000 }';

const QUICK_TAKEOVER = ['--sticky', '0.5'];

const RECORDS = 2_000;

/** Edge devices three levels deep, with a leaf at the bottom. */
const DEEP: FleetRecord[] = [
  { deviceId: 'site', iotEdge: true, authentication: keys(1) },
  { deviceId: 'site-line', iotEdge: true, parent: 'site', authentication: keys(2) },
  { deviceId: 'site-line-cell', iotEdge: true, parent: 'site-line', authentication: keys(3) },
  { deviceId: 'site-line-cell-pump', parent: 'site-line-cell', authentication: keys(4), tags: { ring: '1' } },
];

/** The middle of the restore (three waves of edge devices and a chunk of devices are there), and of the clean-up. */
const RESTORING = /^PUT \/hf-[^/]+-100004-1\?restype=container$/;
const CLEANING = /^PUT \/hf-[^/]+-200001-1\?restype=container$/;

let stand: Stand;
let gate: StorageGate;
let storage: Storage;
let worker: ChildProcess;
let source: SimulatedHub;
let scratch: SimulatedHub;
/** Snapshots that drills have kept. */
const kept = new Set<string>();

beforeAll(async () => {
  const packed = await packedPackage();
  stand = await openStand({
    command: [process.execPath, packed.main],
    hubs: [{ name: 'old' }, { name: 'scratch' }],
    seed: 21,
    settings: SETTINGS,
    storageThrough: async (connectionString) => {
      const opened = await StorageGate.open(connectionString);
      ({ gate } = opened);
      return opened.connectionString;
    },
  });
  const text = readFileSync(stand.configFile, 'utf8');
  writeFileSync(stand.configFile, text.replace(/(scratch: \{ .*) \}/, '$1, role: scratch }'));
  storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
  source = stand.simulator.hub('old');
  scratch = stand.simulator.hub('scratch');
  const content = { deviceContent: { 'properties.desired.interval': 5 } };
  source.loadConfigurations([
    { id: 'ring', content, targetCondition: "tags.ring='1'", priority: 5 },
    { id: 'all', content, targetCondition: '*', priority: 1 },
  ]);
  source.load(generateFleet({ devices: RECORDS - DEEP.length, seed: 4 }));
  source.load(DEEP);
  worker = await stand.worker(QUICK_TAKEOVER);
}, PATIENCE);
afterAll(async () => {
  await stand.close();
  await gate.close();
});

const drill = (from: string, ...options: readonly string[]): CliRun =>
  stand.cli(['drill', from, 'scratch', '--json', '--config', stand.configFile, ...options]);

/** How a drill ended that left nothing but the snapshot it restored. */
async function ended(run: CliRun, code: number): Promise<RunReport> {
  const end = await run.ended;
  if (end.stdout === '') throw new Error(`no report (exit ${end.code}):\n${end.stderr}`);
  const report = JSON.parse(end.stdout) as RunReport;
  expect(end.code, JSON.stringify([report.error, report.warnings])).toBe(code);
  if (report.snapshots.source !== null) kept.add(report.snapshots.source);
  expect(essence(scratch.dump())).toEqual({});
  expect(scratch.dumpConfigurations()).toEqual([]);
  expect(await containers()).toEqual([...kept].toSorted());
  expectUnwritten();
  return report;
}

const passed = { error: null, outcome: 'verified', cleaned: true, verify: { different: 0, missing: 0 } };

function expectUnwritten(): void {
  expect(writesOf(source)).toEqual({});
  expect(source.jobs.list().filter(({ type }) => type === 'import')).toEqual([]);
}

async function containers(): Promise<string[]> {
  const names: string[] = [];
  for await (const name of storage.listContainers('hf-')) names.push(name);
  return names.toSorted();
}

/** Does something while a drill stays at a point, which it must come to. */
async function at(moment: RegExp, run: CliRun, then: () => Promise<void>): Promise<void> {
  const hold = gate.hold(moment);
  const early = run.ended.then(({ code, stderr }) => {
    throw new Error(`the drill ended (exit ${code}) before its point:\n${stderr}`);
  });
  await Promise.race([hold.reached, early]);
  early.catch(() => undefined); // the end of it is looked at elsewhere
  await then();
  hold.release();
}

async function replaceWorker(): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGKILL');
  await gone;
  worker = await stand.worker(QUICK_TAKEOVER);
}

async function terminate(): Promise<void> {
  const { address } = stand.temporal;
  const { client, connection } = await connectClient({ address, namespace: 'default' });
  await client.workflow.getHandle(writerIdOf(scratch.hostName)).terminate('a test');
  await connection.close();
}

async function cli(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stand.cli([...args, '--config', stand.configFile]).ended;
  expect(code, stderr).toBe(0);
  return stdout;
}

it(
  'ten drills in a row',
  async () => {
    const objectives = ['--rto', '10m', '--rpo', '24h'];
    const first = await ended(drill('old', ...objectives), 0);
    expect(first).toMatchObject(passed);
    expect(first.verify?.match).toBe(RECORDS);
    expect(first.ledger).toMatchObject({ applied: RECORDS, configurations: { applied: 2 } });

    let run = drill('old', ...objectives);
    await at(RESTORING, run, replaceWorker);
    const restoreKilled = await ended(run, 0);
    expect(restoreKilled).toMatchObject(passed);

    run = drill('old', ...objectives);
    await at(CLEANING, run, replaceWorker);
    const cleanUpKilled = await ended(run, 0);
    expect(cleanUpKilled).toMatchObject(passed);

    run = drill('old', ...objectives);
    await at(RESTORING, run, () => stand.restartTemporal());
    const serverKilled = await ended(run, 0);
    expect(serverKilled).toMatchObject(passed);

    const missed = await ended(drill('old', '--rto', '1ms', '--rpo', '24h'), 3);
    expect(missed).toMatchObject({ ...passed, outcome: 'differences', verify: { match: RECORDS } });

    const cut = first.snapshots.source ?? '';
    const text = (await storage.readText(cut, 'devices.txt')) ?? '';
    await storage.writeText(cut, 'devices.txt', text.slice(0, text.length / 2));
    const before = writesOf(scratch);
    const damaged = await ended(drill(`snapshot:${cut}`, ...objectives), 1);
    expect(damaged).toMatchObject({ outcome: 'failed', error: { code: 'SNAPSHOT_CUT' } });
    expect(writesOf(scratch)).toEqual(before);

    const latest = await ended(drill('old', '--latest', ...objectives), 0);
    expect(latest).toMatchObject({ ...passed, snapshots: missed.snapshots });
    expect(latest.drill?.rpo).toBeGreaterThan(missed.drill?.rpo ?? 0);

    const chosen = 'id.startsWith("site")';
    const canary = await ended(drill('old', '--canary', chosen, ...objectives), 0);
    expect(canary).toMatchObject({ ...passed, verify: { compared: DEEP.length, match: DEEP.length } });

    run = drill('old', ...objectives);
    await at(RESTORING, run, terminate);
    const lost = await run.ended;
    expect(lost.code, lost.stderr).toBe(1);
    const { error, run: name } = JSON.parse(lost.stdout) as RunReport;
    expect(error?.code).toBe('RUN_LOST');
    expect(Object.keys(essence(scratch.dump())).length).toBeGreaterThan(0);
    expectUnwritten();

    const terminated = JSON.parse(await cli('list', '--json', '--drills', '--limit', '1')) as RunReport[];
    expect(terminated).toMatchObject([{ run: name }]);
    kept.add(terminated[0]?.snapshots.source ?? '');
    const last = await ended(drill('old', ...objectives), 0);
    expect(last).toMatchObject(passed);
    expect(last.verify?.match).toBe(RECORDS);

    const listed = JSON.parse(await cli('list', '--json', '--drills')) as RunReport[];
    expect(listed.map((report) => report.run)).toEqual(
      [
        first,
        restoreKilled,
        cleanUpKilled,
        serverKilled,
        missed,
        damaged,
        latest,
        canary,
        { run: name },
        last,
      ]
        .map((report) => report.run)
        .toReversed(),
    );
    const table = (await cli('list', '--drills')).trimEnd().split('\n');
    expect(table.filter((line) => line.length > 80)).toEqual([]);
    const measured = table.filter((line) => line.includes('/10m '));
    expect(measured).toHaveLength(7);
    expect(table.filter((line) => line.includes('!'))).toEqual([
      expect.stringContaining(`${missed.run}  differences`),
    ]);
  },
  PATIENCE * 4,
);
