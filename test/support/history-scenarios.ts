import type { WorkflowHandle } from '@temporalio/client';
import { REGENERATE_KEYS } from '../../registry/rules.js';
import { type FleetRecord, generateFleet, type HubOptions } from '../../simulator/index.js';
import type { GcInput } from '../../workflows/gc.js';
import {
  applyIdOf,
  approve,
  cancel,
  cutBack,
  type DrillInput,
  type FollowInput,
  hubJobIdOf,
  hubQueueIdOf,
  pause,
  RUN_PLACE,
  type RunReport,
  readerIdOf,
  resume,
  runReport,
  type ScheduledInput,
  type SnapshotInput,
  throttle,
  writerIdOf,
} from '../../workflows/messages.js';
import { startEdits } from './edits.js';
import { keys } from './keys.js';
import { FAST, rolledBack, type TestStand, testRun } from './stand.js';
import { until } from './until.js';

/** What is recorded of a scenario: handles by the names of their workflows, as `workflows/index.ts` exports them. */
export type Recorded = Record<string, WorkflowHandle>;

/** What runs do in so few steps that their histories stay small, and the hubs where they need others than usual. */
export interface Scenario {
  readonly hubs?: readonly HubOptions[];
  readonly hubSettings?: Readonly<Record<string, string>>;
  readonly play: (stand: TestStand) => Promise<Recorded>;
}

const SMALL = { settings: { ...FAST, chunkLines: 20 } };

/** A device in each chunk. */
const SINGLY = { ...FAST, chunkLines: 1 };

const SCRATCH: Pick<Scenario, 'hubs' | 'hubSettings'> = {
  hubs: [{ name: 'old' }, { name: 'scratch' }],
  hubSettings: { scratch: ', role: scratch' },
};

/** Some of everything that has steps of its own. */
const FLEET: readonly FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  { deviceId: 'gw', moduleId: '$edgeAgent', desired: { schemaVersion: '1.1' } },
  { deviceId: 'leaf', parent: 'gw', authentication: keys(2), tags: { ring: '1' } },
  { deviceId: 'leaf', moduleId: 'm', authentication: keys(3), managedBy: 'somebody' },
];

const DEVICES: readonly FleetRecord[] = [1, 2].map((n) => ({
  deviceId: `d${n}`,
  authentication: keys(n),
}));

const CONFIGURATION = {
  content: { deviceContent: { 'properties.desired.c': 1 } },
  priority: 7,
  targetCondition: "tags.ring='1'",
};

const hostOf = ({ config }: TestStand, name: string): string => config.hubs.get(name)?.host ?? '';

