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
import { bothSides, type Sides } from './sides.js';
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
    const keeps = input.goal !== 'verify';
    const take = async (): Promise<SnapshotInfo> => {
      const from = stored ?? (await takeSnapshot(run, input, run.report.source));
      if (keeps) keepSnapshots(run, from, null);
      return from;
    };
    const sides = await bothSides(run, input, take, () => room.devices);
    if (keeps) keepSnapshots(run, sides.from, sides.before);

    const outcome = await copy(run, input, sides, room);
    return outcome === 'planned' ? outcome : rechecked(run, input, sides.from, outcome);
  });
}

/**
 * One pass of the loop, from two snapshots on.
 *
 * @param carriedOut whether the run has carried out plans before.
 */
export async function copy(
  run: Run,
  input: MigrateInput,
  { from, before, desired: made }: Sides,
  room: Room,
  carriedOut = false,
): Promise<Outcome> {
  run.phase('transform');
  const transformed = made ?? (await transform(run, input, from, before.bytes));
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

/** The snapshot that is named as the source, or that a plan was made from; null where the source is a hub as it is now. */
async function storedSnapshot(run: Run, input: MigrateInput): Promise<SnapshotInfo | null> {
  const { account, planned, source } = input;
  const id = source.kind === 'snapshot' ? source.id : planned?.snapshot;
  return id === undefined ? null : run.activities.light.readManifest({ account, id });
}
