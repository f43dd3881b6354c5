import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Policy } from '../../registry/policy.js';
import type { RunSettings } from '../../registry/settings.js';
import { type FleetRecord, generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { modelOf } from './policy-model.js';
import { openTestStand, sharedServices, type TestStand, writesOf } from './stand.js';
import { contentOf } from './whole-fleet.js';

/** How many records of the target differ, are extra, and are equal; as many again are missing as are equal. */
export interface Shares {
  readonly differing: number;
  readonly extra: number;
  readonly equal: number;
}

/** One fleet onto a target that holds some of it in another state, and more: under every policy. */
export function policyScenarios(shares: Shares, settings: RunSettings, patience: number): void {
  let stand: TestStand;
  beforeAll(async () => {
    stand = await openTestStand(sharedServices(inject));
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    stand.reset();
    const { differing, extra, equal } = shares;
    const fleet = [...generateFleet({ devices: differing + 2 * equal, seed: 21 })];
    hub('old').load(fleet);
    hub('new').load(
      fleet.slice(0, differing + equal).map((record, n) => (n < differing ? other(record, n) : record)),
    );
    // What the hub minted itself must be equal, too.
    const minted = new Map([...hub('old').dump()].map((one) => [keyOf(one), one.authentication]));
    const again = [...hub('new').dump()].filter(({ moduleId }) => moduleId?.startsWith('$') !== true);
    hub('new').load(
      again.map((one) => ({ ...one, authentication: minted.get(keyOf(one)) ?? one.authentication })),
    );
    hub('new').load(generateFleet({ devices: extra, seed: 22, prefix: 'extra-' }));
  });
  const hub = (name: 'old' | 'new'): SimulatedHub => stand.hub(name);

  const { differing, extra, equal } = shares;
  describe(`onto ${differing} differing, ${extra} extra and ${equal} equal records`, () => {
    it.each<[Policy['existing'], Policy['extra']]>([
      ['skip', 'keep'],
      ['skip', 'delete'],
      ['overwrite', 'keep'],
      ['overwrite', 'delete'],
    ])(
      '--existing %s --extra %s does what its model does',
      async (existing, extraPolicy) => {
        const before = { source: contentOf(hub('old')), target: contentOf(hub('new')) };
        const policy = { existing, extra: extraPolicy };
        const report = await stand.migrated({ settings, existing, extra: extraPolicy, maxDelete: 1e6 });
        expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
        expect(report.ledger).toMatchObject({
          unchanged: equal,
          create: equal,
          kept: existing === 'skip' ? differing : 0,
          update: existing === 'skip' ? 0 : differing,
        });
        expect(contentOf(hub('new'))).toEqual(modelOf(before.source, before.target, policy));
        expect(contentOf(hub('old'))).toEqual(before.source);
      },
      patience,
    );

    it(
      '--existing fail writes nothing',
      async () => {
        const before = contentOf(hub('new'));
        hub('new').resetCounters();
        const report = await stand.migrated({ settings });
        expect(report.error).toMatchObject({ code: 'TARGET_DIFFERS' });
        expect(contentOf(hub('new'))).toEqual(before);
        expect(writesOf(hub('new'))).toEqual({});
      },
      patience,
    );
  });
}

const keyOf = ({ deviceId, moduleId }: FleetRecord): string => `${deviceId}/${moduleId ?? ''}`;

/** The same record as somebody else may have left it: in its identity, its twin, or both. */
function other(record: FleetRecord, n: number): FleetRecord {
  const twin = n % 3 === 0 ? {} : { tags: { other: n, deep: { n } }, desired: { other: n } };
  const identity = n % 3 === 1 || record.moduleId !== undefined ? {} : { statusReason: `other ${n}` };
  const changed = { ...record, ...twin, ...identity };
  // A module has no reason of its own: there its twin must differ.
  return record.moduleId !== undefined && n % 3 === 0 ? { ...changed, tags: { other: n } } : changed;
}
