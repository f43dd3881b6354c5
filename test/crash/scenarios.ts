import { expect } from 'vitest';
import type { Found } from '../../activities/gc.js';
import { REGENERATE_KEYS } from '../../registry/rules.js';
import type { RunSettings } from '../../registry/settings.js';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import type { GcInput } from '../../workflows/gc.js';
import {
  approve,
  cancel,
  type DrillInput,
  type FollowInput,
  hubQueueIdOf,
  RUN_PLACE,
  type RunReport,
  readerIdOf,
  runReport,
  type ScheduledInput,
  type SnapshotInput,
  writerIdOf,
} from '../../workflows/messages.js';
import type { ProbeRunInput } from '../../workflows/probe.js';
import { edited } from '../support/edits.js';
import { keys } from '../support/keys.js';
import { FAST, rolledBack, type TestStand, testRun } from '../support/stand.js';
import { until } from '../support/until.js';

/** Runs that together reach every activity, each as small as it can be. */
export interface Scenario {
  /** What the hubs hold at first. */
  readonly load: (hubs: Hubs) => void;
  /** To the end. @returns the reports of its runs. */
  readonly run: (stand: TestStand) => Promise<RunReport[]>;
  /** How these runs end, with the code of an error. */
  readonly ends: readonly string[];
  /** Pairs of hubs, as `old new`, of which the second must hold what the first holds. */
  readonly equal?: readonly (readonly [HubName, HubName])[];
}

export type HubName = 'old' | 'new' | 'scratch';

type Hubs = Readonly<Record<HubName, SimulatedHub>>;

/** Two lines to a job, so that a wave has some; a worker that is dead is noticed soon. */
export const SETTINGS: RunSettings = { ...FAST, chunkLines: 2, heartbeat: 4_000, visible: 1_000 };

const PATIENCE = 120_000;

const FLEET: readonly FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1) },
  {
    deviceId: 'gw',
    moduleId: '$edgeAgent',
    authentication: { type: 'none' },
    desired: { schemaVersion: '1.1' },
  },
  {
    deviceId: 'gw',
    moduleId: 'pump',
    authentication: { type: 'none' },
    managedBy: 'iotEdge',
    tags: { p: 1 },
  },
  { deviceId: 'gw2', iotEdge: true, parent: 'gw', authentication: keys(3) },
  { deviceId: 'leaf', parent: 'gw2', authentication: keys(5), tags: { ring: '1' } },
  { deviceId: 'off', authentication: keys(7), status: 'disabled', statusReason: 'broken' },
  { deviceId: 'plain', authentication: keys(9), desired: { a: 1.5 } },
  { deviceId: 'plain', moduleId: 'm', authentication: keys(11), managedBy: 'me', desired: { b: 1 } },
];

const SMALL: readonly FleetRecord[] = [
  { deviceId: 'a', authentication: keys(1) },
  { deviceId: 'b', authentication: keys(3), tags: { b: 1 } },
  { deviceId: 'c', authentication: keys(5), status: 'disabled' },
];

const CONFIGURATION = {
  content: { deviceContent: { 'properties.desired.c': 1 } },
  targetCondition: "tags.ring='1'",
  priority: 7,
};

function loadWhole({ old }: Hubs): void {
  old.load(FLEET);
  old.configurations.put('made', CONFIGURATION);
}

const hostOf = (stand: TestStand, name: HubName): string => stand.hub(name).hostName;

async function toTheEnd(
  stand: TestStand,
  workflow: string,
  workflowId: string,
  input: { readonly run: string },
): Promise<RunReport> {
  const { client, taskQueue } = stand;
  return stand.reportOf(await client.workflow.start(workflow, { workflowId, taskQueue, args: [input] }));
}

const common = (stand: TestStand) => ({
  run: testRun(),
  account: stand.storage.account,
  settings: SETTINGS,
});

async function snapshot(stand: TestStand, more: Partial<SnapshotInput> = {}): Promise<RunReport> {
  const source = { kind: 'hub' as const, host: hostOf(stand, 'old') };
  const input: SnapshotInput = { ...common(stand), source, ...more };
  return toTheEnd(stand, 'snapshot', readerIdOf('snapshot', input.run), input);
}

async function drill(stand: TestStand, source: DrillInput['source']): Promise<RunReport> {
  const target = { host: hostOf(stand, 'scratch') };
  const input: DrillInput = { ...common(stand), source, target, objectives: { rto: null, rpo: null } };
  return toTheEnd(stand, 'drill', writerIdOf(target.host), input);
}

