import { patched } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import { type Desired, type Difference, plannedOf } from './compare.js';
import { bookConfigurations, refuseConfigurations } from './configurations.js';
import { fail } from './failure.js';
import { bookManifestPlan } from './manifests.js';
import type { WriteInput } from './messages.js';
import type { Run } from './run.js';
import { bookWork, type Room } from './work.js';

/** Asks both hubs and the storage account before anything is begun. @param source null where no hub is read */
export async function preflight(
  run: Run,
  { account, target }: WriteInput,
  source: string | null,
): Promise<Room> {
  const answers = await run.activities.ask.preflight({ account, source, target: target.host });
  for (const { host, calls } of answers) run.calls(host, calls);
  const of = answers.find(({ host }) => host === target.host);
  const { maxRecords = Number.POSITIVE_INFINITY, tier = 'S1', units = 1, rates = 1, devices } = of ?? {};
  return { maxRecords, devices, size: { tier, units, rates } };
}

/** The source's snapshot, where it is another one, and the target's from before the first write, outlive the run. */
export function keepSnapshots(run: Run, source: SnapshotInfo | null, target: SnapshotInfo | null): void {
  run.keep([source, target].flatMap((one) => (one === null ? [] : [one.id])));
  run.report.snapshots = { source: source?.id ?? null, target: target?.id ?? null };
}

/** Books what the first comparison found; every later one is booked by `bookArrival`. */
export function bookPlan(run: Run, plan: Difference): void {
  const { report } = run;
  report.plan = plan.hash;
  if (plan.kinds) report.kinds = plan.kinds;
  if (plan.found) report.found = plan.found;
  Object.assign(report.ledger, {
    refused: plan.refused,
    desired: plan.desired,
    unchanged: plan.equal,
    kept: plan.kept + plan.conflict,
    create: plan.create,
    update: plan.update,
    delete: plan.delete,
    unsent: plannedOf(plan),
  });
  report.rejected = [...plan.samples.refused];
  report.verify = plan.verify;
  report.fields = plan.fields;
  bookManifestPlan(run, plan.manifests);
  bookConfigurations(run, plan.configurations);
}

/** A plan, and what it was made from. */
export interface Planned {
  readonly desired: Desired;
  /** The snapshot that says what is desired; null where that is the target's own, under edits. */
  readonly source: SnapshotInfo | null;
  /** The target's. */
  readonly before: SnapshotInfo;
  readonly plan: Difference;
}

/** Everything that forbids writing, seen before the first write. */
export function refuse(
  run: Run,
  input: WriteInput,
  { plan, source, before: target }: Planned,
  room: Room,
): void {
  const { host } = input.target;
  const { manifests } = plan;
  const conflict = plan.conflict + (manifests?.conflict ?? 0);
  if (conflict > 0) {
    const samples = [...plan.samples.different, ...(manifests?.samples.conflict ?? [])];
    run.warn('TARGET_DIFFERS', conflict, samples);
    const some = samples.slice(0, 3).join(', ');
    fail(
      'TARGET_DIFFERS',
      `Records of ${host} that differ from the source: ${conflict}, such as ${some}. Nothing was written.`,
    );
  }
  const refused = plan.refused + (manifests?.refused ?? 0);
  if (input.strict && refused > 0) {
    const some = run.report.rejected.map(({ record, code }) => `${record} (${code})`).join(', ');
    fail(
      'REFUSED_UNDER_STRICT',
      `Records that ${host} would not take: ${refused}, such as ${some}. Nothing was written.`,
    );
  }
  refuseConfigurations(run, input, plan.configurations);
  if (plan.delete > 0) refuseDeletes(input, plan, source, target);
  const more = plan.create + (manifests?.added ?? 0);
  if (more > 0 && target.records + more > room.maxRecords) {
    fail(
      'TARGET_FULL',
      `${host} holds ${target.records} records and takes ${room.maxRecords}; ${more} more do not fit. Nothing was written.`,
    );
  }
}

/** Part of the target's records that may be deleted without a number that allows more (design §5). */
const DELETABLE = 0.1;

