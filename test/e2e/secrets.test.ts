import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { type CliRun, openStand, type Stand } from '../../demo/stand.js';
import { generateFleet } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import type { RunReport } from '../../workflows/messages.js';
import { StorageGate } from '../crash/storage-gate.js';
import { packedPackage } from './packed.js';
import { FAST } from './scene.js';

const PATIENCE = 120_000;

/** In tags and desired of every device: no secret, but content of records has no business anywhere either. */
const CONTENT = 'planted-content-7e1f';

/** One device has this key: easy to find, and valid. */
const PLANTED = Buffer.from('planted-device-key-of-32-bytes!!').toString('base64');

/** Good and failing runs against real processes that log all they can, and everything they left is searched. */
let stand: Stand;
let gate: StorageGate;
let storage: Storage;
beforeAll(async () => {
  const packed = await packedPackage();
  stand = await openStand({
    command: [process.execPath, packed.main],
    hubs: [{ name: 'old' }, { name: 'new' }],
    seed: 21,
    settings: FAST,
    env: { HUBFERRY_LOG_LEVEL: 'trace' },
    storageThrough: async (connectionString) => {
      const opened = await StorageGate.open(connectionString);
      ({ gate } = opened);
      return opened.connectionString;
    },
  });
  storage = openStorage(storageOf(loadConfig({ path: stand.configFile })));
  await stand.worker();
}, PATIENCE);
afterAll(async () => {
  await stand.close();
  await gate.close();
});

const hub = (name: string) => stand.simulator.hub(name);
const migrate = (): CliRun => stand.cli(['migrate', 'old', 'new', '--json', '--config', stand.configFile]);

/** A migration to an empty target. */
async function migrated(): Promise<RunReport> {
  hub('new').clear();
  const { stdout, stderr } = await migrate().ended;
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as RunReport;
}

/** A migration that rests for a fault, whose code begins so, and is cancelled then. */
async function rested(code: string): Promise<void> {
  const { run, outcome, parked } = await migrated();
  expect({ outcome, reason: parked?.reason.slice(0, code.length) }).toEqual({
    outcome: 'parked',
    reason: code,
  });
  await stand.cli(['cancel', run, '--config', stand.configFile]).ended;
}

/** Everything that nobody may find: device keys, the hubs' policy keys, SAS and other signatures, content. */
function secrets(): Map<string, string> {
  const found = new Map<string, string>([['planted key', PLANTED]]);
  for (const name of ['old', 'new']) {
    for (const [policy, key] of Object.entries(hub(name).keys)) found.set(`${name}: ${policy}`, key);
    for (const { deviceId, moduleId, authentication } of hub(name).dump()) {
      const { primaryKey, secondaryKey } = authentication.type === 'sas' ? authentication : {};
      const id = `${deviceId}/${moduleId ?? ''}`;
      if (primaryKey) found.set(`primary key of ${id}`, primaryKey);
      if (secondaryKey) found.set(`secondary key of ${id}`, secondaryKey);
    }
  }
  let n = 0;
  for (const signature of gate.signatures) found.set(`signature ${++n}`, signature);
  found.set('content', CONTENT);
  return found;
}