/** One time of a schedule. @returns the report of the run that it has started, or has not */
async function scheduled(stand: TestStand, schedule: string, workflowId: string): Promise<RunReport> {
  const host = hostOf(stand, 'old');
  const snapshotInput: SnapshotInput = { ...common(stand), run: RUN_PLACE, source: { kind: 'hub', host } };
  const input: ScheduledInput = {
    schedule,
    workflow: 'snapshot',
    workflowId,
    input: snapshotInput,
    digest: '',
    summary: 'snapshot old',
    report: { workflow: 'snapshot', source: host, target: null },
    keep: { count: 1 },
    failing: true,
  };
  const { client, taskQueue } = stand;
  const handle = await client.workflow.start('scheduled', {
    workflowId: `scheduled/${testRun()}`,
    taskQueue,
    args: [input],
  });
  const { run } = (await handle.result()) as { run: string };
  const text = await stand.storage.readText('hubferry', `runs/${run}.json`);
  return JSON.parse(text ?? 'null') as RunReport;
}

async function followed(stand: TestStand): Promise<RunReport> {
  const target = { host: hostOf(stand, 'new') };
  const input: FollowInput = {
    ...common(stand),
    goal: 'migrate',
    source: { kind: 'hub', host: hostOf(stand, 'old') },
    target,
    existing: 'fail',
    strict: false,
    follow: { below: 0, every: 50, disableSource: true, cutBackAfter: PATIENCE },
  };
  const workflowId = writerIdOf(target.host);
  const handle = await stand.client.workflow.start('follow', {
    workflowId,
    taskQueue: stand.taskQueue,
    args: [input],
  });
  for (const reason of ['ready', 'cut-over'] as const)
    await until(
      `it is approved at ${reason}`,
      async () => {
        const { parked, plan }: RunReport = await handle.query(runReport);
        if (parked?.reason !== reason) return false;
        const approved = handle.executeUpdate(approve, { args: [plan ?? ''] });
        return approved.then(
          () => true,
          () => false,
        );
      },
      PATIENCE,
    );
  return stand.reportOf(handle);
}

