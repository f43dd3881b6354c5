import { CancellationScope } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { fail } from './failure.js';
import { bookPlan, keepSnapshots, preflight } from './gate.js';
import { refuseKeyless } from './keyless.js';
import type { DrillInput, MigrateInput, Outcome, RunReport } from './messages.js';
import { copy } from './migrate.js';
import { reconciled } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { plannedUndo, type Undone, undoConfigurations } from './undo.js';

/** The scratch hub is empty when a restore begins, and nothing but it is to be there in the end. */
const POLICY = { goal: 'migrate', existing: 'fail', extra: 'keep', strict: false } as const;

/** What is undone of a drill is its own. */
const CLEANING = { existing: 'overwrite', extra: 'delete', maxDelete: 'own', strict: false } as const;

/**
 * Proves that a snapshot can be restored: the same loop, to a scratch hub that is empty before and after, with the time
 * that it took. The scratch hub is emptied whatever happens; where even that is cut off, the next drill does it first.
 */
export async function drill({ objectives, source, ...rest }: DrillInput): Promise<RunReport> {
  const input: MigrateInput = { ...rest, ...POLICY, source: asSource(source) };
  const { account, target } = input;
  const name = source.kind === 'snapshot' ? `snapshot:${source.id}` : source.host;
  const run = new Run(input, { workflow: 'drill', source: name, target: target.host });
  return run.conduct(async () => {
    run.phase('preflight');
    const room = await preflight(run, input, source.kind === 'hub' ? source.host : null);
    const guarded = await run.activities.ask.guardScratch({ account, host: target.host, run: input.run });

    run.phase('snapshot');
    const from = await snapshotOf(run, input, source);
    refuseKeyless(input, from);
    const before = await emptied(run, input, guarded.former);
    keepSnapshots(run, from, before);

    run.endPhase();
    const began = Date.now();
    const phases = { ...run.report.seconds.phases };
    let outcome: Outcome;
    try {
      outcome = await copy(run, input, from, before, room);
      run.endPhase();
      const rto = (Date.now() - began) / 1000;
      const rpo = Math.max(0, (began - Date.parse(from.taken)) / 1000);
      run.report.drill = { rto, rpo, objectives, stages: since(phases, run.report.seconds.phases) };
      if (outcome === 'verified' && (isMissed(rto, objectives.rto) || isMissed(rpo, objectives.rpo)))
        outcome = 'differences';
    } finally {
      if (run.report.plan !== null) await cleanUp(run, input, before);
    }
    if (run.report.cleaned === false) return 'differences';
    run.keep([from.id]);
    run.report.snapshots.target = null;
    return outcome;
  });
}

const isMissed = (seconds: number, objective: number | null): boolean =>
  objective !== null && seconds > objective;

const asSource = (source: DrillInput['source']): MigrateInput['source'] =>
  source.kind === 'latest' ? { kind: 'hub', host: source.host } : source;

async function snapshotOf(
  run: Run,
  input: MigrateInput,
  source: DrillInput['source'],
): Promise<SnapshotInfo> {
  const { account } = input;
  if (source.kind === 'hub') return takeSnapshot(run, input, source.host);
  if (source.kind === 'latest') return run.activities.ask.latestSnapshot({ account, host: source.host });
  return run.activities.light.readManifest({ account, id: source.id });
}

/**
 * The scratch hub's snapshot, once it is empty: what a former drill left is taken away first.
 *
 * @param former the newest drill to this hub that did not clean up.
 */
async function emptied(
  run: Run,
  input: MigrateInput,
  former: { readonly run: string; readonly before: string } | null,
): Promise<SnapshotInfo> {
  const { account, target } = input;
  let now = await takeSnapshot(run, input, target.host);
  if (!isEmpty(now) && former !== null) {
    const before = await run.activities.light.readManifest({ account, id: former.before });
    await run.aside('clean-up', () => undone(run, input, { run: former.run, before, changedToo: true }));
    now = await takeSnapshot(run, input, target.host);
  }
  if (isEmpty(now)) return now;
  return fail(
    'SCRATCH_NOT_EMPTY',
    `${target.host} holds ${now.records} records and ${now.configurations?.count ?? 0} configurations that no drill left there. Nothing was written.`,
  );
}

const isEmpty = ({ records, configurations }: SnapshotInfo): boolean =>
  records === 0 && (configurations?.count ?? 0) === 0;

/** Takes away what the drill has made, whether it was cancelled or failed or is done. */
async function cleanUp(run: Run, input: MigrateInput, before: SnapshotInfo): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    const { host } = input.target;
    const left = await run.aside('clean-up', async () => {
      await undone(run, input, { run: input.run, before, changedToo: true });
      return takeSnapshot(run, input, host);
    });
    run.report.cleaned = isEmpty(left);
    const count = left.records + (left.configurations?.count ?? 0);
    run.warn('NOT_CLEANED', count, [`${host} holds what the drill did not make`]);
  });
}

/** Undoes a drill, in whatever state it left the scratch hub. */
async function undone(run: Run, input: MigrateInput, what: Undone): Promise<void> {
  const cleaning = { ...input, ...CLEANING };
  const now = await plannedUndo(run, cleaning, what);
  bookPlan(run, now.plan);
  await undoConfigurations(run, cleaning, what, now);
  await reconciled(run, cleaning, { ...now.desired, forgets: true }, now.plan);
}

/** What came to the phases of a run meanwhile. */
function since(before: RunReport['seconds']['phases'], now: RunReport['seconds']['phases']): typeof now {
  const entries = Object.entries(now) as [keyof typeof now, number][];
  return Object.fromEntries(
    entries.flatMap(([phase, seconds]) => {
      const spent = seconds - (before[phase] ?? 0);
      return spent > 0 ? [[phase, spent]] : [];
    }),
  );
}
