import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { imbalances, verifyImbalances } from '../../registry/ledger.js';
import { identityOfLine } from '../../registry/line.js';
import type { Policy } from '../../registry/policy.js';
import type { Comparison } from '../../registry/reconcile.js';
import { recordKey } from '../../registry/record.js';
import { SEEDED } from './arbitraries.js';
import { fleet, hubOf } from './fleets.js';
import type { HubModel } from './hub-model.js';
import { apply, compare, plan, transform } from './migration.js';

const policies: fc.Arbitrary<Policy> = fc.record({
  existing: fc.constantFrom('skip', 'overwrite'),
  extra: fc.constantFrom('keep', 'delete'),
});

const keysOf = (comparisons: readonly Comparison[], kind: Comparison['kind']): string[] =>
  comparisons.filter((comparison) => comparison.kind === kind).map(({ key }) => key);

const linesByKey = (hub: HubModel): Map<string, string> =>
  new Map(
    hub.exportLines().map((line) => {
      const { deviceId, moduleId } = identityOfLine(line);
      return [recordKey(deviceId, moduleId), line];
    }),
  );

test('plan(x, x) is empty', () => {
  fc.assert(
    fc.property(fleet, policies, (devices, policy) => {
      const hub = hubOf(devices, 100);
      const { changes, ledger } = plan(transform(hub), hub, policy);
      const verdicts = new Set(changes.map(({ verdict }) => verdict));
      for (const verdict of ['unchanged', 'refused', 'system'] as const) verdicts.delete(verdict);
      expect(verdicts).toStrictEqual(new Set());
      expect(ledger).toMatchObject({ create: 0, update: 0, delete: 0, kept: 0 });
      expect(imbalances(ledger)).toStrictEqual([]);
    }),
    SEEDED,
  );
});

test('apply(plan(a, b), a) = b', () => {
  fc.assert(
    fc.property(fleet, fleet, (from, onto) => {
      const target = hubOf(onto, 5000);
      const desired = transform(hubOf(from, 100));
      const { changes, ledger } = plan(desired, target, { existing: 'overwrite', extra: 'delete' });
      apply(changes, desired, target, ledger);
      expect(ledger).toMatchObject({ rejected: 0, unsent: 0 });
      expect(imbalances(ledger)).toStrictEqual([]);
      const after = compare(desired, target);
      expect(keysOf(after, 'different')).toStrictEqual([]);
      expect(keysOf(after, 'missing')).toStrictEqual([]);
      // A module without a source stays where its device is refused.
      const refused = new Set(keysOf(after, 'refused'));
      const extra = keysOf(after, 'extra').filter((key) => !refused.has(key.split('/')[0] ?? ''));
      expect(extra).toStrictEqual([]);
      expect(keysOf(after, 'equal')).toHaveLength(ledger.desired);
    }),
    { ...SEEDED, numRuns: 300 },
  );
});

test('under every policy the ledger balances, and what is kept, extra or refused is left as it was', () => {
  fc.assert(
    fc.property(fleet, fleet, policies, (from, onto, policy) => {
      const target = hubOf(onto, 5000);
      const before = linesByKey(target);
      const desired = transform(hubOf(from, 100));
      const { changes, ledger } = plan(desired, target, policy);
      apply(changes, desired, target, ledger);
      expect(imbalances(ledger)).toStrictEqual([]);

      const after = linesByKey(target);
      const deleted = new Set(
        changes
          .filter(({ verdict }) => verdict === 'delete')
          .map(({ comparison }) => comparison.key.split('/')[0]),
      );
      for (const { comparison, verdict } of changes) {
        const { key } = comparison;
        // A deleted device takes its modules with it.
        const stays = !deleted.has(key.split('/')[0]);
        if (verdict === 'kept' || ((verdict === 'extra' || verdict === 'refused') && stays)) {
          expect(after.get(key)).toBe(before.get(key));
        }
        if (verdict === 'delete') expect(after.has(key)).toBe(false);
      }

      const verified = compare(desired, target);
      const kept = new Set(
        changes.filter(({ verdict }) => verdict === 'kept').map(({ comparison }) => comparison.key),
      );
      const different = keysOf(verified, 'different').filter((key) => !kept.has(recordKey(key, null)));
      const missing = keysOf(verified, 'missing');
      expect(missing.length + different.length).toBe(ledger.unsent);
      expect(
        verifyImbalances(ledger, {
          compared: ledger.desired,
          match: keysOf(verified, 'equal').length,
          kept: kept.size,
          different: different.length,
          missing: missing.length,
          extra: keysOf(verified, 'extra').length,
        }),
      ).toStrictEqual([]);
    }),
    { ...SEEDED, numRuns: 300 },
  );
});

test('the fleets above are worth it: every verdict and refusal occurs', () => {
  const seen = new Set<string>();
  for (const [from, onto] of fc.sample(fc.tuple(fleet, fleet), SEEDED)) {
    const desired = transform(hubOf(from, 100));
    if (desired.stale > 0) seen.add('stale');
    for (const existing of ['fail', 'skip', 'overwrite'] as const) {
      const extra = existing === 'overwrite' ? 'delete' : 'keep';
      for (const { comparison, verdict } of plan(desired, hubOf(onto, 5000), { existing, extra }).changes) {
        seen.add(verdict);
        if (comparison.kind === 'refused') seen.add(comparison.refusal.code);
        if (comparison.kind === 'different') for (const field of comparison.fields) seen.add(field);
      }
    }
  }
  const verdicts = [
    'unchanged',
    'create',
    'update',
    'delete',
    'kept',
    'conflict',
    'extra',
    'system',
    'refused',
  ];
  const refusals = ['KEYS_INVALID', 'TWIN_NULL', 'PARENT_REFUSED', 'DEVICE_REFUSED'];
  const fields = ['status', 'statusReason', 'authentication.type', 'tags', 'desired', 'iotEdge', 'parent'];
  expect([...seen]).toStrictEqual(expect.arrayContaining([...verdicts, ...refusals, ...fields, 'stale']));
});