/** From the cheapest on: a row of the matrix takes the first that reaches it. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  check: {
    ends: [],
    load: () => undefined,
    run: async (stand) => {
      const { run, ...input } = common(stand);
      const hosts = [hostOf(stand, 'old'), hostOf(stand, 'new')];
      const { client, taskQueue } = stand;
      const workflowId = readerIdOf('check', run);
      const args = [{ ...input, hosts }];
      await (await client.workflow.start('check', { workflowId, taskQueue, args })).result();
      return [];
    },
  },
  'a lost run is cleared away': {
    ends: [],
    load: () => undefined,
    run: async (stand) => {
      const lost = 'hf-20200101-000000-aaaaaa-work';
      await stand.storage.createContainer(lost);
      const { run, ...input } = common(stand);
      const { client, taskQueue } = stand;
      const gc = async (remove: GcInput['remove'], step: string): Promise<Found> => {
        const args: [GcInput] = [{ ...input, hosts: [], named: [], olderThan: 1, remove }];
        const workflowId = readerIdOf('gc', `${run}-${step}`);
        return (
          await client.workflow.start('gc', { workflowId, taskQueue, args })
        ).result() as Promise<Found>;
      };
      const { remove } = await gc(null, 'look');
      expect(remove).toMatchObject([{ name: lost }]);
      await gc(
        remove.map(({ kind, name }) => ({ kind, name })),
        'remove',
      );
      return [];
    },
  },
  snapshot: {
    ends: ['done'],
    load: ({ old }) => void old.load(SMALL),
    run: async (stand) => [await snapshot(stand)],
  },
  'reply of a job lost': {
    ends: ['done'],
    load: ({ old }) => {
      old.load(SMALL);
      old.addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 1 });
    },
    run: async (stand) => [await snapshot(stand)],
  },
  probe: {
    ends: ['done'],
    load: () => undefined,
    run: async (stand) => {
      const input: ProbeRunInput = { ...common(stand), target: { host: hostOf(stand, 'scratch') } };
      return [await toTheEnd(stand, 'probe', writerIdOf(input.target.host), input)];
    },
  },
  plan: {
    ends: ['planned'],
    load: ({ old, new: target }) => {
      old.load(SMALL);
      target.load([{ deviceId: 'a', authentication: keys(9) }]);
    },
    run: async (stand) => [await stand.migrated({ settings: SETTINGS, goal: 'plan', existing: 'overwrite' })],
  },
  'scheduled snapshots': {
    ends: ['done', 'done', 'skipped TARGET_BUSY'],
    load: ({ old }) => void old.load(SMALL),
    run: async (stand) => {
      const schedule = `nightly-${testRun().slice(-6)}`;
      const reports = [await scheduled(stand, schedule, `snapshot/${RUN_PLACE}`)];
      reports.push(await scheduled(stand, schedule, `snapshot/${RUN_PLACE}`));
      // The line of the hub's jobs is open, and has the id.
      reports.push(await scheduled(stand, schedule, hubQueueIdOf(hostOf(stand, 'old'))));
      return reports;
    },
  },
  edit: {
    ends: ['verified'],
    load: ({ new: target }) => void target.load(SMALL),
    run: async (stand) => [
      await edited(
        stand,
        [
          { id: 'a', op: 'update', tags: { merge: { edited: 1 } } },
          { id: 'b', op: 'delete' },
          { id: 'd', op: 'create' },
        ],
        { settings: SETTINGS, maxDelete: 1 },
      ),
    ],
  },
  'cancelled in the middle': {
    ends: ['cancelled'],
    load: ({ old, new: target }) => {
      old.load(SMALL);
      target.addJobFault({ kind: 'hang', type: 'import' });
    },
    run: async (stand) => {
      const handle = await stand.migrate({ settings: SETTINGS });
      const jobs = () => stand.hub('new').jobs.list();
      const runs = () => jobs().some(({ type, status }) => type === 'import' && status === 'running');
      await until('an import runs', runs, PATIENCE);
      // The id of the job must be known to the run, or it cannot be cancelled.
      await until('it is looked at', () => (stand.hub('new').counts()['GET /jobs/{id}'] ?? 0) > 3, PATIENCE);
      await handle.executeUpdate(cancel, { args: [{ now: true }] });
      return [await stand.reportOf(handle)];
    },
  },
  'snapshot without keys, migrated': {
    ends: ['done', 'verified'],
    load: ({ old }) => void old.load(SMALL),
    run: async (stand) => {
      const taken = await snapshot(stand, { excludeKeys: true });
      const source = { kind: 'snapshot' as const, id: taken.snapshots.source ?? '' };
      return [taken, await stand.migrated({ settings: SETTINGS, source, rules: [REGENERATE_KEYS] })];
    },
  },
  'migrate, by REST': {
    ends: ['verified'],
    load: ({ old, new: target }) => {
      old.load(SMALL);
      old.load([{ deviceId: 'a', moduleId: 'm', authentication: keys(7) }]);
      target.set({ importModules: 'refuse', sasModuleQuirk: false });
    },
    run: async (stand) => [await stand.migrated({ settings: SETTINGS })],
    equal: [['old', 'new']],
  },
  migrate: {
    ends: ['verified'],
    load: loadWhole,
    run: async (stand) => [
      await stand.migrated({ settings: SETTINGS, managedBy: true, recheckSource: true }),
    ],
    equal: [['old', 'new']],
  },
  'migrate onto another state': {
    ends: ['verified'],
    load: (hubs) => {
      loadWhole(hubs);
      const other = FLEET.filter(({ deviceId }) => deviceId !== 'off').map((record) => ({
        ...record,
        ...(record.authentication?.type === 'none' ? {} : { tags: { other: true } }),
        ...(record.moduleId === 'm' ? { authentication: keys(21) } : {}),
      }));
      hubs.new.load([...other, { deviceId: 'extra', authentication: keys(23) }]);
      hubs.new.configurations.put('made', { ...CONFIGURATION, priority: 3 });
    },
    run: async (stand) => [
      await stand.migrated({ settings: SETTINGS, existing: 'overwrite', extra: 'delete', maxDelete: 10 }),
    ],
    equal: [['old', 'new']],
  },
  rollback: {
    ends: ['verified', 'verified'],
    load: (hubs) => {
      loadWhole(hubs);
      hubs.new.load([{ deviceId: 'theirs', authentication: keys(23) }]);
    },
    run: async (stand) => {
      const report = await stand.migrated({ settings: SETTINGS });
      return [report, await rolledBack(stand, report, SETTINGS)];
    },
  },
  'follow to the cut-over': {
    ends: ['verified'],
    load: ({ old }) => void old.load(SMALL),
    run: async (stand) => [await followed(stand)],
  },
  'drills, the first of which is disturbed': {
    ends: ['differences', 'verified'],
    load: loadWhole,
    run: async (stand) => {
      const first = drill(stand, { kind: 'hub', host: hostOf(stand, 'old') });
      const scratch = stand.hub('scratch');
      await until('its first device is there', () => scratch.record('gw') !== undefined, PATIENCE);
      scratch.load([{ deviceId: 'stranger', parent: 'gw', authentication: keys(25) }]);
      const disturbed = await first;
      scratch.store.removeDevice('stranger');
      return [disturbed, await drill(stand, { kind: 'latest', host: hostOf(stand, 'old') })];
    },
  },
};
