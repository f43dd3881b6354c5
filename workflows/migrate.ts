import { CancellationScope, executeChild, ParentClosePolicy, patched, sleep } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type { OwnPlan } from '../activities/reconcile.js';
import { SAMPLES } from '../registry/totals.js';
import { DELETES } from '../registry/waves.js';
import { type ApplyResult, apply, NOTHING } from './apply.js';
import { compare, type Desired, type Difference } from './compare.js';
import {
  bookConfigurations,
  comparedConfigurations,
  configured,
  refuseConfigurations,
  warnOfEffects,
  warnOfUnknown,
} from './configurations.js';
import { fail } from './failure.js';
import { carryManagers } from './managers.js';
import {
  bookManifestArrival,
  bookManifestPlan,
  manifestsAreDue,
  manifestsArrived,
  openModules,
  restoreManifests,
  warnOfLostTags,
} from './manifests.js';
import { applyIdOf, type MigrateInput, type Outcome, type RunReport } from './messages.js';
import { keepNewKeys } from './new-keys.js';
import { bookRules, rulesOf } from './rules.js';
import { Run } from './run.js';
import { takeSnapshot } from './snapshot.js';

/** Looks at the target after an import until two agree: a finished job's effects may appear late (design §6). */
const MAX_LOOKS = 5;

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
    const room = await preflight(run, input);
    const stored = await storedSnapshot(run, input);

    run.phase('snapshot');
    const [from, before] = await both(
      async () => stored ?? (await takeSnapshot(run, input, run.report.source)),
      () => takeSnapshot(run, input, target.host),
    );
    if (input.goal !== 'verify') keepSnapshots(run, from, before);

    run.phase('transform');
    const desired = await transform(run, input, from, before);
    warnOfUnknown(run, input, from, before);

    run.phase('plan');
    let plan = await compare(run, input, desired, before, null);
    bookPlan(run, plan);
    warnOfLostTags(run, plan.manifests);
    if (input.goal === 'verify')
      return comparedConfigurations(run, plan.configurations, await verdict(run, input, plan, plan));
    refuse(run, input, plan, from, before, room);
    warnOfEffects(run, plan.configurations, plan.create + plan.update);
    if (input.goal === 'plan') return 'planned';
    plan = await freshened(run, input, desired, from, before, plan, room);
    await keepNewKeys(run, input, desired, plan);
    const records = await reconciled(run, input, desired, plan);
    await carryManagers(run, input, plan);
    return configured(run, input, plan.configurations, records);
  });
}

/** Sends what is due, looks again, and goes on until nothing is due: repair rounds, and the deletes at the very end. */
async function reconciled(
  run: Run,
  input: MigrateInput,
  desired: Desired,
  plan: Difference,
): Promise<Outcome> {
  const sent: number[] = [];
  const rounds = { writes: 0, deletes: 0 };
  let now = plan;
  for (let round = 0; ; round++) {
    const due = dueOf(now);
    if (due === null || rounds[due] > input.settings.repairRounds) return verdict(run, input, now, plan);
    if (rounds[due] > 0) {
      const { create = 0, update = 0 } = now.manifests ?? {};
      const left = due === 'writes' ? now.create + now.update + create + update : now.delete;
      run.warn('REPAIR_ROUND', 1, [`${left} records were left after round ${round}`]);
    }
    rounds[due] += 1;
    run.phase('apply');
    const applied = await applyPlan(run, input, plan, now, due, round);
    if (due === 'writes' && applied.stopped === null) await restoreManifests(run, input, now.manifests, now);
    sent.push(now.pass);
    const own = { passes: sent, before: plan.targetSnapshot };
    const settled = await settledDifference(run, input, desired, own, due);
    now = settled.now;
    bookArrival(run, plan, applied, now, due);
    bookManifestArrival(run, plan.manifests, now.manifests);
    if (!settled.agreed) return verdict(run, input, now, plan);
  }
}

/** Which changes go next: deletes only when all the rest has arrived (design §5), null for none. */
type Step = 'writes' | 'deletes';

function dueOf(now: Difference): Step | null {
  if (now.create + now.update > 0 || manifestsAreDue(now.manifests)) return 'writes';
  const open = now.missing + now.different + openModules(now.manifests);
  return now.delete > 0 && open === 0 ? 'deletes' : null;
}

