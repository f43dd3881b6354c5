import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePredicate } from '../../config/predicate.js';
import { HubferryError } from '../../registry/errors.js';
import { imbalances } from '../../registry/ledger.js';
import { identityOfLine, parseLine } from '../../registry/line.js';
import { isSystemModule, recordKey } from '../../registry/record.js';
import { type Actions, type OrphanPolicy, type Rule, Rules } from '../../registry/rules.js';
import { SEEDED } from './arbitraries.js';
import { fleet, hubOf } from './fleets.js';
import type { HubModel } from './hub-model.js';
import { apply, compare, type Desired, plan, transform } from './migration.js';

const WHEN = [
  'true',
  'iotEdge',
  "kind == 'module'",
  "kind != 'module'",
  "status == 'disabled'",
  "id.endsWith('-1')",
  "id.endsWith('-4')",
  "parent == 'd-3'",
  'has(tags.a) && tags.a == 2',
  "id.startsWith('n-')",
  "authentication.type == 'sas'",
];

const actions: fc.Arbitrary<Actions> = fc.oneof(
  fc.constantFrom<Actions>({ exclude: true }, { include: true }),
  fc.constantFrom<Actions>({ status: 'disabled', statusReason: 'moved' }, { status: 'enabled' }),
  fc.constantFrom<Actions>({ tags: { set: { site: 'x' } } }, { tags: { remove: ['a', 'b'] } }),
  fc.constantFrom<Actions>({ desired: { remove: ['a'], set: { 'from.hub': 1 } } }),
  fc.constantFrom<Actions>(
    { rename: 'n-{{id}}' },
    { rename: { match: '-(\\d)', to: '+$1' } },
    { rename: 'd-2#' },
    { rename: 'bad/{{id}}' },
  ),
  fc.constantFrom<Actions>({ keys: 'swap' }, { keys: 'keep' }),
);

const ruleLists: fc.Arbitrary<Rule[]> = fc.array(
  fc.record({ when: fc.constantFrom(...WHEN), then: actions }),
  {
    minLength: 1,
    maxLength: 4,
  },
);
const orphanPolicies: fc.Arbitrary<OrphanPolicy> = fc.constantFrom('fail', 'detach', 'exclude');

/** The desired state under rules; null where they forbid to go on. */
function under(source: HubModel, list: readonly Rule[], orphans: OrphanPolicy): Desired | null {
  try {
    return transform(source, { rules: new Rules(list, compilePredicate), orphans });
  } catch (error) {
    const allowed = ['PARENT_FILTERED', 'RENAME_COLLISION'];
    if (error instanceof HubferryError && allowed.includes(error.code)) return null;
    throw error;
  }
}

const linesByKey = (hub: HubModel): Map<string, string> =>
  new Map(
    hub.exportLines().map((line) => {
      const { deviceId, moduleId } = identityOfLine(line);
      return [recordKey(deviceId, moduleId), line];
    }),
  );

test('rules never break the ledger, what they leave out stays, and a second run is a no-op', () => {
  let ran = 0;
  fc.assert(
    fc.property(fleet, fleet, ruleLists, orphanPolicies, (from, onto, list, orphans) => {
      const target = hubOf(onto, 5000);
      const before = linesByKey(target);
      const desired = under(hubOf(from, 100), list, orphans);
      if (desired === null) return;
      ran += 1;
      const policy = { existing: 'overwrite', extra: 'delete' } as const;
      const { changes, ledger } = plan(desired, target, policy);
      apply(changes, desired, target, ledger);
      expect(imbalances(ledger)).toStrictEqual([]);
      expect(ledger).toMatchObject({ rejected: 0, unsent: 0 });

      const after = linesByKey(target);
      const wanted = new Set(
        changes.filter(({ comparison }) => 'line' in comparison).map(({ comparison }) => comparison.key),
      );
      for (const line of desired.filtered.flat()) {
        const { deviceId, moduleId } = identityOfLine(line);
        const key = recordKey(deviceId, moduleId);
        const old = before.get(key);
        // Its device may be updated to an edge device and back, which makes and ends the hub's own modules.
        if (old === undefined || wanted.has(key) || isSystemModule(parseLine(old))) continue;
        expect(after.get(key)).toBe(old);
      }
      const again = plan(desired, target, policy);
      expect(again.ledger).toMatchObject({ create: 0, update: 0, delete: 0, unchanged: ledger.desired });
    }),
    { ...SEEDED, numRuns: 400 },
  );
  expect(ran).toBeGreaterThan(200);
});

