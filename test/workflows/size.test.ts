import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { benchFleet } from '../../bench/fleet.js';
import { FAST, openTestStand, sharedServices, type TestStand, writesOf } from '../support/stand.js';

// The counts of `npm run bench`, in small: 20,000 devices in four chunks, each snapshot in several ranges.
const DEVICES = 20_000;
const settings = { ...FAST, chunkLines: DEVICES / 4, partitionBytes: 1_000_000, heartbeat: 30_000 };
const JOBS = { exports: 3, imports: 4 };

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
  stand.hub('old').load(benchFleet(DEVICES));
});
afterAll(() => stand.close());

it('a migration takes few calls and events for its size, and a second one writes nothing', async () => {
  const handle = await stand.migrate({ settings });
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified', verify: { match: DEVICES } });
  expect(report.jobs.map(({ type, lines }) => `${type} ${lines}`)).toHaveLength(JOBS.exports + JOBS.imports);
  const [source = ''] = Object.values(report.snapshots);
  const manifest = JSON.parse((await stand.storage.readText(source ?? '', 'manifest.json')) ?? '{}') as {
    ranges?: { bytes: number }[];
  };
  expect(manifest.ranges?.length).toBeGreaterThan(2);

  const counts = ['old', 'new'].flatMap((name) => Object.entries(stand.hub(name).counts()));
  const calls = (isPoll: boolean): number =>
    counts.filter(([route]) => (route === 'GET /jobs/{id}') === isPoll).reduce((sum, [, n]) => sum + n, 0);
  const jobs = JOBS.exports + JOBS.imports;
  expect(calls(false)).toBeLessThanOrEqual(30 + 4 * jobs);
  expect(calls(true)).toBeLessThanOrEqual(100 * jobs);

  const { raw } = await handle.describe();
  const { historyLength, historySizeBytes } = raw.workflowExecutionInfo ?? {};
  expect(Number(historyLength)).toBeLessThanOrEqual(2_000);
  expect(Number(historySizeBytes)).toBeLessThanOrEqual(2_000_000);

  for (const name of ['old', 'new']) stand.hub(name).resetCounters();
  const again = await stand.migrated({ settings });
  expect(again).toMatchObject({
    error: null,
    outcome: 'verified',
    ledger: { create: 0, update: 0, delete: 0 },
  });
  expect(again.jobs.every(({ type }) => type === 'export')).toBe(true);
  expect(['old', 'new'].map((name) => writesOf(stand.hub(name)))).toEqual([{}, {}]);
});