/** As it is, URL-encoded, and the base64 of it at any of three offsets (as in a payload that is printed). */
function disguises(secret: string): string[] {
  const shifted = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${' '.repeat(offset)}${secret}`).toString('base64');
    // The first and the last characters also depend on what stands around it.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  const hex = /^[A-Za-z0-9+/]{22,}={0,2}$/.test(secret)
    ? [Buffer.from(secret, 'base64').toString('hex')]
    : [];
  return [...new Set([secret, encodeURIComponent(secret), ...shifted, ...hex])];
}

/** Where secrets stand in a text: their names and the place, never themselves. */
function leaks(place: string, text: string): string[] {
  return [...secrets()].flatMap(([name, secret]) =>
    disguises(secret).some((form) => text.includes(form)) ? [`${name} in ${place}`] : [],
  );
}

/** Everything that is left outside the private containers, by place. */
async function leftBehind(): Promise<[place: string, text: string][]> {
  const places: [string, string][] = [['output of worker and commands', stand.output()]];
  for (const file of filesBelow(stand.folder)) {
    // The configuration is where keys come from; the certificate authority has a key of its own.
    if (file === stand.configFile || file.includes('/ca/')) continue;
    const text = textOf(file);
    if (text !== null) places.push([file.slice(stand.folder.length + 1), text]);
  }
  for await (const { name } of storage.list('hubferry')) {
    places.push([`hubferry/${name}`, (await storage.readText('hubferry', name)) ?? '']);
  }
  const { client, connection } = await connectClient({
    address: stand.temporal.address,
    namespace: 'default',
  });
  try {
    for await (const { workflowId, runId } of client.workflow.list()) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      places.push([`history of ${workflowId}`, decoded(historyToJSON(history))]);
    }
  } finally {
    await connection.close();
  }
  return places;
}

/** A history as JSON, and what its payloads hold. */
function decoded(history: string): string {
  const payloads = [...history.matchAll(/"data": ?"([A-Za-z0-9+/=]+)"/g)];
  return [history, ...payloads.map(([, data = '']) => Buffer.from(data, 'base64').toString())].join('\n');
}

/** Null where the file is gone meanwhile, as the journal of the server's database is. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

async function expectNoLeak(): Promise<void> {
  const places = await leftBehind();
  expect(places.map(([place]) => place)).toEqual(
    expect.arrayContaining(['temporal.db', 'temporal.log', expect.stringMatching(/^hubferry\/runs\//)]),
  );
  expect(places.filter(([place]) => place.startsWith('history of')).length).toBeGreaterThan(4);
  expect(places.flatMap(([place, text]) => leaks(place, text))).toEqual([]);
}

describe('keys, signatures and content of records are nowhere but in the private containers', () => {
  it(
    'they are there, and would be found',
    async () => {
      hub('old').load(
        [...generateFleet({ devices: 80, seed: 2, edgeShare: 0.05 })].map((record) => ({
          ...record,
          tags: { ...record.tags, note: CONTENT },
          desired: { ...record.desired, note: CONTENT },
        })),
      );
      hub('old').load([
        {
          deviceId: 'planted',
          authentication: { type: 'sas', primaryKey: PLANTED, secondaryKey: PLANTED },
        },
      ]);
      const report = await migrated();
      expect(report.rejected).toEqual([]);
      expect(report.outcome).toBe('verified');
      const snapshot = (await storage.readText(report.snapshots.source ?? '', 'devices.txt')) ?? '';
      const found = new Set(leaks('the snapshot', snapshot));
      for (const name of ['planted key', 'primary key of planted/', 'content']) {
        expect(found).toContain(`${name} in the snapshot`);
      }
      expect(gate.signatures.size).toBeGreaterThan(20);
      for (const form of [
        `x${PLANTED}x`,
        `?k=${encodeURIComponent(PLANTED)}`,
        Buffer.from(`{"k":"${PLANTED}"}`).toString('base64'),
        Buffer.from(`{"kk":"${PLANTED}"}`).toString('base64'),
        Buffer.from(`{"kkk":"${PLANTED}"}`).toString('base64'),
        Buffer.from(PLANTED, 'base64').toString('hex'),
      ]) {
        expect(leaks('here', form), form).toContain('planted key in here');
      }
    },
    PATIENCE,
  );

  it('after a run that ended well', () => expectNoLeak(), PATIENCE);

  it(
    'after runs that failed: lines echoed in an error log, a snapshot cut inside a key, a refusing account and hub',
    async () => {
      // The hub cannot read the lines of modules, and echoes them with their keys.
      hub('new').set({ importModules: 'refuse' });
      const byRest = 'PUT /devices/{id}/modules/{mid}';
      hub('new').addFault({
        kind: 'status',
        status: 400,
        code: 'ArgumentInvalid',
        route: byRest,
        times: 1000,
      });
      const echoed = await migrated();
      expect(echoed).toMatchObject({ outcome: 'differences', error: null });
      expect(echoed.rejected[0]?.code).toBe('400004');
      hub('new').set({ importModules: 'accept' });

      const line = (await storage.readText(echoed.snapshots.source ?? '', 'devices.txt')) ?? '';
      const insideKey = Buffer.byteLength(line.slice(0, line.indexOf(PLANTED) + 20));
      hub('old').addJobFault({ kind: 'cutOutput', bytes: insideKey, type: 'export' });
      expect(await migrated()).toMatchObject({ outcome: 'failed', error: { code: 'SNAPSHOT_CUT' } });

      const again = gate.refuse(/^PUT \/hf-[^/]+-100000-1\/devices\.txt/, 403);
      await rested('STORAGE_');
      again();

      hub('old').addFault({ kind: 'status', status: 401, route: 'POST /jobs/create', times: 9 });
      await rested('HUB_UNAUTHORIZED');
      hub('old').clearFaults();
      await expectNoLeak();
    },
    PATIENCE,
  );
});