/** Recorded by `npm run record-histories`, by names of letters. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'whole fleet': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 60, seed: 4 }));
      return finished(stand, await stand.migrate(SMALL));
    },
  },
  'in ranges and chunks': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 60, seed: 1, plain: true }));
      const settings = { ...FAST, chunkLines: 20, partitionBytes: 2_000 };
      return finished(stand, await stand.migrate({ settings }));
    },
  },
  'no change': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 5, seed: 1, plain: true }));
      stand.hub('new').load(stand.hub('old').dump());
      return ended(stand, await stand.migrate(SMALL));
    },
  },
  'job lost, repaired': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 40, seed: 1, plain: true }));
      stand.hub('new').addJobFault({ kind: 'failAfter', lines: 5, type: 'import' });
      return finished(stand, await stand.migrate(SMALL));
    },
  },
  'reply lost, adopted': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 10, seed: 1, plain: true }));
      stand.hub('new').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 2 });
      return finished(stand, await stand.migrate(SMALL));
    },
  },
  'target differs': {
    play: async (stand) => {
      stand.hub('old').load(generateFleet({ devices: 5, seed: 1, plain: true }));
      stand.hub('new').load(generateFleet({ devices: 5, seed: 2, plain: true }));
      return ended(stand, await stand.migrate(SMALL));
    },
  },
  'all that has steps of its own': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      stand.hub('old').configurations.put('made', CONFIGURATION);
      const rules = [{ when: 'id == "leaf"', then: { status: 'disabled' } as const }];
      return finished(stand, await stand.migrate({ rules, managedBy: true, recheckSource: true }));
    },
  },
  'modules one by one': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      stand.hub('new').set({ importModules: 'refuse' });
      return finished(stand, await stand.migrate());
    },
  },
  'repaired one by one': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      stand.hub('new').set({ importModules: 'refuse' });
      const { run } = await stand.migrated();
      return { apply: stand.client.workflow.getHandle(applyIdOf(run, 1)) };
    },
  },
  'modules updated': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      await stand.migrated();
      const [device] = [...stand.hub('old').dump()].filter(({ deviceId }) => deviceId === 'leaf');
      if (device === undefined) throw new Error('there is no leaf');
      stand.hub('old').load([device, { deviceId: 'leaf', moduleId: 'm', authentication: keys(9) }]);
      return finished(stand, await stand.migrate({ existing: 'overwrite' }));
    },
  },
  'differences left': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      stand.hub('new').load([{ deviceId: 'd1', authentication: keys(9) }]);
      return ended(stand, await stand.migrate({ existing: 'skip' }));
    },
  },
  'export adopted': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      stand.hub('old').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 2 });
      await snapshot(stand);
      return { hubJob: stand.client.workflow.getHandle(hubJobIdOf(hostOf(stand, 'old'))) };
    },
  },
  'new keys': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      return ended(stand, await stand.migrate({ rules: [REGENERATE_KEYS] }));
    },
  },
  'without keys': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      const { handle, id } = await snapshot(stand, { excludeKeys: true });
      const source = { kind: 'snapshot', id } as const;
      return {
        snapshot: handle,
        ...(await ended(stand, await stand.migrate({ source, rules: [REGENERATE_KEYS] }))),
      };
    },
  },
  verify: {
    play: async (stand) => {
      for (const hub of ['old', 'new']) stand.hub(hub).load(DEVICES);
      return ended(stand, await stand.migrate({ goal: 'verify' }));
    },
  },
  plan: {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      return ended(stand, await stand.migrate({ goal: 'plan' }));
    },
  },
  'plan carried out': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const { plan, snapshots } = await stand.migrated({ goal: 'plan' });
      const planned = { hash: plan ?? '', snapshot: snapshots.source ?? '' };
      return ended(stand, await stand.migrate({ planned }));
    },
  },
  'approved, paused, slowed, resumed': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const handle = await stand.migrate({ settings: SINGLY, approve: true });
      const { plan, target } = await resting(handle);
      const chunk = stand.hold('stageChunk');
      await handle.executeUpdate(approve, { args: [plan ?? ''] });
      await chunk.reached;
      await handle.executeUpdate(pause);
      chunk.release();
      await resting(handle);
      await handle.executeUpdate(throttle, { args: [target ?? '', 50] });
      await handle.executeUpdate(resume);
      return finished(stand, handle);
    },
  },
  'cancelled after the step': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const chunk = stand.hold('stageChunk');
      const handle = await stand.migrate({ settings: SINGLY });
      await chunk.reached;
      await handle.executeUpdate(cancel, { args: [{ now: false }] });
      chunk.release();
      return finished(stand, handle);
    },
  },
  'cancelled at once': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      stand.hub('new').addJobFault({ kind: 'hang', type: 'import' });
      const handle = await stand.migrate({ settings: SINGLY });
      await until('its import', () =>
        stand
          .hub('new')
          .jobs.list()
          .some(({ type, endTimeUtc }) => type === 'import' && !endTimeUtc),
      );
      await handle.executeUpdate(cancel, { args: [{ now: true }] });
      return finished(stand, handle);
    },
  },
  'slot held, resumed': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      stand.hub('old').set({ startDelay: 2_000 });
      stand.hub('old').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 1 });
      const handle = await stand.migrate({ settings: { ...FAST, jobDeadline: 200 } });
      await resting(handle);
      stand.hub('old').set({ startDelay: 0 });
      await handle.executeUpdate(resume);
      return ended(stand, handle);
    },
  },
  edited: {
    play: async (stand) => {
      stand.hub('new').load(FLEET);
      const handle = await startEdits(
        stand,
        [
          { id: 'fresh', op: 'create' },
          { id: 'leaf', op: 'update', status: 'disabled' },
        ],
        { rules: [{ when: 'id == "gw"', then: { statusReason: 'seen' } }] },
      );
      await stand.reportOf(handle);
      return { edit: handle };
    },
  },
  'rolled back': {
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      stand.hub('old').configurations.put('made', CONFIGURATION);
      await rolledBack(stand, await stand.migrated());
      return { rollback: writer(stand, 'new') };
    },
  },
  followed: {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const handle = await startFollow(stand);
      for (const gate of ['ready', 'cut-over']) await approved(handle, gate);
      await stand.reportOf(handle);
      return { follow: handle, edit: writer(stand, 'old') };
    },
  },
  'cut back': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const handle = await startFollow(stand);
      await approved(handle, 'ready');
      await resting(handle, 'cut-over');
      await handle.executeUpdate(cutBack);
      await stand.reportOf(handle);
      return { follow: handle, rollback: writer(stand, 'old') };
    },
  },
  drilled: {
    ...SCRATCH,
    play: async (stand) => {
      stand.hub('old').load(FLEET);
      stand.hub('old').configurations.put('made', CONFIGURATION);
      const handle = await startDrill(stand);
      await stand.reportOf(handle);
      return { drill: handle };
    },
  },
  'drill refused': {
    ...SCRATCH,
    play: async (stand) => {
      stand.hub('scratch').load(DEVICES);
      await snapshot(stand);
      const source = { kind: 'latest', host: hostOf(stand, 'old') } as const;
      const handle = await startDrill(stand, { source });
      await stand.reportOf(handle);
      return { drill: handle };
    },
  },
  'drilled after one that was terminated': {
    ...SCRATCH,
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      const server = 'temporal.example:7233/default';
      const sent = stand.hold('readErrorLog');
      const first = await startDrill(stand, { server });
      await sent.reached;
      await first.terminate('a scenario');
      sent.release();
      const handle = await startDrill(stand, { server });
      await stand.reportOf(handle);
      return { drill: handle };
    },
  },
  probed: {
    ...SCRATCH,
    play: async (stand) => {
      const host = hostOf(stand, 'scratch');
      const handle = await stand.client.workflow.start('probe', {
        workflowId: writerIdOf(host),
        taskQueue: stand.taskQueue,
        args: [{ run: testRun(), account: stand.storage.account, settings: FAST, target: { host } }],
      });
      await stand.reportOf(handle);
      return { probe: handle };
    },
  },
  snapshot: { play: async (stand) => ({ snapshot: (await snapshot(stand)).handle }) },
  'snapshot by schedule': {
    play: async (stand) => ({ scheduled: await scheduledSnapshot(stand, 'snapshot/{run}') }),
  },
  'schedule skipped': {
    play: async (stand) => {
      const handle = await stand.migrate(SMALL);
      const skipped = await scheduledSnapshot(stand, handle.workflowId);
      await handle.result();
      return { scheduled: skipped };
    },
  },
  check: {
    play: async (stand) => {
      const hosts = [...stand.config.hubs.values()].map(({ host }) => host);
      const handle = await stand.client.workflow.start('check', {
        workflowId: `check/${testRun()}`,
        taskQueue: stand.taskQueue,
        args: [{ account: stand.storage.account, settings: FAST, hosts }],
      });
      await handle.result();
      return { check: handle };
    },
  },
  'target held': {
    play: async (stand) => {
      stand.hub('old').load(DEVICES);
      return ended(stand, await stand.migrate(SMALL));
    },
  },
  'gc looks': { play: (stand) => collected(stand, null) },
  'gc removes': { play: (stand) => collected(stand, [{ kind: 'owner', name: hostOf(stand, 'new') }]) },
};

async function collected(stand: TestStand, remove: GcInput['remove']): Promise<Recorded> {
  const input: GcInput = {
    account: stand.storage.account,
    settings: FAST,
    hosts: [hostOf(stand, 'old')],
    named: [],
    olderThan: 0,
    remove,
  };
  const { taskQueue } = stand;
  const handle = await stand.client.workflow.start('gc', {
    workflowId: `gc/${testRun()}`,
    taskQueue,
    args: [input],
  });
  await handle.result();
  return { gc: handle };
}

async function ended(stand: TestStand, handle: WorkflowHandle): Promise<Recorded> {
  await stand.reportOf(handle);
  return { migrate: handle };
}

/** A run and what worked for it: the sending of its plan, and the target's queue and last job. */
async function finished(stand: TestStand, handle: WorkflowHandle): Promise<Recorded> {
  const { run, target } = await stand.reportOf(handle);
  const { workflow } = stand.client;
  return {
    migrate: handle,
    apply: workflow.getHandle(applyIdOf(run, 0)),
    hubQueue: workflow.getHandle(hubQueueIdOf(target ?? '')),
    hubJob: workflow.getHandle(hubJobIdOf(target ?? '')),
  };
}

