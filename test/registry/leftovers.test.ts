import { describe, expect, test } from 'vitest';
import { checkContainer } from '../../registry/containers.js';
import {
  type Circumstances,
  leftovers,
  type Stored,
  type StoredRun,
  type Verdict,
} from '../../registry/leftovers.js';
import { isSameServer, type Server } from '../../registry/server.js';

const DAY = 86_400_000;
const NOW = Date.parse('2026-08-20T12:00:00Z');
const RUN = '20260820-110000-aaaaaa';
const OTHER = '20260820-100000-bbbbbb';
const OLD = '20260801-100000-cccccc';
const HERE: Server = { server: 'temporal:7233/default', namespaceId: 'here' };
const THERE: Server = { server: 'elsewhere:7233/default', namespaceId: 'there' };

const usual: Circumstances = {
  here: HERE,
  open: new Set(),
  named: new Set(),
  olderThan: 7 * DAY,
  now: NOW,
};

function reportOf(change: Partial<StoredRun> = {}): StoredRun {
  return {
    run: RUN,
    workflow: 'migrate',
    outcome: 'running',
    source: 'old.example',
    target: 'new.example',
    started: '2026-08-20T11:00:00.000Z',
    server: 'temporal:7233/default',
    namespaceId: 'here',
    snapshots: { source: null, target: null },
    ...change,
  };
}

const elsewhere = { server: 'elsewhere:7233/default', namespaceId: 'there' };

/** What becomes of containers; those that are sealed end with a star. */
function judged(
  names: readonly string[],
  reports: readonly StoredRun[],
  change: Partial<Circumstances> = {},
): { readonly remove: string[]; readonly keep: string[] } {
  const containers = names.map((name) => ({ name: name.replace('*', ''), sealed: name.endsWith('*') }));
  return namesOf(leftovers({ ...NOTHING, reports, containers }, { ...usual, ...change }));
}

const NOTHING: Stored = { reports: [], containers: [], prepared: [], owners: [] };
const namesOf = ({ remove, keep }: Verdict) => ({
  remove: remove.map(({ name }) => name),
  keep: keep.map(({ name }) => name),
});
const nothing = { remove: [], keep: [] };

const WORK = `hf-${RUN}-work`;
const SOURCE = `hf-${RUN}-0001-1`;
const TARGET = `hf-${RUN}-0002-1`;
const ALL = [WORK, SOURCE, TARGET, `hf-${RUN}-200000-1`];

describe('containers', () => {
  test('of a run that goes on stay, and nobody is told of them', () => {
    const open = new Set([RUN]);
    expect(judged(ALL, [reportOf()], { open })).toEqual(nothing);
    expect(judged(ALL, [reportOf({ outcome: 'parked' })], { open })).toEqual(nothing);
    // Also where somebody says that it is lost, or its report is gone.
    expect(judged(ALL, [reportOf()], { open, named: new Set([RUN]) })).toEqual(nothing);
    expect(judged([`hf-${OLD}-work`], [], { open: new Set([OLD]) })).toEqual(nothing);
  });

  test('of a lost run go, but the snapshots that its report names', () => {
    const snapshots = { source: SOURCE, target: TARGET };
    expect(judged(ALL, [reportOf()])).toEqual({ remove: ALL, keep: [] });
    expect(judged(ALL, [reportOf({ snapshots })])).toEqual({
      remove: [WORK, `hf-${RUN}-200000-1`],
      keep: [],
    });
  });

  test.each(['verified', 'differences', 'failed', 'cancelled', 'planned', 'done', 'skipped'])(
    'of a run that ended %s go, wherever it ran, but the snapshots that its report names',
    (outcome) => {
      const snapshots = { source: SOURCE, target: null };
      const remove = ALL.filter((name) => name !== SOURCE);
      expect(judged(ALL, [reportOf({ outcome, snapshots })])).toEqual({ remove, keep: [] });
      expect(judged(ALL, [reportOf({ outcome, snapshots, ...elsewhere })])).toEqual({ remove, keep: [] });
    },
  );

  test('that other runs name stay: as their source, as their snapshot, and as what they restore', () => {
    const over = reportOf({ outcome: 'verified' });
    const restore = reportOf({ run: OTHER, outcome: 'running', source: `snapshot:${SOURCE}` });
    const rollback = reportOf({ run: OTHER, snapshots: { source: TARGET, target: `hf-${OTHER}-0001-1` } });
    expect(judged(ALL, [over, restore]).remove).not.toContain(SOURCE);
    expect(judged(ALL, [over, rollback]).remove).not.toContain(TARGET);
  });

  test('of a run that another server may still run stay, and are told of, until somebody says that it is lost', () => {
    const report = reportOf(elsewhere);
    expect(judged(ALL, [report])).toEqual({ remove: [], keep: ALL });
    expect(judged(ALL, [report], { now: NOW + 400 * DAY })).toEqual({ remove: [], keep: ALL });
    expect(judged(ALL, [report], { named: new Set([OTHER]) })).toEqual({ remove: [], keep: ALL });
    expect(judged(ALL, [report], { named: new Set([RUN]) })).toEqual({ remove: ALL, keep: [] });
    const { keep } = leftovers(
      { ...NOTHING, reports: [report], containers: [{ name: WORK, sealed: false }] },
      usual,
    );
    expect(keep[0]?.why).toBe(
      `may go on under Temporal server elsewhere:7233/default; if it is lost: hubferry gc --run ${RUN}`,
    );
  });

  test('of a run without a report go when it is old, but whole snapshots', () => {
    const edits = `hf-${OLD}-edits`;
    expect(judged([edits], [])).toEqual({ remove: [edits], keep: [] });
    expect(judged([edits], [], { olderThan: 20 * DAY })).toEqual({ remove: [], keep: [edits] });
    expect(judged([`hf-${RUN}-edits`], [])).toEqual({ remove: [], keep: [`hf-${RUN}-edits`] });
    expect(judged([`hf-${RUN}-edits`], [], { named: new Set([RUN]) }).remove).toHaveLength(1);
    const sealed = `hf-${OLD}-0001-1`;
    expect(judged([`${sealed}*`], [])).toEqual({ remove: [], keep: [sealed] });
    expect(judged([`${sealed}*`], [], { named: new Set([OLD]) })).toEqual({ remove: [sealed], keep: [] });
  });

  test('with new keys stay until somebody has saved them, also where their run is said to be lost', () => {
    const keys = `hf-${RUN}-keys`;
    for (const outcome of ['running', 'verified', 'failed']) {
      const change = { named: new Set([RUN]) };
      expect(judged([keys], [reportOf({ outcome })], change)).toEqual({ remove: [], keep: [keys] });
    }
  });

  test('of a check go an hour later; those that no run and no check made are not looked at', () => {
    const [young, old] = [checkContainer(NOW - 60_000), checkContainer(NOW - 2 * 3_600_000)];
    expect(judged([young, old, 'hf-photos', 'hf-'], [])).toEqual({ remove: [old], keep: [] });
  });
});

