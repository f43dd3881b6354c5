import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { RunSettings } from '../../registry/settings.js';
import type { HubSettings, SimulatedHub } from '../../simulator/index.js';
import type { MigrateInput } from '../../workflows/messages.js';
import { openTestStand, sharedServices, type TestStand, writesOf } from './stand.js';
import { contentOf, loadWholeFleet, olderState, wholeFleet } from './whole-fleet.js';

/** Everything a registry may hold, moved in every way: the same few scenarios for a small and for a large fleet. */
export function wholeFleetScenarios(records: number, settings: RunSettings, patience: number): void {
  let stand: TestStand;
  beforeAll(async () => {
    stand = await openTestStand(sharedServices(inject));
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    stand.reset();
    loadWholeFleet(hub('old'), records);
  });
  const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);

  /** Migrates, proves field by field that all arrived, and that a second run has nothing to write. */
  async function arrives(options: Partial<MigrateInput>): Promise<void> {
    const report = await stand.migrated({ settings, ...options });
    expect(report.error).toBeNull();
    expect(report.verify).toMatchObject({ different: 0, missing: 0 });
    expect(report.rejected).toEqual([]);
    expect(report.outcome).toBe('verified');
    expect(contentOf(hub('new'))).toEqual(contentOf(hub('old')));

    hub('new').resetCounters();
    const again = await stand.migrated({ settings });
    expect(again.outcome).toBe('verified');
    expect(again.ledger).toMatchObject({ create: 0, update: 0, systemModules: { create: 0, update: 0 } });
    expect(again.ledger.configurations).toMatchObject({ create: 0, update: 0 });
    expect(writesOf(hub('new'))).toEqual({});
    expect(again.jobs.filter(({ type }) => type === 'import')).toEqual([]);
  }

  describe(`a fleet of ${records} records of every kind arrives`, () => {
    it.each<[string, Partial<HubSettings>]>([
      ['on an empty hub that shows late what was written', { visibilityLag: 150, queryLag: 300 }],
      ['where module lines are refused', { importModules: 'refuse', sasModuleQuirk: false }],
    ])(
      '%s',
      async (_where, switches) => {
        hub('new').set(switches);
        await arrives({});
      },
      patience,
    );

    it.each<HubSettings['importTwinPart']>(['replace', 'merge'])(
      'onto an older state of it, where an import means %s',
      async (importTwinPart) => {
        hub('new').load(olderState(wholeFleet(records)));
        hub('new').set({ importTwinPart });
        await arrives({ existing: 'overwrite' });
      },
      patience,
    );
  });
}