/** The last workflow that wrote to a hub. */
const writer = (stand: TestStand, name: string): WorkflowHandle =>
  stand.client.workflow.getHandle(writerIdOf(hostOf(stand, name)));

async function resting(handle: WorkflowHandle, reason?: string): Promise<RunReport> {
  return await until('it rests', async () => {
    const report: RunReport = await handle.query(runReport);
    return report.parked && (reason ?? report.parked.reason) === report.parked.reason && report;
  });
}

async function approved(handle: WorkflowHandle, reason: string): Promise<void> {
  const { plan } = await resting(handle, reason);
  await handle.executeUpdate(approve, { args: [plan ?? ''] });
}

async function startFollow(stand: TestStand): Promise<WorkflowHandle> {
  const input: FollowInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    goal: 'migrate',
    source: { kind: 'hub', host: hostOf(stand, 'old') },
    target: { host: hostOf(stand, 'new') },
    existing: 'fail',
    strict: false,
    follow: { below: 0, every: 50, disableSource: true, cutBackAfter: 60_000 },
  };
  const workflowId = writerIdOf(input.target.host);
  return stand.client.workflow.start('follow', { workflowId, taskQueue: stand.taskQueue, args: [input] });
}

async function startDrill(stand: TestStand, options: Partial<DrillInput> = {}): Promise<WorkflowHandle> {
  const input: DrillInput = {
    run: testRun(),
    account: stand.storage.account,
    settings: FAST,
    source: { kind: 'hub', host: hostOf(stand, 'old') },
    target: { host: hostOf(stand, 'scratch') },
    objectives: { rto: 600, rpo: 600 },
    ...options,
  };
  const workflowId = writerIdOf(input.target.host);
  return stand.client.workflow.start('drill', { workflowId, taskQueue: stand.taskQueue, args: [input] });
}

