import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import { type RunReport, readerIdOf } from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import {
  essence,
  FAST,
  openTestStand,
  sharedServices,
  type TestStand,
  testRun,
  writesOf,
} from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

type Body = Parameters<SimulatedHub['configurations']['put']>[1];

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true, authentication: keys(1), tags: { site: 'x' } },
  { deviceId: 'pump', authentication: keys(2), tags: { site: 'x' }, desired: { own: 1 } },
  { deviceId: 'valve', authentication: keys(3), tags: { site: 'y' } },
  { deviceId: 'valve', moduleId: 'm', authentication: keys(4), tags: { kind: 'meter' } },
  { deviceId: 'plain', authentication: keys(5) },
];

const device = (settings: object, targetCondition: string, priority: number, more: Body = {}): Body => ({
  content: {
    deviceContent: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [`properties.desired.${name}`, value]),
    ),
  },
  targetCondition,
  priority,
  ...more,
});
const module = (name: string) => ({
  type: 'docker',
  status: 'running',
  restartPolicy: 'always',
  settings: { image: name },
});
const base = (modules: readonly string[], priority: number): Body => ({
  content: {
    modulesContent: {
      $edgeAgent: {
        'properties.desired': {
          schemaVersion: '1.1',
          modules: Object.fromEntries(modules.map((name) => [name, module(name)])),
        },
      },
      $edgeHub: { 'properties.desired': { routes: {} } },
    },
  },
  targetCondition: "tags.site='x'",
  priority,
});

/** Ties, a loser and a winner, everything a configuration may have; in this order, which is not that of their ranks. */
const all: Readonly<Record<string, Body>> = {
  'limits-low': device({ limits: { max: 1, unit: 'bär\u2028' } }, '*', 1, {
    schemaVersion: '1.0',
    labels: { team: 'ü' },
    metrics: { queries: { seen: 'SELECT deviceId FROM devices' } },
  }),
  base: base(['sensor', 'camera'], 3),
  'limits-high': device({ 'limits.max': 9 }, "tags.site='x'", 10),
  'z-tie': device({ mode: 'older' }, '*', 5),
  'a-tie': device({ mode: 'newer' }, '*', 5),
  meters: {
    content: { moduleContent: { 'properties.desired.rate': 2.5 } },
    targetCondition: "FROM devices.modules WHERE tags.kind='meter'",
    priority: 1,
  },
  layer: {
    content: {
      modulesContent: {
        $edgeAgent: { 'properties.desired.modules.filter': module('filter') },
        filter: { 'properties.desired': { level: 3 } },
      },
    },
    targetCondition: "tags.site='x'",
    priority: 7,
  },
  idle: device({ never: true }, '', 0),
};
const put = (name: 'old' | 'new', configurations: Readonly<Record<string, Body>>): void => {
  for (const [id, body] of Object.entries(configurations)) hub(name).configurations.put(id, body);
};

const createdAt = ({ createdTimeUtc }: Body): number =>
  typeof createdTimeUtc === 'string' ? Date.parse(createdTimeUtc) : Number.NaN;

/** What of a hub's configurations must arrive, in the order in which they were made. */
const configurationsOf = (name: 'old' | 'new') =>
  hub(name)
    .dumpConfigurations()
    .toSorted((a, b) => createdAt(a) - createdAt(b))
    .map(({ id, schemaVersion, labels, content, targetCondition, priority, metrics }) => ({
      id,
      schemaVersion,
      labels: labels ?? {},
      content,
      targetCondition,
      priority,
      queries: (metrics as { queries: unknown }).queries,
    }));

const versionsOf = (name: 'old' | 'new') =>
  Object.fromEntries(
    [...hub(name).dump()].map(({ deviceId, moduleId, twinVersion }) => [
      `${deviceId}/${moduleId ?? ''}`,
      twinVersion,
    ]),
  );

const warningsOf = (report: RunReport) => Object.fromEntries(report.warnings.map((one) => [one.code, one]));
const ledgerOf = ({ ledger: { configurations } }: RunReport) =>
  configurations && Object.fromEntries(Object.entries(configurations).filter(([, count]) => count > 0));

/** An import job is there and has not begun: the plan is made, and nothing is written yet. */
async function anImportWaits(): Promise<void> {
  await until('an import that waits', () =>
    hub('new')
      .jobs.list()
      .some(({ type, status }) => type === 'import' && status === 'enqueued'),
  );
}

