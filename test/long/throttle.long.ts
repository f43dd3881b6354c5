import { expect, inject, it } from 'vitest';
import { sharedServices } from '../support/stand.js';
import { throttledMigration } from '../support/throttled.js';

it('10,000 devices with 200 edge devices arrive on a throttled hub, which hardly ever refuses a call', async () => {
  const { report, arrived, calls } = await throttledMigration(sharedServices(inject), {
    devices: 10_000,
    edges: 200,
    speed: 30,
    rates: 1,
  });
  expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
  const { systemModules, ...ledger } = report.ledger;
  expect(ledger).toMatchObject({ create: 10_098, applied: 10_098, rejected: 0, uncertain: 0, unsent: 0 });
  expect(systemModules).toMatchObject({ rejected: 0, uncertain: 0, unsent: 0 });
  expect(arrived).toBe(true);
  // One for each manifest, and few to look at configurations: ten times as many as the hub takes in a minute.
  expect(calls.configurations.answered).toBeGreaterThanOrEqual(200);
  const refused = Object.values(calls).reduce((sum, one) => sum + one.refused, 0);
  const answered = Object.values(calls).reduce((sum, one) => sum + one.answered, 0);
  expect(refused).toBeLessThan(answered * 0.03);
}, 600_000);
