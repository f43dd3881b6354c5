import { expect, test } from 'vitest';
import { type Workload, workOf } from '../../registry/estimate.js';

const nothing: Workload = {
  waves: [],
  chunkLines: 50_000,
  manifests: 0,
  configurations: { create: 0, update: 0 },
  arriving: 0,
  deletes: false,
  settle: 30_000,
};
const S1 = { tier: 'S1', units: 1 };
const UNMEASURED = { records: 0, seconds: 0 };

test('a plan that sends nothing takes nothing', () => {
  const { exports, calls, seconds } = workOf(nothing, S1, UNMEASURED);
  expect({ exports, calls, total: seconds.total }).toEqual({
    exports: 0,
    calls: { applyConfigurationContent: 0, configurations: 0, scopes: 0 },
    total: 0,
  });
});

test('500,000 records take the two hours of the documentation', () => {
  const waves = [{ wave: 'devices', linesPerPartition: [300_000, 200_000] }] as const;
  const { seconds, waves: sent } = workOf({ ...nothing, waves }, S1, UNMEASURED);
  expect(sent).toEqual([{ wave: 'devices', lines: 500_000, jobs: 10 }]);
  expect(seconds.imports / 3600).toBeCloseTo(1.98, 2);
});

test('the manifests of 10,000 edge devices take 8.3 h on one unit of S1, and a tenth of it on ten', () => {
  const load = { ...nothing, manifests: 10_000 };
  expect(workOf(load, S1, UNMEASURED).seconds.calls / 3600).toBeCloseTo(8.33, 2);
  expect(workOf(load, { tier: 'S1', units: 10 }, UNMEASURED).seconds.calls / 3600).toBeCloseTo(0.833, 3);
});

test('exports go at the rate of those that the run made, and deletes are proven on their own', () => {
  const load: Workload = {
    ...nothing,
    waves: [
      { wave: 'devices', linesPerPartition: [100] },
      { wave: 'deletes', linesPerPartition: [10] },
    ],
    arriving: 1000,
    deletes: true,
  };
  const work = workOf(load, S1, { records: 500, seconds: 5 });
  expect(work).toMatchObject({ exports: 2, seconds: { exports: 2 * (10 + 30), exportRate: 'measured' } });
  expect(workOf({ ...load, waves: load.waves.slice(1) }, S1, UNMEASURED).exports).toBe(1);
});

test('each level of edge devices is looked at before and after, a thousand to a page', () => {
  const waves = [
    { wave: 'edge-0', linesPerPartition: [1001] },
    { wave: 'edge-1', linesPerPartition: [1] },
  ] as const;
  expect(workOf({ ...nothing, waves }, S1, UNMEASURED).calls.scopes).toBe(6);
});

test('a configuration that changed is deleted and made again', () => {
  const configurations = { create: 2, update: 3 };
  expect(workOf({ ...nothing, configurations }, S1, UNMEASURED).calls.configurations).toBe(9);
});