describe('to an empty hub', () => {
  it('all arrive in their order, change no twin on the way, and a second time nothing is written', async () => {
    hub('old').load(fleet);
    put('old', all);
    expect(hub('old').record('pump')?.desired).toEqual({
      own: 1,
      limits: { max: 9, unit: 'bär\u2028' },
      mode: 'newer',
    });
    expect(hub('old').record('valve', 'm')?.desired).toEqual({ rate: 2.5 });
    const sensor = hub('old').record('gw', 'sensor');
    if (sensor) hub('old').load([{ ...sensor, tags: { bay: 4 } }]);
    hub('old').addFault({ kind: 'splitBody', byte: 260, route: 'GET /configurations' });

    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(ledgerOf(report)).toEqual({ source: 8, desired: 8, create: 8, applied: 8 });
    expect(configurationsOf('new')).toEqual(configurationsOf('old'));
    expect(essence(hub('new').dump())).toEqual(essence(hub('old').dump()));
    // Nothing was written to a twin but by the import.
    const { 'plain/': untouched, ...versions } = versionsOf('new');
    for (const id of ['pump/', 'valve/', 'valve/m', 'gw/']) expect(versions[id], id).toBe(untouched);
    expect(hub('new').record('gw', 'filter')?.desired).toEqual({ level: 3 });
    // It was there all the time: its deployment did not come before the layer on top of it.
    expect(hub('new').record('gw', 'sensor')?.tags).toEqual({ bay: 4 });
    for (const agent of ['old', 'new'] as const) {
      const { desired } = hub(agent).record('gw', '$edgeAgent') ?? {};
      expect(Object.keys((desired as { modules: object }).modules).toSorted()).toEqual([
        'camera',
        'filter',
        'sensor',
      ]);
    }

    hub('new').resetCounters();
    const again = await stand.migrated();
    expect(again).toMatchObject({ outcome: 'verified', warnings: [] });
    expect(ledgerOf(again)).toEqual({ source: 8, desired: 8, unchanged: 8 });
    expect(writesOf(hub('new'))).toEqual({});
  });
});

/** As the source has them, but for what an older state of it may have had. */
const older: Readonly<Record<string, Body>> = {
  equal: device({ same: 1 }, '*', 1),
  relabelled: device({ label: 1 }, "tags.site='y'", 2, { labels: { v: '1' } }),
  changed: device({ mode: 'old' }, "tags.site='x'", 5),
  rival: device({ mode: 'rival' }, "tags.site='x'", 5),
  stranger: device({ other: 1 }, "tags.site='none'", 1),
};
const newer: Readonly<Record<string, Body>> = {
  equal: device({ same: 1 }, '*', 1),
  relabelled: device({ label: 1 }, "tags.site='y'", 3, { labels: { v: '2' } }),
  changed: device({ mode: 'new' }, "tags.site='x'", 5),
  rival: device({ mode: 'rival' }, "tags.site='x'", 5),
  missing: device({ more: true }, "tags.site='none'", 0),
};