test('what arrives on an empty hub is what a simple model of the rules says', () => {
  let ran = 0;
  fc.assert(
    fc.property(fleet, ruleLists, (from, list) => {
      const source = hubOf(from, 100);
      const desired = under(source, list, 'detach');
      if (desired === null) return;
      ran += 1;
      const target = hubOf(from.map((device) => ({ ...device, kind: 'absent' })) as typeof from, 5000);
      const { changes, ledger } = plan(desired, target, { existing: 'fail', extra: 'keep' });
      apply(changes, desired, target, ledger);
      const refused = new Set(
        changes
          .filter(({ comparison }) => comparison.kind === 'refused')
          .map(({ comparison }) => String(comparison.key)),
      );
      const expected = modelled(source, list).filter((key) => !refused.has(key));
      const arrived = [...linesByKey(target)]
        .filter(([, line]) => !isSystemModule(parseLine(line)))
        .map(([key]) => key);
      expect(arrived.toSorted()).toStrictEqual(expected.toSorted());
      expect(compare(desired, target).some(({ kind }) => kind === 'missing' || kind === 'different')).toBe(
        false,
      );
    }),
    { ...SEEDED, numRuns: 300 },
  );
  expect(ran).toBeGreaterThan(150);
});

/** The keys that go to the target, by what rules mean: written down once more, and simpler. */
function modelled(source: HubModel, list: readonly Rule[]): string[] {
  const lines = source.exportLines();
  const records = lines.map(parseLine);
  const owners = new Map(
    records.filter(({ iotEdge }) => iotEdge).map((edge) => [edge.deviceScope, edge.deviceId]),
  );
  const devices = new Map<string, { steps: string[]; out: boolean }>();
  const judged = (at: number, steps: string[]): { steps: string[]; out: boolean } => {
    const found = records[at];
    if (found === undefined) throw new Error('no record');
    const kind = found.moduleId !== null ? 'module' : found.iotEdge ? 'edge' : 'device';
    const parentScope = found.iotEdge ? found.parentScopes[0] : found.deviceScope;
    const owner = kind === 'module' ? null : (owners.get(parentScope ?? '') ?? null);
    const now = {
      ...found,
      kind,
      id: found.deviceId,
      parent: owner === found.deviceId ? null : owner,
      tags: { ...found.tags },
      authentication: { type: found.authentication?.type ?? '' },
    } as const;
    let { id, status, tags } = {
      id: now.id,
      status: now.status as string,
      tags: now.tags as Record<string, unknown>,
    };
    const ids: string[] = [];
    let out = false;
    for (const [number, { when, then }] of list.entries()) {
      id = steps[number] ?? id;
      const view = { ...now, id, tags, status: status as 'enabled' };
      if (compilePredicate(when)(view)) {
        if (then.exclude) out = true;
        if (then.include) out = false;
        if (kind !== 'module') status = then.status ?? status;
        for (const name of then.tags?.remove ?? []) {
          const { [name]: _gone, ...kept } = tags;
          tags = kept;
        }
        if (kind !== 'module' && typeof then.rename === 'string') id = then.rename.split('{{id}}').join(id);
        else if (kind !== 'module' && then.rename !== undefined) id = id.replace(/-(\d)/, '+$1');
      }
      ids.push(id);
    }
    return { steps: ids, out };
  };
  for (const [at, { deviceId, moduleId }] of records.entries())
    if (moduleId === null) devices.set(deviceId, judged(at, []));
  return records.flatMap((found, at) => {
    const device = devices.get(found.deviceId);
    const id = device?.steps.at(-1) ?? found.deviceId;
    if (isSystemModule(found) || device === undefined || device.out) return [];
    if (found.moduleId === null) return [id];
    // A rule sees the id that its device has when it is that rule's turn.
    const seen = [found.deviceId, ...device.steps].slice(0, list.length);
    return judged(at, seen).out ? [] : [`${id}/${found.moduleId}`];
  });
}
