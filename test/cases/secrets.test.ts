import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Storage } from '../../azure/storage.js';
import type { CliRun, Stand } from '../../demo/stand.js';
import { generateFleet } from '../../simulator/index.js';
import type { RunReport } from '../../workflows/messages.js';
import type { StorageGate } from '../crash/storage-gate.js';
import { packedPackage } from '../e2e/packed.js';
import { leaksIn, openPlantedStand, type PlantedStand } from '../support/planted.js';

const PATIENCE = 300_000;

/** In tags and desired of every device: no secret, but content of records has no business anywhere either. */
const CONTENT = 'planted-content-7e1f';

/** One device has this key: easy to find, and valid. */
const PLANTED = Buffer.from('planted-device-key-of-32-bytes!!').toString('base64');

/** Good and failing runs against real processes that log all they can, and everything they left is searched. */
let planted: PlantedStand;
let stand: Stand;
let gate: StorageGate;
let storage: Storage;
beforeAll(async () => {
  const packed = await packedPackage();
  planted = await openPlantedStand({
    command: [process.execPath, packed.main],
    planted: { 'planted key': PLANTED, content: CONTENT },
  });
  ({ stand, gate, storage } = planted);
  await stand.worker();
}, PATIENCE);
afterAll(() => planted.close());

const hub = (name: string) => stand.simulator.hub(name);
const migrate = (): CliRun => stand.cli(['migrate', 'old', 'new', '--json', '--config', stand.configFile]);
const leaks = (place: string, text: string): string[] => leaksIn(planted.secrets(), place, text);

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
  const reason = parked?.reason.slice(0, code.length);
  expect({ outcome, reason }).toEqual({ outcome: 'parked', reason: code });
  await stand.cli(['cancel', run, '--config', stand.configFile]).ended;
}

async function expectNoLeak(): Promise<void> {
  const places = await planted.leftBehind();
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
      for (const name of ['planted key', 'content']) expect(found).toContain(`${name} in the snapshot`);
      expect([...found].filter((name) => name.startsWith('primary key of ')).length).toBeGreaterThan(50);
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

      const again = gate.refuse(/^PUT \/hf-[^/]+-100000-1\/devices\.txt/, 403, true);
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