describe('a target with an older state of them', () => {
  beforeEach(() => {
    put('old', newer);
    put('new', older);
    hub('old').load(fleet.slice(1));
    hub('new').load(hub('old').dump());
  });

  it('is left alone under --existing fail', async () => {
    const report = await stand.migrated();
    expect(report.error).toMatchObject({ code: 'TARGET_DIFFERS' });
    expect(report.error?.message).toContain('Configurations of new.localhost');
    expect(warningsOf(report)).toMatchObject({
      TARGET_DIFFERS: { count: 2, samples: ['configuration relabelled', 'configuration changed'] },
    });
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('gets only what is missing under --existing skip', async () => {
    const before = hub('new').dumpConfigurations();
    const report = await stand.migrated({ existing: 'skip' });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(ledgerOf(report)).toEqual({
      source: 5,
      desired: 5,
      unchanged: 2,
      kept: 2,
      create: 1,
      applied: 1,
    });
    expect(hub('new').dumpConfigurations().slice(0, 5)).toMatchObject(
      before.map(({ systemMetrics: _results, ...one }) => one),
    );
    expect(writesOf(hub('new'))).toEqual({ 'PUT /configurations/{id}': 1 });
  });

  it('is made equal under --existing overwrite; the tie that this changes is named', async () => {
    const report = await stand.migrated({ existing: 'overwrite', extra: 'delete' });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(ledgerOf(report)).toEqual({
      source: 5,
      desired: 5,
      unchanged: 2,
      create: 1,
      update: 2,
      applied: 3,
    });
    expect(warningsOf(report)).toEqual({
      CONFIGURATION_ORDER_DIFFERS: {
        code: 'CONFIGURATION_ORDER_DIFFERS',
        count: 1,
        samples: ['changed wins over rival'],
      },
    });
    // Content cannot be changed in place; an update that is no change of it needs no delete.
    expect(writesOf(hub('new'))).toEqual({
      'DELETE /configurations/{id}': 1,
      'PUT /configurations/{id}': 3,
    });
    // What only the target has stays, also under --extra delete.
    expect(configurationsOf('new').map(({ id }) => id)).toContain('stranger');
    expect(configurationsOf('new')).toEqual(expect.arrayContaining(configurationsOf('old')));
    hub('new').resetCounters();
    expect(await stand.migrated({ existing: 'overwrite' })).toMatchObject({ outcome: 'verified' });
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('is only compared by verify, and only planned by plan', async () => {
    const verified = await stand.migrated({ goal: 'verify' });
    expect(verified).toMatchObject({ outcome: 'differences', verify: { different: 0, missing: 0 } });
    expect(warningsOf(verified)).toMatchObject({
      CONFIGURATIONS_MISSING: { count: 1, samples: ['missing'] },
      CONFIGURATIONS_DIFFERENT: { count: 2, samples: ['relabelled', 'changed'] },
    });
    const plan = await stand.migrated({ goal: 'plan', existing: 'overwrite' });
    expect(plan).toMatchObject({ outcome: 'planned' });
    expect(ledgerOf(plan)).toEqual({
      source: 5,
      desired: 5,
      unchanged: 2,
      create: 1,
      update: 2,
      unsent: 3,
    });
    expect(writesOf(hub('new'))).toEqual({});
    hub('old').configurations.put('missing', device({ more: true }, "tags.site='none'", 1), '*');
    const other = await stand.migrated({ goal: 'plan', existing: 'overwrite' });
    expect(other.plan).not.toBe(plan.plan);
    hub('old').configurations.put('missing', device({ more: true }, "tags.site='none'", 0), '*');
    const migrated = await stand.migrated({ existing: 'overwrite' });
    expect(migrated).toMatchObject({ outcome: 'verified', plan: plan.plan });
  });

  it('keeps what somebody else writes between the plan and the call', async () => {
    hub('old').load([{ deviceId: 'late', authentication: keys(9) }]);
    hub('new').set({ startDelay: 1500 });
    const handle = await stand.migrate({ existing: 'overwrite' });
    await anImportWaits();
    hub('new').configurations.put('relabelled', device({ label: 1 }, '', 9), '*');
    hub('new').configurations.remove('changed', '*');
    hub('new').configurations.put('missing', device({ theirs: 1 }, '', 9));
    hub('new').set({ startDelay: 0 });
    const report = await stand.reportOf(handle);
    expect(report).toMatchObject({ error: null, outcome: 'differences' });
    expect(ledgerOf(report)).toMatchObject({ create: 1, update: 2, rejected: 3 });
    expect(Object.fromEntries(report.rejected.map(({ record, code }) => [record, code]))).toEqual({
      'configuration relabelled': '412001',
      'configuration changed': '404301',
      'configuration missing': '409401',
    });
    expect(hub('new').configurations.get('relabelled')).toMatchObject({ priority: 9 });
    expect(writesOf(hub('new'))).toEqual({});
  });

  it.each([
    ['are throttled', { kind: 'status', code: 'ThrottlingBacklogTimeout' }],
    ['lose their replies', { kind: 'loseReply' }],
    ['answer 412 though nobody else wrote', { kind: 'status', code: 'PreconditionFailed' }],
  ] as const)('gets them also where calls %s', async (_what, fault) => {
    for (const route of ['PUT /configurations/{id}', 'DELETE /configurations/{id}', 'GET /configurations'])
      if (fault.kind !== 'status' || fault.code !== 'PreconditionFailed' || !route.startsWith('GET'))
        hub('new').addFault({ ...fault, route });
    const report = await stand.migrated({ existing: 'overwrite' });
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(configurationsOf('new')).toEqual(expect.arrayContaining(configurationsOf('old')));
  });

  it('has the one before back where the hub does not take the one that replaces it', async () => {
    hub('new').addFault({ kind: 'status', code: 'InvalidConfigurationContent', route: 'PUT *' });
    const before = hub('new').configurations.get('changed');
    const report = await stand.migrated({ existing: 'overwrite' });
    expect(report).toMatchObject({ error: null, outcome: 'differences' });
    expect(ledgerOf(report)).toMatchObject({ update: 2, create: 1, applied: 2, rejected: 1 });
    expect(report.rejected).toEqual([
      {
        record: 'configuration changed',
        code: '400402',
        reason: 'the hub does not accept the content; the one before is back',
      },
    ]);
    const { content, priority, targetCondition } = before;
    expect(hub('new').configurations.get('changed')).toMatchObject({ content, priority, targetCondition });
  });
});

it('they are not sent while a record differs, which they would have changed', async () => {
  hub('old').load(fleet.slice(1));
  put('old', { mode: device({ mode: 1 }, "tags.site='x'", 1) });
  const stale = { deviceId: 'plain', authentication: keys(5), tags: { site: 'x' }, desired: { mode: 0 } };
  hub('new').load([stale]);
  hub('new').addJobFault({
    kind: 'rejectLines',
    lines: 9,
    code: 'ArgumentInvalid',
    type: 'import',
    times: 9,
  });
  const report = await stand.migrated({ existing: 'overwrite' });
  expect(report).toMatchObject({ error: null, outcome: 'differences' });
  expect(ledgerOf(report)).toEqual({ source: 1, desired: 1, create: 1, unsent: 1 });
  expect(warningsOf(report)).toMatchObject({ CONFIGURATIONS_NOT_SENT: { count: 1, samples: ['mode'] } });
  expect(hub('new').dumpConfigurations()).toEqual([]);
  expect(hub('new').record('plain')).toMatchObject({ desired: { mode: 0 } });
  put('new', { mode: device({ mode: 1 }, "tags.site='x'", 1) });
  expect(hub('new').record('plain')).toMatchObject({ desired: { mode: 1 } });
});

it('those of the target that act on what arrives are named, and what they write is theirs', async () => {
  hub('old').load(fleet.slice(1));
  put('new', {
    theirs: device({ mode: 'theirs' }, "tags.site='x'", 1),
    meters: {
      content: { moduleContent: { 'properties.desired.rate': 1 } },
      targetCondition: '',
      priority: 1,
    },
  });
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'verified', verify: { match: 4, different: 0 } });
  expect(warningsOf(report)).toEqual({
    TARGET_CONFIGURATIONS_ACT: { code: 'TARGET_CONFIGURATIONS_ACT', count: 1, samples: ['theirs'] },
    MANAGED_BY_CONFIGURATION: {
      code: 'MANAGED_BY_CONFIGURATION',
      count: 1,
      samples: ['pump, by theirs'],
    },
  });
  expect(hub('new').record('pump')).toMatchObject({ desired: { own: 1, mode: 'theirs' } });
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified', ledger: { unchanged: 4, update: 0 } });
});

it('what a run that broke off left without a target condition is finished under any policy', async () => {
  const one = device({ mode: 1 }, "tags.site='x'", 1, { labels: { a: 'b' } });
  hub('old').load(fleet.slice(1));
  put('old', { one });
  hub('new').load(hub('old').dump());
  put('new', { one: { ...one, labels: { a: 'b', hubferry: 'unfinished' }, targetCondition: '' } });
  const report = await stand.migrated();
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  expect(ledgerOf(report)).toEqual({ source: 1, desired: 1, update: 1, applied: 1 });
  expect(configurationsOf('new')).toEqual(configurationsOf('old'));
});

describe('a hub that', () => {
  beforeEach(() => {
    hub('old').load(fleet.slice(1));
    put('old', { one: device({ a: 1 }, '*', 1), two: device({ b: 1 }, '*', 1) });
    hub('old').loadConfigurations([{ id: 'Upper', content: { deviceContent: {} } }]);
  });

  it.each([
    ['refuses an id', {}, ['Upper'], 'CONFIGURATION_ID_INVALID'],
    ['takes no more', { tier: 'F1', maxConfigurations: 1 }, ['two', 'Upper'], '413101'],
  ] as const)('%s is not stopped by it', async (_what, settings, names, code) => {
    hub('new').set(settings);
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome: 'differences', verify: { match: 4 } });
    expect(report.rejected.map(({ record }) => record)).toEqual(names.map((id) => `configuration ${id}`));
    expect(report.rejected[0]).toMatchObject({ code });
    const applied = 3 - names.length;
    expect(ledgerOf(report)).toMatchObject({ source: 3, refused: 1, desired: 2, create: 2, applied });
  });

  it('refuses an id ends the run before any write under --strict', async () => {
    const report = await stand.migrated({ strict: true });
    expect(report.error).toMatchObject({ code: 'REFUSED_UNDER_STRICT' });
    expect(writesOf(hub('new'))).toEqual({});
  });

  it.each([
    ['IotHubUnauthorizedAccess', 'old', 'verified'],
    ['OperationNotAvailableInCurrentTier', 'old', 'verified'],
    ['IotHubUnauthorizedAccess', 'new', 'differences'],
  ] as const)('does not tell them (%s, %s) is said, and the records arrive', async (code, name, outcome) => {
    hub(name).addFault({ kind: 'status', code, route: 'GET /configurations', times: 99 });
    const report = await stand.migrated();
    expect(report).toMatchObject({ error: null, outcome, verify: { match: 4 } });
    expect(warningsOf(report)).toMatchObject({
      CONFIGURATIONS_UNKNOWN: { count: 1, samples: [`${hub(name).hostName} does not tell them`] },
    });
    expect(ledgerOf(report)).toEqual(
      name === 'old' ? null : { source: 3, refused: 1, desired: 2, create: 2, unsent: 2 },
    );
    expect(hub('new').dumpConfigurations()).toEqual([]);
  });
});

