import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeSchedule } from '../../client/schedules.js';
import { type FleetRecord, generateFleet } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import { freePort } from '../../worker/port.js';
import * as workflows from '../../workflows/index.js';
import type { RunReport } from '../../workflows/messages.js';
import { compiledCommand } from '../support/compiled.js';
import { leaksIn, openPlantedStand, type PlantedStand } from '../support/planted.js';
import { until } from '../support/until.js';

const PATIENCE = 600_000;

const CONTENT = 'planted-content-3b9d';

/** A key that a list of edits gives to a device. */
const GIVEN = Buffer.from('a-key-that-edits-give-to-devices').toString('base64');

let planted: PlantedStand;
let metrics: string;
beforeAll(async () => {
  planted = await openPlantedStand({
    command: compiledCommand('client/main'),
    hubs: ['old', 'new', 'scratch', 'probed'],
    planted: { content: CONTENT, 'given key': GIVEN },
    given: ['given/'],
  });
  const { configFile, folder } = planted.stand;
  const text = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, text.replace(/^ {2}(?:scratch|probed): \{/gm, '$& role: scratch,'));
  mkdirSync(join(folder, 'given'));
  metrics = String(await freePort());
  await startWorker();
}, PATIENCE);
afterAll(() => planted.close());

let worker: Awaited<ReturnType<PlantedStand['stand']['worker']>>;
async function startWorker(): Promise<void> {
  worker = await planted.stand.worker(['--metrics-port', metrics, '--sticky', '0.5']);
}

const hub = (name: string) => planted.stand.simulator.hub(name);
const given = (name: string): string => join(planted.stand.folder, 'given', name);

interface Said extends RunReport {
  readonly code: number | null;
}

/** Runs a command to its end; what hubs hold then is secret from then on. */
async function hubferry(config: string, ...args: readonly string[]): Promise<Said> {
  // What stands behind -- is the command of a schedule.
  const own = args.includes('--') ? args.indexOf('--') : args.length;
  const line = [...args.slice(0, own), '--json', '--config', config, ...args.slice(own)];
  const { code, stdout, stderr } = await planted.stand.cli(line).ended;
  planted.secrets();
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as RunReport), code };
}

async function connected<T>(
  step: (client: Awaited<ReturnType<typeof connectClient>>['client']) => Promise<T>,
): Promise<T> {
  const { address } = planted.stand.temporal;
  const { client, connection } = await connectClient({ address, namespace: 'default' });
  try {
    return await step(client);
  } finally {
    await connection.close();
  }
}