async function snapshot(
  stand: TestStand,
  options: Partial<SnapshotInput> = {},
): Promise<{ readonly handle: WorkflowHandle; readonly id: string }> {
  const run = testRun();
  const handle = await stand.client.workflow.start('snapshot', {
    workflowId: readerIdOf('snapshot', run),
    taskQueue: stand.taskQueue,
    args: [{ ...snapshotOf(stand, run), ...options }],
  });
  const { snapshots } = await stand.reportOf(handle);
  return { handle, id: snapshots.source ?? '' };
}

const snapshotOf = (stand: TestStand, run: string): SnapshotInput => ({
  run,
  account: stand.storage.account,
  settings: FAST,
  source: { kind: 'hub', host: hostOf(stand, 'old') },
});

/** One time of a schedule to its end. */
async function scheduledSnapshot(stand: TestStand, workflowId: string): Promise<WorkflowHandle> {
  const input: ScheduledInput = {
    schedule: 'nightly',
    workflow: 'snapshot',
    workflowId,
    input: snapshotOf(stand, RUN_PLACE),
    digest: '',
    summary: 'snapshot old',
    report: { workflow: 'snapshot', source: hostOf(stand, 'old'), target: null },
    keep: { count: 1 },
    failing: true,
  };
  const handle = await stand.client.workflow.start('scheduled', {
    workflowId: `scheduled/nightly-${testRun()}`,
    taskQueue: stand.taskQueue,
    args: [input],
  });
  await handle.result();
  return handle;
}