describe('access of a hub to a container made beforehand', () => {
  const prepared = [{ container: 'jobs-old', host: 'old.example', job: SOURCE }];
  const access = (reports: readonly StoredRun[], change: Partial<Circumstances> = {}) =>
    namesOf(leftovers({ ...NOTHING, prepared, reports }, { ...usual, ...change }));

  test('goes with its run, also where the snapshot of its job is kept', () => {
    const snapshots = { source: SOURCE, target: null };
    expect(access([reportOf({ snapshots })])).toEqual({ remove: ['jobs-old'], keep: [] });
    expect(access([reportOf()], { open: new Set([RUN]) })).toEqual(nothing);
    expect(access([reportOf(elsewhere)])).toEqual({ remove: [], keep: ['jobs-old'] });
  });

  test('stays where nobody can say whose it is', () => {
    const stored = { ...NOTHING, prepared: [{ container: 'jobs-old', host: 'old.example', job: 'else' }] };
    expect(namesOf(leftovers(stored, usual))).toEqual({ remove: [], keep: ['jobs-old'] });
  });
});

describe('the hold on a target', () => {
  const held = (owner: (Server & { run: string }) | null, reports: readonly StoredRun[] = [], change = {}) =>
    namesOf(
      leftovers({ ...NOTHING, owners: [{ host: 'new.example', owner }], reports }, { ...usual, ...change }),
    );
  const goes = { remove: ['new.example'], keep: [] };
  const stays = { remove: [], keep: ['new.example'] };

  test('of a run that goes on stays', () => {
    expect(held({ run: RUN, ...HERE }, [reportOf()], { open: new Set([RUN]) })).toEqual(nothing);
  });

  test('of a run that ended or is lost goes, also without a report', () => {
    expect(held({ run: RUN, ...HERE }, [reportOf()])).toEqual(goes);
    expect(held({ run: RUN, ...HERE })).toEqual(goes);
    expect(held({ run: RUN, ...THERE }, [reportOf({ outcome: 'failed', ...elsewhere })])).toEqual(goes);
  });

  test('of a run of another server goes only when it is named', () => {
    expect(held({ run: RUN, ...THERE }, [reportOf(elsewhere)])).toEqual(stays);
    expect(held({ run: RUN, ...THERE })).toEqual(stays);
    expect(held({ run: OLD, ...THERE })).toEqual(stays);
    expect(held({ run: RUN, ...THERE }, [reportOf(elsewhere)], { named: new Set([RUN]) })).toEqual(goes);
    expect(held({ run: RUN, ...THERE }, [], { named: new Set([RUN]) })).toEqual(goes);
  });

  test('stays where it cannot be read, and is that of a check for an hour', () => {
    expect(held(null)).toEqual(stays);
    const nobody = { server: null, namespaceId: null };
    expect(held({ run: checkContainer(NOW - 1000), ...nobody })).toEqual(nothing);
    expect(held({ run: checkContainer(NOW - DAY), ...nobody })).toEqual(goes);
  });
});

describe('one server or two', () => {
  const of = (server: string | null, namespaceId: string | null): Server => ({ server, namespaceId });
  test.each([
    ['an address that changed', of('a:7233/default', 'id'), of('b:7233/default', 'id'), true],
    ['two namespaces of one address', of('a:7233/default', 'x'), of('a:7233/default', 'y'), false],
    ['one that does not tell its id', of('a:7233/default', null), of('a:7233/default', 'y'), true],
    ['loopback, which is another machine', of('localhost:7233/d', null), of('localhost:7233/d', 'y'), false],
    ['loopback by number', of('127.0.0.1:7233/d', null), of('127.0.0.1:7233/d', null), false],
    [
      'an embedded one with a new database',
      of('embedded on h (/f)', 'x'),
      of('embedded on h (/f)', 'y'),
      true,
    ],
    ['embedded ones of two folders', of('embedded on h (/f)', 'x'), of('embedded on h (/g)', 'y'), false],
    ['nobody knows', of(null, null), of(null, null), false],
  ])('%s', (_, one, other, expected) => {
    expect(isSameServer(one, other)).toBe(expected);
    expect(isSameServer(other, one)).toBe(expected);
  });
});