/** Two steps at a time. Where one fails, the other is taken down before the run ends, so that nothing is left of it. */
async function both<A, B>(a: () => Promise<A>, b: () => Promise<B>): Promise<[A, B]> {
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

/** What the target's configuration says of it. */
interface Room {
  readonly maxRecords: number;
}

async function preflight(run: Run, input: MigrateInput): Promise<Room> {
  const source = input.source.kind === 'hub' ? input.source.host : null;
  const { account, target } = input;
  const answers = await run.activities.ask.preflight({ account, source, target: target.host });
  for (const { host, calls } of answers) run.calls(host, calls);
  return {
    maxRecords: answers.find(({ host }) => host === target.host)?.maxRecords ?? Number.POSITIVE_INFINITY,
  };
}

/** The snapshot that is named as the source; null where the source is a hub. */
async function storedSnapshot(run: Run, input: MigrateInput): Promise<SnapshotInfo | null> {
  if (input.source.kind === 'hub') return null;
  return run.activities.light.readManifest({ account: input.account, id: input.source.id });
}

/** The source's snapshot, and the target's from before the first write, outlive the run. */
function keepSnapshots(run: Run, source: SnapshotInfo, target: SnapshotInfo): void {
  run.keep([source.id, target.id]);
  run.report.snapshots = { source: source.id, target: target.id };
}

async function transform(
  run: Run,
  input: MigrateInput,
  source: SnapshotInfo,
  target: SnapshotInfo,
): Promise<Desired> {
  const { account, settings } = input;
  await run.activities.light.createContainer({ account, container: run.work });
  const desired = await run.activities.transfer.transform({
    account,
    work: run.work,
    snapshot: source.id,
    sha256: source.sha256,
    bytes: Math.max(source.bytes, target.bytes),
    partitionBytes: settings.partitionBytes,
    maxLineBytes: settings.maxLineBytes,
    ...rulesOf(input),
  });
  bookRules(run, desired);
  run.warn('STALE_PARENT', desired.staleParents.count, desired.staleParents.samples);
  const { ledger } = run.report;
  ledger.source = source.records;
  ledger.system = desired.systemModules.count;
  const { count } = desired.systemModules;
  ledger.systemModules = { ...ledger.systemModules, source: count, system: count };
  return { ...desired, configurations: source.configurations ?? null };
}

/** Books what the first comparison found; every later one is booked by `bookArrival`. */
function bookPlan(run: Run, plan: Difference): void {
  const { report } = run;
  report.plan = plan.hash;
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

/** Everything that forbids writing, seen before the first write. */
function refuse(
  run: Run,
  input: MigrateInput,
  plan: Difference,
  source: SnapshotInfo,
  target: SnapshotInfo,
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
  input: MigrateInput,
  plan: Difference,
  source: SnapshotInfo,
  target: SnapshotInfo,
): void {
  const { host } = input.target;
  for (const { id, host: hub, devices, longLines, counted = 0 } of [source, target]) {
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
  const most = input.maxDelete ?? Math.floor(target.records * DELETABLE);
  if (plan.delete > most)
    fail(
      'TOO_MANY_DELETES',
      `The plan deletes ${plan.delete} of the ${target.records} records of ${host}, such as ${plan.samples.extra.slice(0, 3).join(', ')}; ${most} are allowed. Nothing was written.`,
    );
}

/** A plan made too long ago is made again, once, before the first write: the same plan goes on (design §5). */
async function freshened(
  run: Run,
  input: MigrateInput,
  desired: Desired,
  source: SnapshotInfo,
  before: SnapshotInfo,
  plan: Difference,
  room: Room,
): Promise<Difference> {
  if (Date.now() - Date.parse(before.taken) <= input.settings.planMaxAge) return plan;
  const again = await takeSnapshot(run, input, input.target.host);
  keepSnapshots(run, source, again);
  const fresh = await compare(run, input, desired, again, null);
  if (fresh.hash !== plan.hash) {
    fail(
      'PLAN_STALE',
      `${input.target.host} changed between the plan and the first write; nothing was written.`,
    );
  }
  // The hash is of the changes; what they are not about may have changed too.
  bookPlan(run, fresh);
  refuse(run, input, fresh, source, again, room);
  return fresh;
}

/** Sends one step of what `now` found: of the plan itself, or of what a later look shows to be left of it. */
async function applyPlan(
  run: Run,
  input: MigrateInput,
  plan: Difference,
  now: Difference,
  due: Step,
  round: number,
): Promise<ApplyResult> {
  const { account, run: name, settings, target } = input;
  const { ledger } = run.report;
  const records = due === 'writes' ? now.create + now.update : now.delete;
  const later = due === 'writes' ? now.delete : 0;
  // Where only manifests are due.
  if (records === 0) return { ...NOTHING, unsent: later };
  // Until it is told: where the sending is broken off, nobody knows.
  if (round === 0) Object.assign(ledger, { uncertain: records, unsent: later });
  const result = await executeChild(apply, {
    workflowId: applyIdOf(name, round),
    args: [
      {
        run: name,
        account,
        settings,
        host: target.host,
        work: run.work,
        pass: now.pass,
        round,
        waves: now.waves.filter(({ wave }) => (wave === DELETES) === (due === 'deletes')),
        partitions: now.partitions,
        targetSnapshot: now.targetSnapshot,
      },
    ],
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: `${records} records ${due === 'writes' ? 'to' : 'deleted from'} ${target.host}`,
  });
  for (const { request, result: ended } of result.jobs) run.bookJob(request, ended);
  run.calls(target.host, result.calls);
  if (result.managers) run.warn('MANAGED_BY_UNREADABLE', result.managers.count, result.managers.samples);
  if (result.stopped) run.warn('SENDING_STOPPED', 1, [result.stopped]);
  if (result.failure) {
    if (round === 0) Object.assign(ledger, inRecords(result, plannedOf(plan), later));
    fail(result.failure.code, result.failure.message);
  }
  return result;
}

/** How many records a plan writes. */
const plannedOf = (plan: Difference): number => plan.create + plan.update + plan.delete;

/**
 * What became of the records of a plan whose sending broke off. An update may be two lines, so of lines that were not
 * sent, or whose fate is not known, there may be more than of records.
 */
function inRecords(
  lines: ApplyResult,
  planned: number,
  later: number,
): Pick<ApplyResult, 'applied' | 'rejected' | 'uncertain' | 'unsent'> {
  let left = planned - later;
  const take = (count: number): number => {
    const taken = Math.min(count, left);
    left -= taken;
    return taken;
  };
  const uncertain = take(lines.uncertain);
  const rejected = take(lines.rejected);
  const unsent = take(lines.unsent);
  return { uncertain, rejected, unsent: unsent + later, applied: left };
}

/**
 * The difference that is left after an import, read again until nothing unexplained is left or two reads agree: what a
 * job did may become visible late, and a repair must not chase a shadow.
 */
async function settledDifference(
  run: Run,
  input: MigrateInput,
  desired: Desired,
  own: OwnPlan,
  due: Step,
): Promise<{ now: Difference; agreed: boolean }> {
  let last: Difference | null = null;
  for (let look = 1; ; look++) {
    run.phase('settle');
    await sleep(input.settings.settle);
    run.phase('verify');
    const actual = await takeSnapshot(run, input, input.target.host, 'records');
    const now = await compare(run, input, desired, actual, own);
    const { manifests } = now;
    const agrees =
      last?.hash === now.hash && last.different === now.different && last.missing === now.missing;
    const open = now.missing + now.different + (due === 'deletes' ? now.delete : 0);
    const openManifests = manifests === null ? 0 : manifests.missing + manifests.different;
    const clear = open === now.explained && openManifests === (manifests?.explained ?? 0);
    if (clear || agrees || look === MAX_LOOKS) return { now, agreed: clear || agrees };
    last = now;
  }
}

/** Puts every difference that is left into a file: a report names a few. */
async function keepDifferences(
  run: Run,
  { account, run: name }: MigrateInput,
  now: Difference,
): Promise<void> {
  const { pass, partitions } = now;
  const left = now.missing + now.different + now.kept + now.extra + now.refused;
  if (left === 0 || !patched('differences')) return;
  const { lines } = await run.activities.transfer.writeDifferences({
    account,
    run: name,
    work: run.work,
    pass,
    partitions,
  });
  if (lines > 0) run.report.differences = `hubferry/reports/${name}.differences.ndjson`;
}

/** Books what became of the planned records, as the newest look at the target shows it. */
function bookArrival(run: Run, plan: Difference, applied: ApplyResult, now: Difference, due: Step): void {
  const { ledger } = run.report;
  const open = now.plannedOpen;
  const later = due === 'writes' ? plan.delete : 0;
  ledger.rejected = now.rejected;
  ledger.unsent = Math.min(applied.unsent + later, open - now.rejected);
  // What is not there and was not rejected: a job was lost, or the hub said it was done and it is not.
  ledger.uncertain = open - now.rejected - ledger.unsent;
  ledger.applied = plannedOf(plan) - open;
  run.report.verify = now.verify;
  run.report.fields = now.fields;
  run.report.rejected = [...now.samples.rejected, ...plan.samples.refused].slice(0, SAMPLES);
}

async function verdict(run: Run, input: MigrateInput, now: Difference, plan: Difference): Promise<Outcome> {
  run.checkLedger();
  await keepDifferences(run, input, now);
  run.warn('RECORDS_DIFFERENT', now.verify.different, now.samples.different);
  run.warn('RECORDS_MISSING', now.verify.missing, now.samples.missing);
  run.warn('CHANGED_BY_OTHERS', now.foreign, now.samples.foreign);
  run.warn('MANAGED_BY_CONFIGURATION', now.managed ?? 0, now.samples.managed ?? []);
  const { rejected } = run.report.ledger;
  // What was to be deleted and is still there. Before the first write it is only planned.
  const stays = now === plan ? 0 : now.delete + now.foreign;
  run.warn('NOT_DELETED', now === plan ? 0 : now.delete, now.samples.extra);
  const arrived = manifestsArrived(run, now.manifests);
  const clean = now.verify.different + now.verify.missing + now.refused + rejected + stays === 0;
  return clean && arrived ? 'verified' : 'differences';
}
