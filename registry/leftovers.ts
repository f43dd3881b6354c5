import { checkedAt, runOfContainer } from './containers.js';
import type { SnapshotUse } from './retention.js';
import { isSameServer, type Server } from './server.js';

/** What a run's report says of it, as far as it matters here. */
export interface StoredRun extends SnapshotUse {
  readonly server?: string;
  /** Not in reports of 0.1. */
  readonly namespaceId?: string;
}

/** What of runs is in a storage account. */
export interface Stored {
  readonly reports: readonly StoredRun[];
  readonly containers: readonly {
    readonly name: string;
    /** Whether it holds a whole snapshot. */
    readonly sealed: boolean;
  }[];
  /** Containers made beforehand that hold things of a job. */
  readonly prepared: readonly {
    readonly container: string;
    readonly host: string;
    /** The name of the container that the job would have of its own. */
    readonly job: string;
  }[];
  /** Targets, and the run that holds each; null where that cannot be read. */
  readonly owners: readonly { readonly host: string; readonly owner: OwnerRun | null }[];
}

export interface OwnerRun extends Server {
  readonly run: string;
}

/** What decides what may go. */
export interface Circumstances {
  /** The Temporal server that was asked. */
  readonly here: Server;
  /** RUNs that it has open. */
  readonly open: ReadonlySet<string>;
  /** RUNs that somebody says are lost. */
  readonly named: ReadonlySet<string>;
  /** From which age on a run without a report is taken for one that never began, ms. */
  readonly olderThan: number;
  /** Epoch ms. */
  readonly now: number;
}

/** Something that a run left behind. */
export interface Leftover {
  /** `access`: what a job has in a container made beforehand, and a hub's access to it; `owner`: the hold on a target. */
  readonly kind: 'container' | 'access' | 'owner';
  /** A container, or the host of a target. */
  readonly name: string;
  /** Whose it is; null where nobody can say. */
  readonly run: string | null;
  /** Why it is not needed any more, or why it stays. */
  readonly why: string;
}

export interface Verdict {
  readonly remove: readonly Leftover[];
  /** What looks left behind and stays all the same, since nobody can be sure. */
  readonly keep: readonly Leftover[];
}

/** How a run stands. */
interface Standing {
  /** `over`: it needs nothing but the snapshots that reports name; `unsure`: it may need all of it. */
  readonly is: 'open' | 'over' | 'unsure';
  readonly why: string;
  /** Whether no report tells what it needs. */
  readonly unreported?: boolean;
}

const OPEN: ReadonlySet<string> = new Set(['running', 'parked']);

/** A check takes minutes at most, ms. */
const CHECK_TIME = 3_600_000;

/**
 * Tells what runs left behind from what somebody still needs. Runs that this Temporal server has open, and runs of other
 * servers without a last word, keep all that is theirs; of all others stay the snapshots that any report names, and keys
 * that nobody has fetched. When in doubt a thing stays.
 */
export function leftovers(stored: Stored, circumstances: Circumstances): Verdict {
  const needed = snapshotsOf(stored.reports);
  const standingOf = standings(stored.reports, circumstances);
  const remove: Leftover[] = [];
  const keep: Leftover[] = [];
  const judge = (thing: Omit<Leftover, 'why'>, { is, why }: Standing): void => {
    if (is === 'over') remove.push({ ...thing, why });
    if (is === 'unsure') keep.push({ ...thing, why });
  };
  for (const { name, sealed } of stored.containers) {
    const run = runOfContainer(name) ?? null;
    const thing = { kind: 'container', name, run } as const;
    if (run === null) {
      const checked = checkedAt(name);
      if (checked !== undefined && circumstances.now - checked > CHECK_TIME)
        remove.push({ ...thing, why: 'of a check that is over' });
      continue;
    }
    if (needed.has(name)) continue;
    const standing = standingOf(run);
    if (standing.is !== 'over') judge(thing, standing);
    else if (name === `hf-${run}-keys`) keep.push({ ...thing, why: unfetched(run) });
    else if (sealed && standing.unreported === true && !circumstances.named.has(run))
      keep.push({ ...thing, why: `a whole snapshot, but ${NO_REPORT}: hubferry gc --run ${run}` });
    else judge(thing, standing);
  }
  for (const { container, job } of stored.prepared) {
    const run = runOfContainer(job) ?? null;
    const standing = run === null ? UNKNOWN : standingOf(run);
    judge({ kind: 'access', name: container, run }, standing);
  }
  for (const { host, owner } of stored.owners) {
    if (owner === null) keep.push({ kind: 'owner', name: host, run: null, ...UNKNOWN });
    else
      judge({ kind: 'owner', name: host, run: owner.run }, ownerStanding(owner, standingOf, circumstances));
  }
  return { remove, keep };
}

const UNKNOWN: Standing = { is: 'unsure', why: 'nobody can say whose it is' };

const LOST: Standing = { is: 'over', why: 'its run is lost: it ended without a last word' };

const NO_REPORT = 'its run left no report';

const unfetched = (run: string): string =>
  `new keys that nobody has saved: hubferry status ${run} --keys-out FILE`;

/** Every snapshot that a report names. */
function snapshotsOf(reports: readonly StoredRun[]): ReadonlySet<string> {
  return new Set(
    reports.flatMap(({ source, snapshots }) => {
      const [, id] = /^snapshot:(.+)$/.exec(source) ?? [];
      return [snapshots.source, snapshots.target, id].filter((name) => typeof name === 'string');
    }),
  );
}

function standings(
  reports: readonly StoredRun[],
  { here, open, named, olderThan, now }: Circumstances,
): (run: string) => Standing {
  const byRun = new Map(reports.map((report) => [report.run, report]));
  return (run) => {
    if (open.has(run)) return { is: 'open', why: 'its run goes on' };
    const report = byRun.get(run);
    const isNamed = named.has(run);
    if (report === undefined) {
      if (isNamed || now - begun(run) > olderThan) return { is: 'over', why: NO_REPORT, unreported: true };
      return { is: 'unsure', why: `${NO_REPORT} yet; it may be about to begin` };
    }
    if (!OPEN.has(report.outcome)) return { is: 'over', why: `its run ended ${report.outcome}` };
    if (isNamed) return { is: 'over', why: 'its run is said to be lost' };
    const { server = null, namespaceId = null } = report;
    if (isSameServer({ server, namespaceId }, here)) return LOST;
    return { is: 'unsure', why: elsewhere(run, server) };
  };
}

const elsewhere = (run: string, server: string | null): string =>
  `may go on under ${server === null ? 'another Temporal server' : `Temporal server ${server}`}; ` +
  `if it is lost: hubferry gc --run ${run}`;

/** A run that holds a target may have got no further than that, or its report may be gone. */
function ownerStanding(
  owner: OwnerRun,
  standingOf: (run: string) => Standing,
  { here, named, now }: Circumstances,
): Standing {
  const checked = checkedAt(owner.run);
  if (checked !== undefined)
    return now - checked > CHECK_TIME
      ? { is: 'over', why: 'of a check that is over' }
      : { is: 'open', why: '' };
  const standing = standingOf(owner.run);
  const isTold = standing.is !== 'unsure' && standing.unreported !== true;
  if (isTold || named.has(owner.run)) return standing;
  // Who holds a target says himself where he runs.
  if (isSameServer(owner, here)) return LOST;
  return { is: 'unsure', why: elsewhere(owner.run, owner.server) };
}

/** When a run began, by its name, in epoch ms. */
function begun(run: string): number {
  return Date.parse(run.replace(/^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-.*$/, '$1-$2-$3T$4:$5:$6Z'));
}
