/** Which snapshots of a schedule stay: one that either of the two lets go, goes. */
export interface Retention {
  /** The newest ones, by number. Left out: any number. */
  readonly count?: number;
  /** Younger ones, in ms. Left out: of any age. */
  readonly age?: number;
}

/** What a run's report says of snapshots. */
export interface SnapshotUse {
  readonly run: string;
  readonly workflow: string;
  readonly outcome: string;
  /** A host, `snapshot:ID` or `run:RUN`. */
  readonly source: string;
  readonly target: string | null;
  /** ISO time. */
  readonly started: string;
  readonly schedule?: string;
  readonly snapshots: { readonly source: string | null; readonly target: string | null };
}

/** How long a plan keeps the snapshots that it was made from, ms: `migrate --plan` carries it out. */
export const PLAN_KEEPS = 7 * 86_400_000;

const GOOD: ReadonlySet<string> = new Set(['done', 'verified']);
const OPEN: ReadonlySet<string> = new Set(['running', 'parked']);

/**
 * Chooses the snapshots that a schedule does not keep any more. Only snapshots that its own earlier runs took, of the same
 * hubs by the same verb, can be among them. Those of the newest run stay (a rollback needs them), and so do the newest
 * good ones, and what an open run or a plan of the last days is made from.
 *
 * @param runs all reports, in any order.
 * @param existing the containers that there are.
 * @param own the run after which it is asked.
 * @param now epoch ms
 */
export function outdated(
  runs: readonly SnapshotUse[],
  existing: ReadonlySet<string>,
  own: SnapshotUse,
  keep: Retention,
  now: number,
): { readonly remove: readonly string[]; readonly kept: number } {
  const { count = Number.POSITIVE_INFINITY, age = Number.POSITIVE_INFINITY } = keep;
  const used = usedBy(runs, now);
  const mine = runs
    .filter((run) => isLike(run, own) && !OPEN.has(run.outcome))
    .map((run) => ({ run, taken: takenBy(run).filter((id) => existing.has(id)) }))
    .filter(({ taken }) => taken.length > 0)
    .toSorted((a, b) => Date.parse(b.run.started) - Date.parse(a.run.started));
  const newestGood = mine.findIndex(({ run }) => GOOD.has(run.outcome));
  const remove: string[] = [];
  let kept = 0;
  for (const [place, { run, taken }] of mine.entries()) {
    const isDue = place >= count || now - Date.parse(run.started) > age;
    const stays = !isDue || place === 0 || place === newestGood || run.run === own.run;
    const gone = stays ? [] : taken.filter((id) => !used.has(id));
    remove.push(...gone);
    kept += taken.length - gone.length;
  }
  return { remove, kept };
}

function isLike(run: SnapshotUse, own: SnapshotUse): boolean {
  const { schedule, workflow, source, target } = own;
  return (
    schedule !== undefined &&
    run.schedule === schedule &&
    run.workflow === workflow &&
    run.source === source &&
    run.target === target
  );
}

/** The snapshots that a run took itself: the source may have been a stored one. */
function takenBy({ run, snapshots }: SnapshotUse): string[] {
  return named(snapshots).filter((id) => id.startsWith(`hf-${run}-`));
}

const named = ({ source, target }: SnapshotUse['snapshots']): string[] =>
  [source, target].filter((id) => id !== null);

/** What somebody still needs. */
function usedBy(runs: readonly SnapshotUse[], now: number): Set<string> {
  const open = runs.filter(({ outcome }) => OPEN.has(outcome));
  const used = new Set<string>();
  const use = ({ source, snapshots }: SnapshotUse): void => {
    const [, id] = /^snapshot:(.+)$/.exec(source) ?? [];
    for (const each of [...named(snapshots), ...(id === undefined ? [] : [id])]) used.add(each);
  };
  for (const run of open) {
    use(run);
    for (const other of runs) if (run.source === `run:${other.run}`) use(other);
  }
  for (const plan of runs.filter(({ outcome }) => outcome === 'planned')) {
    // An open run may carry out a plan of any age, and does not say so before it has its snapshots.
    const maybeUsed = open.some(
      ({ source, target, snapshots }) =>
        snapshots.source === null && source === plan.source && target === plan.target,
    );
    if (maybeUsed || now - Date.parse(plan.started) <= PLAN_KEEPS) use(plan);
  }
  return used;
}
