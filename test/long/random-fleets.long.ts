import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import { SEEDED } from '../registry/arbitraries.js';
import { modelOf } from '../support/policy-model.js';
import { essence, openTestStand, sharedServices, type TestStand } from '../support/stand.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());

const key = (n: number): string => Buffer.alloc(32, n).toString('base64');
const sas = fc
  .nat({ max: 3 })
  .map((n) => ({ type: 'sas' as const, primaryKey: key(n), secondaryKey: key(n + 9) }));
const twin = fc.constantFrom<NonNullable<FleetRecord['tags']>>(
  {},
  { a: 1 },
  { a: 1.5, b: { c: ['ü', false, 1e21] } },
  { b: { d: true } },
);

/** The edge devices are on both hubs, so that no policy takes a parent away from what it leaves alone. */
const EDGES = ['e-0', 'e-1'];
const LEAVES = ["l-0'%", 'l-1', 'l-2#', 'l-3', 'l-4'];

const device = fc.record({
  there: fc.boolean(),
  parent: fc.constantFrom(undefined, 'e-0', 'e-1'),
  status: fc.constantFrom('enabled' as const, 'disabled' as const),
  statusReason: fc.constantFrom('', 'in repair'),
  authentication: sas,
  tags: twin,
  desired: twin,
  module: fc.option(fc.record({ authentication: sas, tags: twin, desired: twin })),
});

const fleet = fc.tuple(...[...EDGES, ...LEAVES].map(() => device)).map((devices): FleetRecord[] =>
  devices.flatMap(({ there, parent, module, ...rest }, at) => {
    const edge = EDGES[at];
    const deviceId = edge ?? LEAVES[at - EDGES.length] ?? '';
    if (edge === undefined && !there) return [];
    const below = edge === 'e-0' || (edge === 'e-1' && parent !== 'e-0') || parent === undefined;
    const placed = { ...(below ? {} : { parent }), ...(edge === undefined ? {} : { iotEdge: true }) };
    const modules = module === null ? [] : [{ deviceId, moduleId: 'm', ...module }];
    return [{ deviceId, ...placed, ...rest }, ...modules];
  }),
);

const cases = fc.sample(
  fc.record({
    from: fleet,
    onto: fleet,
    existing: fc.constantFrom('skip' as const, 'overwrite' as const),
    extra: fc.constantFrom('keep' as const, 'delete' as const),
  }),
  { ...SEEDED, numRuns: 10 },
);

const held = (name: 'old' | 'new') => essence(stand.hub(name).dump());

test.each(cases)('random fleets under $existing and $extra do what the model does', async (one) => {
  stand.reset();
  stand.hub('old').load(one.from);
  stand.hub('new').load(one.onto);
  const { existing, extra } = one;
  const expected = modelOf(held('old'), held('new'), { existing, extra });
  const report = await stand.migrated({ existing, extra, maxDelete: 100 });
  expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
  expect(held('new')).toEqual(expected);
});
