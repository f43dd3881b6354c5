import { CancellationScope } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { compare, type Desired } from './compare.js';
import { comparedConfigurations, configured, warnOfEffects, warnOfUnknown } from './configurations.js';
import { foretell, refuseOther, seeOthers, warnOfMove } from './foretell.js';
import { bookPlan, cleared, keepSnapshots, preflight, refuse } from './gate.js';
import { refuseKeyless } from './keyless.js';
import { carryManagers } from './managers.js';
import { warnOfLostTags } from './manifests.js';
import type { MigrateInput, Outcome, RunReport } from './messages.js';
import { keepNewKeys, warnOfNewKeys } from './new-keys.js';
import { rechecked } from './recheck.js';
import { reconciled, verdict } from './reconcile.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';
import { transform } from './transform.js';
import { bookWork, type Room, warnOfRoom } from './work.js';

/**
 * Makes the target's registry equal to the source's, and proves it:
 *
 *     snapshot(source) ─► transform ─► desired ┐
 *                                              ├─► plan ─► apply ─► verify ─► (empty? done : repair round)
 *     snapshot(target) ──────────────► actual ─┘
 *
 * The goals `plan` and `verify` are the same code, ended before the first write.
 */
export async function migrate(input: MigrateInput): Promise<RunReport> {
  const { source, target } = input;
  const run = new Run(input, {
    workflow: input.goal,
    source: source.kind === 'hub' ? source.host : `snapshot:${source.id}`,
    target: target.host,
  });
  return run.conduct(async () => {
    run.phase('preflight');
    const asked = source.kind === 'hub' && input.planned === undefined ? source.host : null;
    const room = await preflight(run, input, asked);
    await seeOthers(run, input);
    const stored = await storedSnapshot(run, input);
    refuseKeyless(input, stored);

    run.phase('snapshot');
    const [from, before] = await both(
      async () => stored ?? (await takeSnapshot(run, input, run.report.source)),
      () => takeSnapshot(run, input, target.host),
    );
    if (input.goal !== 'verify') keepSnapshots(run, from, before);

    const outcome = await copy(run, input, from, before, room);
    return outcome === 'planned' ? outcome : rechecked(run, input, from, outcome);
  });
}

/**
 * One pass of the loop, from two snapshots on.
 *
 * @param from of the source. @param before of the target. @param carriedOut whether the run has carried out plans before.
 */
export async function copy(
  run: Run,
  input: MigrateInput,
  from: SnapshotInfo,
  before: SnapshotInfo,
  room: Room,
  carriedOut = false,
): Promise<Outcome> {
  run.phase('transform');
  const transformed = await transform(run, input, from, before);
  const desired = carriedOut ? await followed(run, input, transformed) : transformed;
  warnOfUnknown(run, input, from, before);

  run.phase('plan');
  const planned = { desired, source: from, before, plan: await compare(run, input, desired, before, null) };
  const { plan } = planned;
  bookPlan(run, plan);
  warnOfLostTags(run, plan.manifests);
  if (input.goal === 'verify')
    return comparedConfigurations(run, plan.configurations, await verdict(run, input, plan, plan));
  bookWork(run, input, plan, before, room);
  refuseOther(input, plan);
  refuse(run, input, planned, room);
  warnOfRoom(run, input, plan, before, room);
  warnOfEffects(run, plan.configurations, plan.create + plan.update);
  warnOfNewKeys(run, plan);
  warnOfMove(run, input, plan);
  await foretell(run, input, planned);
  if (input.goal === 'plan') return 'planned';
  const now = await cleared(run, input, planned, room, async () => {
    const again = await takeSnapshot(run, input, input.target.host);
    return { ...planned, before: again, plan: await compare(run, input, desired, again, null) };
  });
  await keepNewKeys(run, input, now);
  const records = await reconciled(run, input, desired, now.plan);
  await carryManagers(run, input, now.plan);
  return configured(run, input, now.plan.configurations, records);
}

/** With what stays of earlier plans of the run. */
async function followed(run: Run, { account, run: name }: MigrateInput, desired: Desired): Promise<Desired> {
  const { partitions } = desired;
  const split = { account, work: run.work, run: name, partitions };
  return { ...desired, followed: (await run.activities.transfer.splitFollowed(split)).salt };
}

/** Two steps at a time. Where one fails, the other is taken down before the run ends, so that nothing is left of it. */
export async function both<A, B>(a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> {
  const scope = new CancellationScope();
  const steps = [scope.run(a), scope.run(b)] as const;
  try {
    return await Promise.all(steps);
  } catch (error) {
    scope.cancel();
    await Promise.allSettled(steps);
    throw error;
  }
}

/** The snapshot that is named as the source, or that a plan was made from; null where the source is a hub as it is now. */
async function storedSnapshot(run: Run, input: MigrateInput): Promise<SnapshotInfo | null> {
  const { account, planned, source } = input;
  const id = source.kind === 'snapshot' ? source.id : planned?.snapshot;
  return id === undefined ? null : run.activities.light.readManifest({ account, id });
}
