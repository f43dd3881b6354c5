import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type FleetRecord, generateFleet } from '../../simulator/index.js';
import {
  approve,
  type FollowInput,
  type RunReport,
  runReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, testRun } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());

const ROUNDS = 4;
const CHANGES = 200;

/** The fleet after so many rounds: each changes 100 devices, makes 50 and deletes 50. */
function fleetAfter(rounds: number, base: readonly FleetRecord[]): FleetRecord[] {
  const devices = base.filter(({ moduleId, iotEdge }) => moduleId === undefined && iotEdge !== true);
  const gone = new Set(devices.slice(0, 50 * rounds).map(({ deviceId }) => deviceId));
  const changed = new Map(
    Array.from({ length: rounds }, (_, round) => round).flatMap((round) =>
      devices.slice(500 + 100 * round, 600 + 100 * round).map(({ deviceId }) => [deviceId, round] as const),
    ),
  );
  const made = Array.from({ length: 50 * rounds }, (_, n) => ({
    deviceId: `made-${n}`,
    authentication: keys(n),
    status: n % 5 === 0 ? ('disabled' as const) : ('enabled' as const),
    statusReason: n % 3 === 0 ? 'because' : '',
  }));
  return [...base.filter(({ deviceId }) => !gone.has(deviceId)), ...made].map((record) => {
    const round = changed.get(record.deviceId);
    return round === undefined || 'moduleId' in record
      ? record
      : { ...record, tags: { ...('tags' in record ? record.tags : {}), round } };
  });
}

test(`follows a source with ${CHANGES} changes in each pass, and gives it back when nobody approves`, async () => {
  const base = [...generateFleet({ devices: 2_000, seed: 11 })];
  const load = (rounds: number): void => {
    stand.hub('old').clear();
    stand.hub('old').load(fleetAfter(rounds, base));
  };
  load(0);
  const host = (name: string): string => stand.config.hubs.get(name)?.host ?? '';
  const input: FollowInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: { ...FAST, chunkLines: 1_000, partitionBytes: 300_000 },
    goal: 'migrate',
    source: { kind: 'hub', host: host('old') },
    target: { host: host('new') },
    existing: 'fail',
    strict: false,
    follow: { below: CHANGES, every: 1_000, disableSource: true, cutBackAfter: 2_000 },
  };
  const handle = await stand.client.workflow.start('follow', {
    workflowId: writerIdOf(input.target.host),
    taskQueue: stand.taskQueue,
    args: [input],
  });
  for (let round = 1; round <= ROUNDS; round++) {
    // In the middle of each pass, when its snapshots are taken.
    const pass = stand.hold('transform');
    await pass.reached;
    load(round);
    pass.release();
    await until(
      `pass ${round}`,
      async () => ((await handle.query(runReport)).follow?.count ?? 0) >= round,
      60_000,
    );
  }
  await until(
    'it is approved',
    async () => {
      const { parked, plan }: RunReport = await handle.query(runReport);
      if (parked?.reason !== 'ready') return false;
      const asked = handle.executeUpdate(approve, { args: [plan ?? ''] });
      return asked.then(
        () => true,
        () => false,
      );
    },
    60_000,
  );
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'cancelled', phase: 'ended' });
  expect(report.follow?.passes.length).toBeGreaterThanOrEqual(ROUNDS + 1);
  const deltas = report.follow?.passes.slice(1).map((pass) => pass.create + pass.update + pass.delete) ?? [];
  expect(deltas.filter((changes) => changes >= CHANGES).length).toBeGreaterThanOrEqual(ROUNDS);
  expect(Math.max(...deltas)).toBeLessThan(1.5 * CHANGES);
  expect(report.follow?.cutBack?.devices).toBe(report.follow?.disabled?.devices);

  // The source is as it was, and the target as the source is: with enabled devices enabled.
  const source = essence(stand.hub('old').dump());
  stand.hub('old').clear();
  stand.hub('old').load(fleetAfter(ROUNDS, base));
  expect(source).toEqual(essence(stand.hub('old').dump()));
  expect(essence(stand.hub('new').dump())).toEqual(source);
  expect(
    Object.values(source).filter((record) => (record as { status?: string }).status === 'enabled').length,
  ).toBeGreaterThan(1_000);
}, 300_000);
