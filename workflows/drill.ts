import { CancellationScope } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type { FormerDrill } from '../activities/drill.js';
import type { Sampled } from '../activities/sampler.js';
import { isMissed } from '../registry/objective.js';
import { fail, failureOf } from './failure.js';
import { bookPlan, keepSnapshots, preflight } from './gate.js';
import { refuseKeyless } from './keyless.js';
import type { DrillInput, MigrateInput, Outcome, RunReport } from './messages.js';
import { copy } from './migrate.js';
import { reconciled } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { plannedUndo, undoConfigurations } from './undo.js';
import type { Room } from './work.js';

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
    const { server = null } = input;
    const scratch = { account, host: target.host, run: input.run, server };
    const { former } = await run.activities.ask.guardScratch(scratch);

    run.phase('snapshot');
    const stored = await storedSnapshot(run, input, source);
    refuseKeyless(input, stored);
    const before = await emptied(run, input, former);
    const from = stored ?? (await takeSnapshot(run, input, name));
    keepSnapshots(run, from, before);

    const restore = { input, from, before, room };
    return cleanedUp(run, restore, () => restored(run, restore, objectives));
  });
}

interface Restore {
  readonly input: MigrateInput;
  readonly from: SnapshotInfo;
  /** The scratch hub's, empty. */
  readonly before: SnapshotInfo;
  readonly room: Room;
}

/** The restore, with the time that it takes until it is proven. */
async function restored(
  run: Run,
  { input, from, before, room }: Restore,
  objectives: DrillInput['objectives'],
): Promise<Outcome> {
  run.endPhase();
  const began = Date.now();
  const phases = { ...run.report.seconds.phases };
  const outcome = await copy(run, input, { from, before, desired: null }, room);
  run.endPhase();
  const rto = (Date.now() - began) / 1000;
  const rpo = Math.max(0, (began - Date.parse(from.taken)) / 1000);
  run.report.drill = { rto, rpo, objectives, stages: since(phases, run.report.seconds.phases) };
  const missed = isMissed(rto, objectives.rto) || isMissed(rpo, objectives.rpo);
  return outcome === 'verified' && missed ? 'differences' : outcome;
}

const asSource = (source: DrillInput['source']): MigrateInput['source'] =>
  source.kind === 'latest' ? { kind: 'hub', host: source.host } : source;

/** The snapshot that is named, or the newest one; null where a fresh one is to be restored. */
async function storedSnapshot(
  run: Run,
  { account }: MigrateInput,
  source: DrillInput['source'],
): Promise<SnapshotInfo | null> {
  if (source.kind === 'hub') return null;
  if (source.kind === 'latest') return run.activities.ask.latestSnapshot({ account, host: source.host });
  return run.activities.light.readManifest({ account, id: source.id });
}

/** The scratch hub's snapshot, once it is empty: what a former drill left is taken away first, its containers too. */
async function emptied(run: Run, input: MigrateInput, former: FormerDrill | null): Promise<SnapshotInfo> {
  const { account, target } = input;
  let now = await takeSnapshot(run, input, target.host);
  if (former !== null) {
    if (!isEmpty(now)) {
      now = await takenAway(run, input, former.run, former.before);
    }
    if (isEmpty(now)) await run.activities.light.settleDrill({ account, run: former.run });
  }
  if (isEmpty(now)) return now;
  const { count, samples } = await contentsOf(run, input, now, former?.run ?? null);
  return fail(
    'SCRATCH_NOT_EMPTY',
    `${target.host} holds records or configurations that no drill left there: ${count}, such as ${samples.slice(0, 3).join(', ')}. Nothing was written.`,
  );
}

const isEmpty = (snapshot: SnapshotInfo): boolean => sizeOf(snapshot) === 0;

const sizeOf = ({ records, configurations }: SnapshotInfo): number => records + (configurations?.count ?? 0);

async function contentsOf(
  run: Run,
  { account, settings: { maxLineBytes } }: MigrateInput,
  { id }: SnapshotInfo,
  drilled: string | null,
): Promise<Sampled> {
  return run.activities.light.contentsOf({ account, id, maxLineBytes, drill: drilled });
}

/** Takes away what a restore has made, whether it is done, failed or was cancelled. What ended it is told first. */
async function cleanedUp(run: Run, restore: Restore, body: () => Promise<Outcome>): Promise<Outcome> {
  let outcome: Outcome | null = null;
  let failure: unknown = null;
  try {
    outcome = await body();
  } catch (error) {
    failure = error;
  }
  // Without a plan nothing was written.
  if (run.report.plan !== null)
    try {
      await CancellationScope.nonCancellable(() => cleanUp(run, restore));
    } catch (error) {
      run.report.cleaned = false;
      run.warn('NOT_CLEANED', 1, [failureOf(error).message]);
      if (outcome !== null) throw error;
    }
  if (run.report.cleaned !== false) {
    run.keep([restore.from.id]);
    run.report.snapshots = { ...run.report.snapshots, target: null };
  }
  if (outcome === null) throw failure;
  return run.report.cleaned === false ? 'differences' : outcome;
}

async function cleanUp(run: Run, { input, before }: Restore): Promise<void> {
  const left = await takenAway(run, input, input.run, before);
  run.report.cleaned = isEmpty(left);
  if (isEmpty(left)) return;
  const { count, samples } = await contentsOf(run, input, left, input.run);
  run.warn('NOT_CLEANED', count, samples);
}

/**
 * Undoes a drill, in whatever state it left the scratch hub, and again as long as that helps: what a job did may become
 * visible late.
 *
 * @returns what is there then.
 */
async function takenAway(
  run: Run,
  input: MigrateInput,
  drilled: string,
  before: SnapshotInfo,
): Promise<SnapshotInfo> {
  const cleaning = { ...input, ...CLEANING };
  const what = { run: drilled, before, changedToo: true };
  for (let size = Number.POSITIVE_INFINITY; ; ) {
    const left = await run.aside('clean-up', async () => {
      const now = await plannedUndo(run, cleaning, what);
      bookPlan(run, now.plan);
      await undoConfigurations(run, cleaning, what, now);
      await reconciled(run, cleaning, now.desired, now.plan);
      return takeSnapshot(run, input, input.target.host);
    });
    if (isEmpty(left) || sizeOf(left) >= size) return left;
    size = sizeOf(left);
  }
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
