import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { Edit } from '../../registry/edit.js';
import type { RunSettings } from '../../registry/settings.js';
import { type FleetRecord, generateFleet } from '../../simulator/index.js';
import { edited } from './edits.js';
import { essence, openTestStand, rolledBack, sharedServices, type TestStand } from './stand.js';

type Held = Record<string, Record<string, unknown>>;

const key = (n: number): string => Buffer.alloc(32, `key ${n} `).toString('base64');

/** One edit of every kind in turn, of devices that are there and of new ones. */
function editsOf(ids: readonly string[], count: number): Edit[] {
  return Array.from({ length: count }, (_, n): Edit => {
    const id = ids[n] ?? 'there are too few';
    const kinds: readonly Edit[] = [
      { id: `made-${n}`, op: 'create' },
      { id: `given-${n}`, op: 'create', authentication: { primaryKey: key(n), secondaryKey: key(n + 1) } },
      { id, op: 'delete' },
      { id, op: 'update', status: 'disabled', statusReason: `reason ${n}` },
      { id, op: 'update', authentication: { type: 'sas', primaryKey: key(n), secondaryKey: key(n + 1) } },
      { id, op: 'update', tags: { merge: { edited: n } }, desired: { merge: { deep: { edited: n } } } },
      { id, op: 'upsert', tags: { replace: '{"only":1.50}' } },
      { id, op: 'update', iotEdge: false, statusReason: 'a leaf' },
    ];
    return kinds[n % kinds.length] ?? { id, op: 'delete' };
  });
}

/** What the edits must make of a hub, without the code under test; keys that a hub or a run makes are left out. */
function modelOf(before: Held, edits: readonly Edit[]): Held {
  const after = structuredClone(before);
  for (const { id, op, ...edit } of edits) {
    const at = `${id}/`;
    if (op === 'delete') for (const name of Object.keys(after)) if (name.startsWith(at)) delete after[name];
    if (op === 'delete') continue;
    const fresh = {
      status: 'enabled',
      statusReason: '',
      iotEdge: false,
      parent: null,
      tags: {},
      desired: {},
    };
    const record: Record<string, unknown> = { ...fresh, ...after[at] };
    for (const name of ['status', 'statusReason', 'iotEdge'] as const)
      if (edit[name] !== undefined) record[name] = edit[name];
    for (const name of ['tags', 'desired'] as const) {
      const change = edit[name];
      if (change === undefined) continue;
      const old = record[name] as Record<string, unknown>;
      record[name] =
        'replace' in change ? (JSON.parse(change.replace) as unknown) : merged(old, change.merge);
    }
    after[at] = { authentication: {}, ...record };
  }
  return after;
}

function merged(old: Record<string, unknown>, patch: Readonly<Record<string, unknown>>): object {
  const { deep, ...rest } = patch;
  const below = typeof old['deep'] === 'object' ? old['deep'] : {};
  return { ...old, ...rest, ...(deep === undefined ? {} : { deep: { ...below, ...(deep as object) } }) };
}

const withoutKeys = (held: Held): Held =>
  Object.fromEntries(
    Object.entries(held).map(([name, { authentication, ...rest }]) => [
      name,
      { ...rest, has: !!authentication },
    ]),
  );

/** A mix of edits of plain devices and their modules in one run, and its rollback. */
export function editScenarios(count: number, foreign: number, settings: RunSettings, patience: number): void {
  let stand: TestStand;
  let before: Held;
  let edits: Edit[];
  beforeAll(async () => {
    stand = await openTestStand(sharedServices(inject));
  });
  afterAll(() => stand.close());
  beforeEach(() => {
    stand.hub('new').reset();
    stand.hub('new').load(generateFleet({ devices: 2 * count, seed: 31, edgeShare: 0 }));
    before = held();
    edits = editsOf(
      Object.keys(before).flatMap((name) => (name.endsWith('/') ? [name.slice(0, -1)] : [])),
      count,
    );
  });
  const held = (): Held => essence(stand.hub('new').dump()) as Held;

  const applied = async () => {
    const report = await edited(stand, edits, { settings, maxDelete: count });
    expect(report).toMatchObject({ error: null, outcome: 'verified', rejected: [] });
    expect(withoutKeys(held())).toEqual(withoutKeys(modelOf(before, edits)));
    return report;
  };

  it(
    `${count} edits of every kind in one run, undone by a rollback`,
    async () => {
      const run = await applied();
      const undone = await rolledBack(stand, run, settings);
      expect(undone).toMatchObject({ error: null, outcome: 'verified', warnings: [] });
      expect(held()).toEqual(before);
    },
    patience,
  );

  it(
    `${foreign} foreign edits in between survive the rollback, and are named`,
    async () => {
      const run = await applied();
      const after = held();
      const touched = edits.filter(({ op, moduleId }) => op !== 'delete' && moduleId === undefined);
      const theirs = touched
        .filter((_, n) => n % Math.floor(touched.length / foreign) === 0)
        .slice(0, foreign)
        .map(({ id }) => id);
      const records = new Map(
        [...stand.hub('new').dump()].map((one) => [`${one.deviceId}/${one.moduleId ?? ''}`, one]),
      );
      const written = theirs.flatMap((id): FleetRecord[] => {
        const one = records.get(`${id}/`);
        return one === undefined ? [] : [{ ...one, tags: { theirs: true } }];
      });
      expect(written).toHaveLength(foreign);
      stand.hub('new').load(written);
      const undone = await rolledBack(stand, run, settings);
      expect(undone).toMatchObject({ error: null, outcome: 'differences' });
      expect(undone.warnings).toMatchObject([{ code: 'CHANGED_SINCE_RUN', count: foreign }]);
      const file = undone.differences?.split('/').slice(1).join('/') ?? 'none';
      const named = ((await stand.storage.readText('hubferry', file)) ?? '').trim().split('\n');
      expect(named.toSorted()).toEqual(
        theirs.map((id) => JSON.stringify({ record: id, difference: 'changed since the run' })).toSorted(),
      );
      const expected = { ...before };
      for (const id of theirs) expected[`${id}/`] = { ...after[`${id}/`], tags: { theirs: true } };
      expect(held()).toEqual(expected);
    },
    patience,
  );
}
