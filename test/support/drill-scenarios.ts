import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import {
  cancel,
  type DrillInput,
  pause,
  type RunReport,
  resume,
  runReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { keys } from './keys.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand, testRun, writesOf } from './stand.js';
import { until } from './until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(
    sharedServices(inject),
    [{ name: 'old' }, { name: 'scratch' }, { name: 'other' }],
    {
      scratch: ', role: scratch',
    },
  );
});
afterAll(() => stand.close());
beforeEach(() => {
  for (const name of ['old', 'scratch']) stand.hub(name).reset();
  stand.hub('old').load(fleet);
  const configuration = { content: { deviceContent: { 'properties.desired.c': 1 } }, priority: 7 };
  stand.hub('old').configurations.put('made', { ...configuration, targetCondition: "tags.ring='1'" });
});

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(2), tags: { ring: '1' } },
  { deviceId: 'plain', authentication: keys(3) },
  { deviceId: 'plain', moduleId: 'm', authentication: keys(4), desired: { a: 1 } },
  { deviceId: 'gw', moduleId: '$edgeAgent', desired: { schemaVersion: '1.1' } },
];

/** Makes edge devices three levels deep of it, with a leaf at the bottom. */
const deep: FleetRecord[] = [
  { deviceId: 'gw2', iotEdge: true, parent: 'gw', authentication: keys(5) },
  { deviceId: 'gw3', iotEdge: true, parent: 'gw2', authentication: keys(6) },
  { deviceId: 'leaf3', parent: 'gw3', authentication: keys(7), tags: { ring: '1' } },
];

const host = (name: string): string => stand.config.hubs.get(name)?.host ?? '';

async function start(options: Partial<DrillInput> = {}) {
  const input: DrillInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host: host('old') },
    target: { host: host('scratch') },
    objectives: { rto: 600, rpo: 600 },
    ...options,
  };
  const workflowId = writerIdOf(input.target.host);
  return stand.client.workflow.start('drill', { workflowId, taskQueue: stand.taskQueue, args: [input] });
}
const drilled = async (options: Partial<DrillInput> = {}): Promise<RunReport> =>
  stand.reportOf(await start(options));

const scratch = () => ({
  records: Object.keys(essence(stand.hub('scratch').dump())),
  configurations: stand.hub('scratch').configurations.list().length,
});
const EMPTY = { records: [], configurations: 0 };