/** Deletes want to be sure: of what is desired, and that so many are meant. */
function refuseDeletes(
  input: WriteInput,
  plan: Difference,
  source: SnapshotInfo | null,
  target: SnapshotInfo,
): void {
  const { host } = input.target;
  // What edits delete is named, or seen in the snapshot: nothing is deleted for not being there.
  const proofs = source === null ? [] : [source, target];
  for (const { id, host: hub, devices, longLines, counted = 0 } of proofs) {
    if (longLines > 0)
      fail(
        'DELETES_UNSAFE',
        `Snapshot ${id} of ${hub} has ${longLines} lines too long to be read, so nobody can say what is extra on ${host}. Nothing was written.`,
      );
    if (devices < counted)
      fail(
        'DELETES_UNSAFE',
        `Snapshot ${id} has ${devices} devices, but ${hub} counted ${counted}, so nobody can say what is extra on ${host}. Nothing was written.`,
      );
  }
  if (input.maxDelete === 'own') return;
  const most = typeof input.maxDelete === 'number' ? input.maxDelete : Math.floor(target.records * DELETABLE);
  if (plan.delete > most)
    fail(
      'TOO_MANY_DELETES',
      `The plan deletes ${plan.delete} of the ${target.records} records of ${host}, such as ${plan.samples.extra.slice(0, 3).join(', ')}; ${most} are allowed. Nothing was written.`,
    );
}

/**
 * The last gate before the first write: waits for an approval where the run is to have one, and makes a plan again, once,
 * that was made too long ago or waited for: the same plan goes on (design §5).
 *
 * @param again makes it from a fresh snapshot of the target.
 */
export async function cleared<P extends Planned>(
  run: Run,
  input: WriteInput,
  planned: P,
  room: Room,
  again: () => Promise<P>,
): Promise<P> {
  const waits = input.approve === true && plannedSomething(planned.plan);
  if (waits) await run.steering.approval(planned.plan.hash);
  // Where the run rests before it writes, it does so here: what it rested for makes its plan older.
  await run.steering.step(() => Promise.resolve());
  const age = Date.now() - Date.parse(planned.before.taken);
  const isFresh = !waits && age <= input.settings.planMaxAge;
  const now = isFresh ? planned : await remade(run, input, planned, room, again);
  // Whatever ends the run from here on, it can be undone by what its report says.
  if (now.desired.forgets !== true && patched('keep-plan')) await keepPlan(run, input, now);
  if (plannedSomething(now.plan) && patched('plan-report')) await run.steering.step(() => run.note());
  return now;
}

/** Partitions of which an activity writes down what stays: it is quick, and each activity adds to the history. */
const KEPT_AT_ONCE = 4;

/** Stores what stays of a plan, some partitions in an activity. */
async function keepPlan(run: Run, input: WriteInput, { plan, desired }: Planned): Promise<void> {
  const { transfer } = run.activities;
  const { pass, partitions, policy, salt, hash } = plan;
  const of = { account: input.account, work: run.work, pass, salt };
  const all = plannedOf(plan) === 0 ? 0 : partitions;
  const count = patched('keep-some') ? KEPT_AT_ONCE : 1;
  await Promise.all(
    Array.from({ length: Math.ceil(all / count) }, (_, some) => {
      const partition = some * count;
      return transfer.keepChanges({ ...of, partition, count: Math.min(count, all - partition) });
    }),
  );
  await transfer.keepPlan({
    ...of,
    run: input.run,
    partitions,
    policy,
    hash,
    ...(desired.followed === undefined ? {} : { followed: true }),
    configurations: plan.configurations !== null || desired.undoesConfigurations === true,
  });
}

async function remade<P extends Planned>(
  run: Run,
  input: WriteInput,
  planned: P,
  room: Room,
  again: () => Promise<P>,
): Promise<P> {
  const fresh = await again();
  keepSnapshots(run, fresh.source, fresh.before);
  if (fresh.plan.hash !== planned.plan.hash) {
    fail(
      'PLAN_STALE',
      `${input.target.host} changed between the plan and the first write; nothing was written.`,
    );
  }
  // The hash is of the changes; what they are not about may have changed too.
  bookPlan(run, fresh.plan);
  bookWork(run, input, fresh.plan, fresh.before, room);
  refuse(run, input, fresh, room);
  return fresh;
}

/** Whether there is anything to approve. */
function plannedSomething(plan: Difference): boolean {
  const { create = 0, update = 0 } = plan.configurations ?? {};
  return plannedOf(plan) + (plan.manifests?.sends ?? 0) + create + update > 0;
}