it(
  'no workflow leaves a key, a signature or content of records behind',
  async () => {
    const { configFile: config } = planted.stand;
    const fleet = [...generateFleet({ devices: 30, seed: 2, edgeShare: 0.05 })];
    hub('old').load(
      fleet.map((record): FleetRecord => ({ ...record, tags: { ...record.tags, note: CONTENT } })),
    );
    const run = async (...args: readonly string[]): Promise<Said> => await hubferry(config, ...args);

    expect(await run('check')).toMatchObject({ code: 0 });
    expect(await run('check', '--probe', 'probed')).toMatchObject({ code: 0, outcome: 'done' });
    const snapshot = await run('snapshot', 'old');
    expect(snapshot).toMatchObject({ code: 0, outcome: 'done' });
    const keys = ['--keys', 'regenerate', '--yes', '--keys-out'];
    expect(await run('migrate', 'old', 'new', ...keys, given('a'))).toMatchObject({
      error: null,
      outcome: 'verified',
    });
    expect(await run('plan', 'old', 'new', '--existing', 'overwrite')).toMatchObject({ outcome: 'planned' });
    expect(await run('verify', 'old', 'new')).toMatchObject({ code: 3, outcome: 'differences' });
    writeFileSync(
      given('edits.jsonl'),
      `${JSON.stringify({ id: fleet[0]?.deviceId, op: 'update', primaryKey: GIVEN, secondaryKey: GIVEN })}\n`,
    );
    const edited = await run('edit', 'new', '--file', given('edits.jsonl'), '--yes');
    expect(edited).toMatchObject({ outcome: 'verified', ledger: { update: 1 } });
    expect(await run('rollback', edited.run, '--yes')).toMatchObject({ error: null, outcome: 'verified' });
    expect(await run('edit', 'new', '--where', 'true', ...keys, given('b'))).toMatchObject({
      outcome: 'verified',
    });
    expect(await run('drill', 'old', 'scratch')).toMatchObject({ error: null, outcome: 'verified' });

    // What storage is asked, a faulty one tells: a signature stands in it.
    const again = planted.gate.refuse(/^PUT \/hf-[^/]+-100000-1\/devices\.txt/, 403, true);
    hub('new').clear();
    const rests = await run('migrate', 'old', 'new');
    expect(rests).toMatchObject({ outcome: 'parked', parked: { reason: 'STORAGE_UNAUTHORIZED' } });
    again();
    expect(await run('cancel', rests.run)).toMatchObject({ code: 4 });

    const ready = await run('migrate', 'old', 'new', '--follow', '--disable-source');
    expect(ready).toMatchObject({ code: 3, outcome: 'parked' });
    const over = await run('approve', ready.run, ready.plan ?? '');
    expect(over).toMatchObject({ code: 3, outcome: 'parked' });
    expect(await run('status', ready.run)).toMatchObject({ outcome: 'parked' });
    expect(await run('cut-back', ready.run)).toMatchObject({ code: 4 });

    await run('schedule', 'create', 'nightly', '--every', '1d', '--', 'snapshot', 'old');
    await run('schedule', 'trigger', 'nightly');
    await connected((client) =>
      until('the scheduled run is over', async () => {
        const { recent, running } = await describeSchedule(client, 'nightly');
        return recent.length > 0 && !running;
      }),
    );
    await run('schedule', 'list');
    await run('list');
    expect(await run('gc', '--yes')).toMatchObject({ code: 0 });
    await planted.stand.cli(['report', edited.run, '--config', config]).ended;

    const served = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    const places = [...(await planted.leftBehind()), ['metrics', served] as const];
    const types = new Set(places.flatMap(([place]) => /^history of (\S+)/.exec(place)?.slice(1) ?? []));
    expect(Object.keys(workflows).filter((name) => !types.has(name))).toEqual([]);
    expect(places.map(([place]) => place)).toContain('temporal.db');
    expect(places.flatMap(([place, text]) => leaksIn(planted.secrets(), place, text))).toEqual([]);
  },
  PATIENCE,
);

it(
  'a key that comes while a run waits seals from then on; whoever lacks it is told which',
  async () => {
    const { configFile: config } = planted.stand;
    for (const name of ['old', 'new']) hub(name).clear();
    hub('old').load([{ deviceId: 'a' }]);
    const parked = await hubferry(config, 'migrate', 'old', 'new', '--approve');
    expect(parked).toMatchObject({ code: 3, outcome: 'parked' });

    const bare = `${config}.bare.yaml`;
    writeFileSync(bare, readFileSync(config, 'utf8'));
    const key = `\nkeys: { k1: "${Buffer.alloc(32, 1).toString('base64')}" }\n`;
    const sealing = readFileSync(config, 'utf8').replace(/^settings: \{/m, '$& keyId: k1,');
    writeFileSync(config, `${sealing}${key}`);
    worker.kill('SIGTERM');
    await once(worker, 'exit');
    await startWorker();

    expect(await hubferry(config, 'approve', parked.run, parked.plan ?? '')).toMatchObject({
      code: 0,
      outcome: 'verified',
    });
    hub('new').clear();
    const next = await hubferry(config, 'migrate', 'old', 'new', '--approve');
    expect(next).toMatchObject({ code: 3, outcome: 'parked' });
    for (const command of [['list'], ['status', next.run], ['schedule', 'list']])
      expect(await hubferry(config, ...command)).not.toMatchObject({ code: 1 });
    for (const command of [
      ['list'],
      ['status', next.run],
      ['approve', next.run, next.plan ?? ''],
      ['migrate', 'old', 'new'],
    ]) {
      expect(await hubferry(bare, ...command)).toMatchObject({
        code: 1,
        error: { code: 'KEY_UNKNOWN', message: `this was sealed with key k1; ${bare} has no keys` },
      });
    }
    expect(await hubferry(config, 'cancel', next.run)).toMatchObject({ code: 4 });
  },
  PATIENCE,
);
