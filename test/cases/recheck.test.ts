import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { parseRules } from '../../config/rules.js';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import type { MigrateInput, RunReport } from '../../workflows/messages.js';
import { openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => stand.reset());

const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);

const fleet: FleetRecord[] = [
  { deviceId: 'gw', iotEdge: true },
  { deviceId: 'leaf', parent: 'gw', tags: { n: 1 } },
  { deviceId: 'leaf', moduleId: 'm' },
  { deviceId: 'gone' },
  { deviceId: 'gone', moduleId: 'm' },
];
const exports = ({ jobs }: RunReport): string[] =>
  jobs.filter(({ type }) => type === 'export').map(({ hub: host }) => host.split('.')[0] ?? '');

/** A run during which the source changes after its first export. */
async function changedMeanwhile(options: Partial<MigrateInput>, change: () => void): Promise<RunReport> {
  hub('new').occupySlot();
  const counted = () => hub('old').counts()['GET /statistics/devices'] ?? 0;
  const before = counted();
  const handle = await stand.migrate(options);
  // Devices are counted by the preflight, before the export, and again when its snapshot is sealed.
  await until('the snapshot of the source is sealed', () => counted() === before + 3);
  change();
  hub('new').releaseSlot();
  return stand.reportOf(handle);
}

it('counts what changed on the source meanwhile, as it is there, and changes no verdict', async () => {
  hub('old').load(fleet);
  hub('old').loadConfigurations([
    { id: 'c', priority: 1, targetCondition: '', content: { deviceContent: { 'properties.desired.c': 1 } } },
  ]);
  const options = {
    recheckSource: true,
    rules: parseRules('rules.yaml', `[{ when: kind != 'module', then: { rename: '{{id}}-eu' } }]`),
  };
  const report = await changedMeanwhile(options, () => {
    hub('old').clear();
    hub('old').load(fleet.slice(0, 3));
    hub('old').load([{ deviceId: 'leaf', parent: 'gw', tags: { n: 2 } }, { deviceId: 'fresh' }]);
  });
  expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 5 } });
  // The simulator makes other keys and scopes for the records that are loaded again.
  expect(report.sourceChanges).toMatchObject({
    devices: { created: 1, deleted: 1, changed: 2 },
    modules: { created: 0, deleted: 1 },
    systemModules: { created: 0, deleted: 0, changed: 0 },
    configurations: { created: 0, deleted: 1, changed: 0 },
  });
  const warned = report.warnings.find(({ code }) => code === 'SOURCE_CHANGED');
  expect(warned?.samples).toContain('gone deleted');
  expect(exports(report)).toEqual(['old', 'new', 'new', 'old']);
  expect(hub('new').record('gone-eu')).toBeDefined();

  const nothing = await stand.migrated({ ...options, goal: 'verify' });
  expect(nothing.sourceChanges?.devices).toEqual({ created: 0, deleted: 0, changed: 0 });
  expect(nothing.warnings.map(({ code }) => code)).not.toContain('SOURCE_CHANGED');
  expect(exports(nothing).toSorted()).toEqual(['new', 'old', 'old']);
});

it('a source that cannot be exported again changes no verdict either', async () => {
  hub('old').load(fleet);
  expect(await stand.migrated()).toMatchObject({ outcome: 'verified' });
  const report = await changedMeanwhile({ goal: 'verify', recheckSource: true }, () =>
    hub('old').addFault({ kind: 'status', status: 401, route: 'POST /jobs/create', times: 100 }),
  );
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  expect(report.warnings).toMatchObject([{ code: 'SOURCE_NOT_RECHECKED', count: 1 }]);
  expect(report).not.toHaveProperty('sourceChanges');
});
