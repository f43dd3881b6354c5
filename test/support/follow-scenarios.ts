import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import {
  approve,
  cutBack,
  type FollowInput,
  type RunReport,
  runReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { keys } from './keys.js';
import {
  essence,
  FAST,
  openTestStand,
  rolledBack,
  sharedServices,
  type TestStand,
  testRun,
} from './stand.js';
import { until } from './until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(fleet);
  stand.hub('new').load([{ deviceId: 'theirs', authentication: keys(90) }]);
});

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(2), statusReason: 'as it was' },
  { deviceId: 'off', authentication: keys(3), status: 'disabled', statusReason: 'broken' },
  { deviceId: 'plain', authentication: keys(4), tags: { a: 1.5 } },
  { deviceId: 'plain', moduleId: 'm', authentication: keys(5) },
  { deviceId: 'goes', authentication: keys(6) },
];

const host = (name: string): string => stand.config.hubs.get(name)?.host ?? '';
const held = (name: string) => essence(stand.hub(name).dump());

async function start(how: Partial<FollowInput['follow']> = {}): Promise<WorkflowHandle> {
  const input: FollowInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    goal: 'migrate',
    source: { kind: 'hub', host: host('old') },
    target: { host: host('new') },
    existing: 'fail',
    strict: false,
    follow: { below: 0, every: 50, disableSource: true, cutBackAfter: 60_000, ...how },
  };
  const workflowId = writerIdOf(input.target.host);
  return stand.client.workflow.start('follow', { workflowId, taskQueue: stand.taskQueue, args: [input] });
}

async function at(handle: WorkflowHandle, reason: string): Promise<RunReport> {
  return await until(`it is ${reason}`, async () => {
    const report: RunReport = await handle.query(runReport);
    return report.parked?.reason === reason && report;
  });
}

/** Approves whatever the plan of the newest pass is. */
async function approved(handle: WorkflowHandle, reason: string): Promise<void> {
  await until(`it is approved at ${reason}`, async () => {
    const { plan } = await at(handle, reason);
    return handle.executeUpdate(approve, { args: [plan ?? ''] }).then(
      () => true,
      () => false,
    );
  });
}

/** Some changes of every kind: the hub holds another fleet. */
function change(round: number): void {
  stand.hub('old').clear();
  stand
    .hub('old')
    .load([
      ...fleet.filter(({ deviceId }) => deviceId !== 'goes' && deviceId !== 'plain'),
      { deviceId: 'plain', authentication: keys(4), tags: { a: round } },
      { deviceId: 'plain', moduleId: 'm', authentication: keys(5) },
      { deviceId: `new-${round}`, authentication: keys(10 + round) },
    ]);
}

/** What runs that follow their source do; those whose names match are tests of the file that asks. */
export function followScenarios(wanted: RegExp): void {
  const scenario = (title: string, body: () => Promise<void>): void => {
    if (wanted.test(title)) test(title, body);
  };

  scenario(
    'a target follows its source until it takes over, and enabled devices are enabled there',
    async () => {
      const handle = await start();
      const first = stand.hold('readErrorLog');
      await first.reached;
      change(1);
      first.release();
      await until(
        'two passes',
        async () => ((await handle.query<RunReport>('runReport')).follow?.count ?? 0) >= 2,
      );
      change(2);
      await until('another pass has sent it', () => stand.hub('new').record('new-2') !== undefined);
      await approved(handle, 'ready');
      const { follow } = await at(handle, 'cut-over');
      expect(follow).toMatchObject({ disabled: { devices: 4 } });
      const source = held('old');
      expect(source).toMatchObject({ 'plain/': { status: 'disabled' }, 'off/': { statusReason: 'broken' } });
      expect(held('new')).toMatchObject({
        'plain/': { status: 'enabled', statusReason: '', tags: { a: 2 } },
        'leaf/': { status: 'enabled', statusReason: 'as it was', parent: 'gw' },
        'off/': { status: 'disabled', statusReason: 'broken' },
        'theirs/': {},
      });
      expect(Object.keys(held('new')).toSorted()).toEqual([...Object.keys(source), 'theirs/'].toSorted());
      await approved(handle, 'cut-over');
      const report = await stand.reportOf(handle);
      expect(report).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
      expect(report.follow).not.toHaveProperty('cutBack');
      expect(held('old')).toEqual(source);
      expect(stand.hub('new').jobs.list().length).toBeGreaterThan(3);

      const undone = await rolledBack(stand, report);
      expect(undone).toMatchObject({ error: null, outcome: 'verified' });
      expect(Object.keys(held('new'))).toEqual(['theirs/']);
    },
  );

  scenario('a cut-over that nobody approves in time is cut back, and so is one on request', async () => {
    const before = held('old');
    const first = await start({ cutBackAfter: 50 });
    await approved(first, 'ready');
    const report = await stand.reportOf(first);
    expect(report).toMatchObject({ error: null, outcome: 'cancelled', follow: { cutBack: { devices: 4 } } });
    expect(held('old')).toEqual(before);
    const target = held('new');
    expect(target).toMatchObject(before);

    const second = await start();
    await approved(second, 'ready');
    await at(second, 'cut-over');
    await second.executeUpdate(cutBack);
    expect(await stand.reportOf(second)).toMatchObject({
      outcome: 'cancelled',
      follow: { cutBack: { devices: 4, why: 'as was asked for' } },
    });
    expect(held('old')).toEqual(before);
    expect(held('new')).toEqual(target);
  });

  scenario(
    'a fault does not keep a source disabled: it is cut back when the time for approval is over',
    async () => {
      const before = held('old');
      const last = stand.hold('restoreStatuses');
      const handle = await start({ cutBackAfter: 500 });
      await approved(handle, 'ready');
      await last.reached;
      stand.failEach('HUB_UNAUTHORIZED', (activity) => activity === 'restoreStatuses');
      last.release();
      await at(handle, 'HUB_UNAUTHORIZED');
      expect(await stand.reportOf(handle)).toMatchObject({
        outcome: 'failed',
        error: { code: 'HUB_UNAUTHORIZED' },
        follow: { cutBack: { devices: 4 } },
      });
      expect(held('old')).toEqual(before);
      stand.failEach(null);
    },
  );

  scenario('a source that is not disabled as a whole is told of, after the last pass, too', async () => {
    stand.hub('old').addJobFault({ kind: 'rejectLines', lines: 1, code: 'ArgumentInvalid', type: 'import' });
    const handle = await start();
    await approved(handle, 'ready');
    await approved(handle, 'cut-over');
    const { error, warnings, follow } = await stand.reportOf(handle);
    expect({ error, disabled: follow?.disabled?.devices }).toEqual({ error: null, disabled: 3 });
    expect(warnings).toContainEqual({
      code: 'SOURCE_STILL_ENABLED',
      count: 1,
      samples: [`see run ${follow?.disabled?.run}`],
    });
  });
}
