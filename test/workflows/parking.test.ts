import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { SimulatedHub } from '../../simulator/index.js';
import { type RunReport, resume } from '../../workflows/messages.js';
import { triesWithin } from '../../workflows/proxies.js';
import { keys } from '../support/keys.js';
import { endWriters, parked, steppedThrough } from '../support/parking.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
afterEach(() => endWriters(stand, 'new'));
beforeEach(() => {
  stand.failEach(null);
  stand.reset();
  stand
    .hub('old')
    .load(Array.from({ length: 20 }, (_, n) => ({ deviceId: `d${n}`, authentication: keys(n) })));
});

const target = (): SimulatedHub => stand.hub('new');
const imports = () =>
  target()
    .jobs.list()
    .filter(({ type }) => type === 'import');
const arrived = () => expect(essence(target().dump())).toEqual(essence(stand.hub('old').dump()));

/** The activities of a plain migration between preflight and its end. */
const EACH =
  'statistics createContainer enqueueJob submitJob pollJob closeJob sealSnapshot transform partition reconcile sealPlan keepChanges keepPlan stageChunk readErrorLog deleteContainer'.split(
    ' ',
  );

/** Four chunks of five. */
const CHUNKS = { settings: { ...FAST, chunkLines: 5 } };

describe('a fault that somebody can mend lets a run rest, and the same step is tried again after `resume`:', () => {
  it('a key that is changed in the middle', async () => {
    const before = imports().length;
    const second = stand.hold('readErrorLog');
    const handle = await stand.migrate(CHUNKS);
    await second.reached;
    target().addFault({ kind: 'status', status: 401, route: '*', times: 1_000 });
    second.release();
    const rests = await parked(handle, 'HUB_UNAUTHORIZED');
    expect(rests.parked?.why).toContain('cannot go on, HUB_UNAUTHORIZED: ');
    const { create, applied, rejected, uncertain, unsent } = rests.ledger;
    expect(create).toBe(20);
    expect(applied).toBeGreaterThanOrEqual(5);
    expect(applied + rejected + uncertain + unsent).toBe(create);
    await until('its report says so', async () => {
      const text = (await stand.storage.readText('hubferry', `runs/${rests.run}.json`)) ?? '{}';
      return (JSON.parse(text) as RunReport).parked?.reason === 'HUB_UNAUTHORIZED';
    });

    // Not mended yet.
    await handle.executeUpdate(resume);
    await parked(handle, 'HUB_UNAUTHORIZED');
    target().clearFaults();
    await handle.executeUpdate(resume);
    const report = await stand.reportOf(handle);
    expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 20 }, warnings: [] });
    expect(imports().length - before).toBe(4);
    arrived();
  });

  it('each step of a run, once', async () => {
    const before = imports().length;
    const { report, failed, rests } = await steppedThrough(stand, () => stand.migrate(CHUNKS));
    expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 20 }, warnings: [] });
    expect(imports().length - before).toBe(4);
    expect([...failed].toSorted()).toEqual(EACH.toSorted());
    // Those of two exports side by side fail together.
    expect(rests).toBeGreaterThan(EACH.length - 5);
    arrived();
  }, 300_000);
});

it('preflight tells a fault at once, and what nobody can mend ends a run', async () => {
  target().addFault({ kind: 'status', status: 401, route: '*', times: 1_000 });
  expect(await stand.migrated()).toMatchObject({ outcome: 'failed', error: { code: 'HUB_UNAUTHORIZED' } });
  target().clearFaults();
  stand.failEach('HUB_REFUSED', (activity) => activity === 'statistics');
  expect(await stand.migrated()).toMatchObject({ outcome: 'failed', error: { code: 'HUB_REFUSED' } });
});

it('patience is counted in tries, whose pauses grow to a minute', () => {
  expect([0, 1, 1_000, 3_000, 3_001, 63_000, 3_600_000].map(triesWithin)).toEqual([1, 2, 2, 3, 4, 7, 66]);
});
