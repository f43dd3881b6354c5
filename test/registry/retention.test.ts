import { describe, expect, test } from 'vitest';
import { outdated, PLAN_KEEPS, type SnapshotUse } from '../../registry/retention.js';

const DAY = 86_400_000;
const NOW = Date.parse('2026-08-20T00:00:00Z');

/** A snapshot of a schedule, so many days old. */
function snapshot(age: number, change: Partial<SnapshotUse> = {}): SnapshotUse {
  const run = `day-${age}`;
  return {
    run,
    workflow: 'snapshot',
    outcome: 'done',
    source: 'old',
    target: null,
    started: new Date(NOW - age * DAY).toISOString(),
    schedule: 'nightly',
    snapshots: { source: `hf-${run}-0001-1`, target: null },
    ...change,
  };
}

const idOf = (age: number): string => `hf-day-${age}-0001-1`;

/** What goes after the newest of these runs, by the age of the snapshots. */
function gone(runs: readonly SnapshotUse[], keep: { count?: number; age?: number }): number[] {
  const existing = new Set(runs.flatMap(({ snapshots }) => [snapshots.source ?? '', snapshots.target ?? '']));
  const own = runs[0] ?? snapshot(0);
  const { remove } = outdated(runs, existing, own, keep, NOW);
  return remove.map((id) => Number(/^hf-day-(\d+)/.exec(id)?.[1])).toSorted((a, b) => a - b);
}

const WEEK = [0, 1, 2, 3, 4, 5, 6].map((age) => snapshot(age));

describe('which snapshots a schedule keeps', () => {
  test('the newest ones, by number; younger ones, by age; both', () => {
    expect(gone(WEEK, { count: 3 })).toEqual([3, 4, 5, 6]);
    expect(gone(WEEK, { age: 4 * DAY })).toEqual([5, 6]);
    expect(gone(WEEK, { count: 6, age: 4 * DAY })).toEqual([5, 6]);
    expect(gone(WEEK, { count: 2, age: 4 * DAY })).toEqual([2, 3, 4, 5, 6]);
    expect(gone(WEEK, {})).toEqual([]);
  });

  test('the newest and the newest good one, whatever their age', () => {
    const failed = [0, 1].map((age) => snapshot(age, { outcome: 'failed' }));
    expect(gone([...failed, snapshot(2), snapshot(3)], { count: 1, age: 1 })).toEqual([1, 3]);
  });

  test('nothing of other schedules, verbs, hubs, or of runs that no schedule started', () => {
    const { schedule: _, ...byHand } = snapshot(5);
    const others = [
      snapshot(2, { schedule: 'weekly' }),
      snapshot(3, { source: 'new' }),
      snapshot(4, { workflow: 'migrate', target: 'new' }),
      byHand,
    ];
    expect(gone([snapshot(0), ...others, snapshot(9)], { count: 1 })).toEqual([9]);
  });

  test('counts only what is still there', () => {
    const existing = new Set([idOf(0), idOf(2), idOf(5)]);
    expect(outdated(WEEK, existing, snapshot(0), { count: 2 }, NOW)).toEqual({ remove: [idOf(5)], kept: 2 });
  });

  test('never the stored snapshot that the runs of a schedule restore', () => {
    const restores = [0, 1, 2].map((age) =>
      snapshot(age, {
        workflow: 'migrate',
        source: 'snapshot:hf-day-99-0001-1',
        target: 'new',
        snapshots: { source: 'hf-day-99-0001-1', target: `hf-day-${age}-0002-1` },
      }),
    );
    expect(gone(restores, { count: 1 })).toEqual([1, 2]);
  });

  test('both snapshots of a migration, but not those of the newest: a rollback needs them', () => {
    const migrations = [0, 1].map((age) =>
      snapshot(age, {
        workflow: 'migrate',
        target: 'new',
        snapshots: { source: idOf(age), target: `hf-day-${age}-0002-1` },
      }),
    );
    expect(gone(migrations, { count: 1, age: 0 })).toEqual([1, 1]);
  });
});

describe('what somebody needs stays', () => {
  const use = (change: Partial<SnapshotUse>): SnapshotUse => {
    const { schedule: _, ...run } = snapshot(0, {
      run: 'user',
      workflow: 'migrate',
      target: 'new',
      ...change,
    });
    return run;
  };
  const none = { source: null, target: null };

  test.each<[string, SnapshotUse]>([
    ['an open run restores it', use({ outcome: 'running', source: `snapshot:${idOf(5)}`, snapshots: none })],
    ['a parked run has it', use({ outcome: 'parked', snapshots: { source: idOf(5), target: null } })],
    ['an open rollback needs it', use({ outcome: 'running', source: 'run:day-5', snapshots: none })],
    [
      'a plan of the last days is made from it',
      use({ outcome: 'planned', workflow: 'plan', snapshots: { source: idOf(5), target: null } }),
    ],
  ])('%s', (_, user) => {
    expect(gone([...WEEK, user], { count: 3 })).toEqual([3, 4, 6]);
  });

  test('an old plan keeps it no more, unless an open run may carry it out', () => {
    const old = new Date(NOW - PLAN_KEEPS - 1).toISOString();
    const plan = use({
      run: 'plan',
      outcome: 'planned',
      workflow: 'plan',
      started: old,
      snapshots: { source: idOf(5), target: null },
    });
    expect(gone([...WEEK, plan], { count: 3 })).toEqual([3, 4, 5, 6]);
    const open = use({ outcome: 'running', snapshots: none });
    expect(gone([...WEEK, plan, open], { count: 3 })).toEqual([3, 4, 6]);
  });

  test('runs that are over need nothing', () => {
    expect(gone([...WEEK, use({ source: `snapshot:${idOf(5)}`, snapshots: none })], { count: 3 })).toEqual([
      3, 4, 5, 6,
    ]);
  });
});