/** What drills do; those whose names match are tests of the file that asks. */
export function drillScenarios(wanted: RegExp): void {
  const scenario = (title: string, body: () => Promise<void>): void => {
    if (wanted.test(title)) test(title, body);
  };

  scenario(
    'a drill restores, proves, measures, and leaves the scratch hub empty and the source unwritten',
    async () => {
      const report = await drilled();
      expect(report).toMatchObject({
        error: null,
        outcome: 'verified',
        cleaned: true,
        ledger: { create: 4, applied: 4, configurations: { create: 1, applied: 1 } },
        verify: { match: 4, extra: 0 },
        drill: {
          rpo: expect.any(Number),
          objectives: { rto: 600, rpo: 600 },
          stages: { apply: expect.any(Number) },
        },
        snapshots: { target: null },
      });
      expect(scratch()).toEqual(EMPTY);
      expect(writesOf(stand.hub('old'))).toEqual({});

      // It rests in the middle, and goes on.
      const held = stand.hold('readErrorLog');
      const resting = await start({
        source: { kind: 'latest', host: host('old') },
        objectives: { rto: 0.001, rpo: 600 },
        settings: { ...FAST, chunkLines: 1 },
      });
      await held.reached;
      await resting.executeUpdate(pause);
      held.release();
      await until('it rests', async () => (await resting.query(runReport)).outcome === 'parked');
      await resting.executeUpdate(resume);
      const again = await stand.reportOf(resting);
      expect(again).toMatchObject({
        error: null,
        outcome: 'differences',
        cleaned: true,
        verify: { match: 4 },
      });
      expect(again.snapshots.source).toBe(report.snapshots.source);
      expect(again.drill?.rpo).toBeGreaterThan(0);

      const rules = [{ when: 'kind != "module" && !(id == "plain")', then: { exclude: true } as const }];
      const canary = await drilled({ rules, orphans: 'detach' });
      expect(canary).toMatchObject({ outcome: 'verified', verify: { compared: 2, match: 2 } });
      expect(scratch()).toEqual(EMPTY);

      // A damaged one fails before any write.
      const id = report.snapshots.source ?? '';
      const text = (await stand.storage.readText(id, 'devices.txt')) ?? '';
      await stand.storage.writeText(id, 'devices.txt', text.slice(0, -40));
      const before = writesOf(stand.hub('scratch'));
      const damaged = await drilled({ source: { kind: 'snapshot', id } });
      expect(damaged).toMatchObject({ outcome: 'failed', error: { code: 'SNAPSHOT_CUT' } });
      expect(damaged).not.toHaveProperty('cleaned');
      expect(await containersOf(damaged)).toEqual([]);
      expect(writesOf(stand.hub('scratch'))).toEqual(before);
    },
  );

  scenario(
    'a drill that is cancelled in the middle cleans up; what a terminated one left goes before the next',
    async () => {
      const held = stand.hold('readErrorLog');
      const first = await start({ settings: { ...FAST, chunkLines: 1 } });
      await held.reached;
      await first.executeUpdate(cancel, { args: [{ now: true }] });
      const cancelled = await stand.reportOf(first);
      expect(cancelled).toMatchObject({ outcome: 'cancelled', cleaned: true, snapshots: { target: null } });
      expect(scratch()).toEqual(EMPTY);
      expect(await containersOf(cancelled)).toEqual([cancelled.snapshots.source]);

      const settling = stand.hold('verifyConfigurations');
      const server = 'temporal.example:7233/default';
      const second = await start({ server });
      await settling.reached;
      await second.terminate('a test');
      settling.release();
      expect(scratch().records).toHaveLength(4);
      // A configuration has written to it meanwhile.
      stand.hub('scratch').load([{ deviceId: 'leaf', parent: 'gw', authentication: keys(99) }]);

      // Under another server it may go on.
      expect(await drilled()).toMatchObject({ error: { code: 'SCRATCH_NOT_EMPTY' } });
      // The next one dies while it cleans up.
      const cleaning = stand.hold('undoConfigurations');
      const third = await start({ server });
      await cleaning.reached;
      await third.terminate('a test');
      cleaning.release();
      expect(scratch().records).toHaveLength(4);

      expect(await drilled({ server })).toMatchObject({
        error: null,
        outcome: 'verified',
        cleaned: true,
        verify: { match: 4 },
      });
      expect(scratch()).toEqual(EMPTY);
    },
  );

  scenario(
    'a restore that breaks off, or is taken in part, is taken away; what a clean-up cannot do, the next drill does',
    async () => {
      const settings = { ...FAST, repairRounds: 0 };
      stand.hub('scratch').addJobFault({ kind: 'failAfter', lines: 1, type: 'import' });
      const report = await drilled({ settings });
      expect(report).toMatchObject({ error: null, outcome: 'differences', cleaned: true });
      expect(scratch()).toEqual(EMPTY);

      // What is rejected in the restore is no matter for the clean-up. Nothing is called cleaned that is not.
      const rejecting = { kind: 'rejectLines', code: 'ArgumentInvalid' } as const;
      stand.hub('scratch').addJobFault({ ...rejecting, lines: 1 });
      const cleaning = stand.hold('planConfigurationsUndo');
      const second = await start({ settings });
      await cleaning.reached;
      stand.hub('scratch').clearFaults();
      stand.hub('scratch').addJobFault({ ...rejecting, lines: 100, times: 20 });
      cleaning.release();
      const left = await stand.reportOf(second);
      expect(left).toMatchObject({ error: null, outcome: 'differences', cleaned: false });
      expect(left.ledger.rejected).toBeGreaterThan(0);
      expect(scratch().records.length).toBeGreaterThan(0);
      stand.hub('scratch').clearFaults();
      expect(await drilled()).toMatchObject({ outcome: 'verified', cleaned: true });
      expect(scratch()).toEqual(EMPTY);
      expect(await containersOf(left)).toEqual([left.snapshots.source]);
    },
  );

  scenario(
    'what somebody else put below a device of a drill survives, is named, and is in the way of the next',
    async () => {
      stand.hub('old').load(deep);
      const held = stand.hold('verifyConfigurations');
      const first = await start();
      await held.reached;
      stand.hub('scratch').load([{ deviceId: 'stranger', parent: 'gw3', authentication: keys(9) }]);
      held.release();
      const report = await stand.reportOf(first);
      expect(report).toMatchObject({
        error: null,
        outcome: 'differences',
        cleaned: false,
        verify: { match: 7 },
      });
      const named = report.warnings.find(({ code }) => code === 'NOT_CLEANED');
      expect(named).toMatchObject({ count: 4, samples: ['stranger', 'gw', 'gw2', 'gw3'] });
      expect(scratch()).toEqual({ records: ['gw/', 'gw2/', 'gw3/', 'stranger/'], configurations: 0 });

      const refused = await drilled();
      expect(refused).toMatchObject({ outcome: 'failed', error: { code: 'SCRATCH_NOT_EMPTY' } });
      expect(refused.error?.message).toContain('such as stranger,');
      expect(await containersOf(refused)).toEqual([]);
      stand.hub('scratch').store.removeDevice('stranger');
      expect(await drilled()).toMatchObject({ error: null, outcome: 'verified', cleaned: true });
      expect(scratch()).toEqual(EMPTY);

      // What a drill that ended well has made is not looked for any more: this is somebody else's.
      stand.hub('scratch').load([{ deviceId: 'plain' }]);
      expect(await drilled()).toMatchObject({ error: { code: 'SCRATCH_NOT_EMPTY' } });
      expect(scratch().records).toEqual(['plain/']);
    },
  );

  scenario('only a scratch hub that is nothing else is filled', async () => {
    expect(await drilled({ target: { host: host('other') } })).toMatchObject({
      error: { code: 'HUB_NOT_SCRATCH' },
    });
    await stand.migrated({ target: { host: host('scratch') } });
    expect(await drilled()).toMatchObject({ error: { code: 'SCRATCH_IN_USE' } });
  });

  async function containersOf({ run }: RunReport): Promise<string[]> {
    const names: string[] = [];
    for await (const name of stand.storage.listContainers(`hf-${run}-`)) names.push(name);
    return names;
  }
}