describe('a snapshot', () => {
  async function taken(): Promise<string> {
    hub('old').load(fleet.slice(1));
    put('old', newer);
    const planned = await stand.migrated({ goal: 'plan' });
    const id = planned.snapshots.source ?? '';
    hub('old').clear();
    return id;
  }

  it('holds them, and is restored with them', async () => {
    const id = await taken();
    const report = await stand.migrated({ source: { kind: 'snapshot', id } });
    expect(report).toMatchObject({ error: null, outcome: 'verified' });
    expect(ledgerOf(report)).toEqual({ source: 5, desired: 5, create: 5, applied: 5 });
    expect(configurationsOf('new').map(({ id: name }) => name)).toEqual(Object.keys(newer));
  });

  it('counts them, where it is taken by itself', async () => {
    put('old', newer);
    const run = testRun();
    const source = { kind: 'hub', host: hub('old').hostName };
    const report = (await stand.client.workflow.execute('snapshot', {
      workflowId: readerIdOf('snapshot', run),
      taskQueue: stand.taskQueue,
      args: [{ run, account: stand.storage.account, settings: FAST, source }],
    })) as RunReport;
    expect(report).toMatchObject({ outcome: 'done', warnings: [] });
    expect(ledgerOf(report)).toEqual({ source: 5, desired: 5, unchanged: 5 });
    const text = await stand.storage.readText(report.snapshots.source ?? '', 'configurations.ndjson');
    expect(text?.trimEnd().split('\n')).toHaveLength(5);
  });

  it('whose configurations were changed is damaged', async () => {
    const id = await taken();
    await stand.storage.writeText(id, 'configurations.ndjson', '{"id":"one"}\n');
    const report = await stand.migrated({ source: { kind: 'snapshot', id } });
    expect(report.error).toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
    expect(writesOf(hub('new'))).toEqual({});
  });

  it('of a release that did not store them moves none, and says so', async () => {
    const id = await taken();
    const { configurations, ...manifest } = JSON.parse(
      (await stand.storage.readText(id, 'manifest.json')) ?? '',
    ) as Record<string, unknown>;
    expect(configurations).toMatchObject({ count: 5 });
    await stand.storage.writeText(id, 'manifest.json', JSON.stringify(manifest));
    const report = await stand.migrated({ source: { kind: 'snapshot', id } });
    expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { configurations: null } });
    expect(warningsOf(report)).toMatchObject({
      CONFIGURATIONS_UNKNOWN: { count: 1, samples: [`snapshot ${id} was taken without them`] },
    });
  });
});
