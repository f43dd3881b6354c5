import { ParentClosePolicy, patched, sleep, startChild } from '@temporalio/workflow';
import type { OwnPlan } from '../activities/own.js';
import { SAMPLES } from '../registry/totals.js';
import { DELETES } from '../registry/waves.js';
import { type ApplyInput, type ApplyResult, apply, type Carry, NOTHING } from './apply.js';
import { compare, type Desired, type Difference, plannedOf, waitingOf } from './compare.js';
import { fail } from './failure.js';
import {
  bookManifestArrival,
  manifestsAreDue,
  manifestsArrived,
  openModules,
  restoreManifests,
} from './manifests.js';
import { applyIdOf, type Outcome, type WriteInput } from './messages.js';
import type { Run } from './run.js';
import { slotHeld, takeSnapshot } from './snapshot.js';

/** Looks at the target after an import until two agree: a finished job's effects may appear late (design §6). */
const MAX_LOOKS = 5;

/** Sends what is due, looks again, and goes on until nothing is due: repair rounds, and the deletes at the very end. */
export async function reconciled(
  run: Run,
  input: WriteInput,
  desired: Desired,
  plan: Difference,
): Promise<Outcome> {
  const sent: number[] = [];
  const before = run.sendings;
  const rounds = { writes: 0, deletes: 0 };
  let now = plan;
  for (let round = 0; ; round++) {
    const due = dueOf(now);
    if (due === null || rounds[due] > input.settings.repairRounds) return verdict(run, input, now, plan);
    if (rounds[due] > 0) {
      const { create = 0, update = 0 } = now.manifests ?? {};
      const waiting = waitingOf(now);
      const left = due === 'writes' ? plannedOf(now) - waiting + create + update : waiting;
      run.warn('REPAIR_ROUND', 1, [`${left} records were left after round ${round}`]);
    }
    rounds[due] += 1;
    run.phase('apply');
    run.sendings = before + round + 1;
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
  const waiting = waitingOf(now);
  if (plannedOf(now) > waiting || manifestsAreDue(now.manifests)) return 'writes';
  const open = now.missing + now.different + openModules(now.manifests);
  return waiting > 0 && open === 0 ? 'deletes' : null;
}

/** Sends one step of what `now` found: of the plan itself, or of what a later look shows to be left of it. */
async function applyPlan(
  run: Run,
  input: WriteInput,
  plan: Difference,
  now: Difference,
  due: Step,
  round: number,
): Promise<ApplyResult> {
  const { account, run: name, settings, target } = input;
  const { ledger } = run.report;
  const waiting = waitingOf(now);
  const records = due === 'writes' ? plannedOf(now) - waiting : waiting;
  const later = due === 'writes' ? waiting : 0;
  // Where only manifests are due.
  if (records === 0) return { ...NOTHING, unsent: later };
  // Until it is told: where the sending is broken off, nobody knows.
  if (round === 0) Object.assign(ledger, { uncertain: records, unsent: later });
  // No two of a run have the same number: it names the child and its containers.
  const sending = run.sendings - 1;
  run.report.sending = sending;
  const result = await sentByChild(
    run,
    {
      run: name,
      account,
      settings,
      host: target.host,
      work: run.work,
      pass: now.pass,
      round: sending,
      waves: now.waves.filter(({ wave }) => (wave === DELETES) === (due === 'deletes')),
      partitions: now.partitions,
      targetSnapshot: now.targetSnapshot,
    },
    {
      summary: `${records} records ${due === 'writes' ? 'to' : 'deleted from'} ${target.host}`,
      book: (lines) => {
        if (round === 0) Object.assign(ledger, inRecords(lines, plannedOf(plan), later));
      },
    },
  );
  delete run.report.sending;
  const last = result.jobs.at(-1)?.result;
  if (last?.outcome === 'stuck' && last.adopted && patched('park'))
    await run.steering.park('SLOT_HELD', slotHeld(last, 'import', target.host));
  for (const { request, result: ended } of result.jobs) run.bookJob(request, ended);
  run.calls(target.host, result.calls);
  if (result.managers) run.warn('MANAGED_BY_UNREADABLE', result.managers.count, result.managers.samples);
  if (result.stopped) run.warn('SENDING_STOPPED', 1, [result.stopped]);
  if (result.failure) fail(result.failure.code, result.failure.message);
  return result;
}

/**
 * Sends by a child, which hands back what is left whenever the run is to rest, to end, or to go at another rate, and where
 * it meets a fault that the run rests for.
 */
async function sentByChild(
  run: Run,
  input: ApplyInput,
  { summary, book }: { readonly summary: string; readonly book: (result: ApplyResult) => void },
): Promise<ApplyResult> {
  const { steering } = run;
  let carry: Carry | null = null;
  for (;;) {
    const result: ApplyResult = await steering.sending(() => {
      const { rates } = steering;
      const given = Object.keys(rates).length === 0 ? input : { ...input, rates };
      return startChild(apply, {
        workflowId: applyIdOf(input.run, input.round),
        args: carry === null ? [given] : [given, carry],
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        staticSummary: summary,
      });
    });
    book(result);
    const { next, again, ...sum } = result;
    const { failure } = sum;
    if (again !== undefined && failure !== null && steering.restsFor(failure.code)) {
      await steering.mended(failure);
      carry = again;
      continue;
    }
    if (next === undefined) return sum;
    carry = { next, sum: { ...sum, unsent: 0 } };
  }
}

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
  input: WriteInput,
  desired: Desired,
  own: OwnPlan,
  due: Step,
): Promise<{ now: Difference; agreed: boolean }> {
  let last: Difference | null = null;
  for (let look = 1; ; look++) {
    run.phase('settle');
    await sleep(input.settings.settle, { summary: 'until the hub shows what was written' });
    run.phase('verify');
    const actual = await takeSnapshot(run, input, input.target.host, 'records');
    const now = await compare(run, input, desired, actual, own);
    const { manifests } = now;
    const agrees =
      last?.hash === now.hash && last.different === now.different && last.missing === now.missing;
    const open = now.missing + now.different + now.delete - (due === 'writes' ? waitingOf(now) : 0);
    const openManifests = manifests === null ? 0 : manifests.missing + manifests.different;
    const clear = open === now.explained && openManifests === (manifests?.explained ?? 0);
    if (clear || agrees || look === MAX_LOOKS) return { now, agreed: clear || agrees };
    last = now;
  }
}

/** Books what became of the planned records, as the newest look at the target shows it. */
function bookArrival(run: Run, plan: Difference, applied: ApplyResult, now: Difference, due: Step): void {
  const { ledger } = run.report;
  const open = now.plannedOpen;
  const later = due === 'writes' ? waitingOf(plan) : 0;
  ledger.rejected = now.rejected;
  ledger.unsent = Math.min(applied.unsent + later, open - now.rejected);
  // What is not there and was not rejected: a job was lost, or the hub said it was done and it is not.
  ledger.uncertain = open - now.rejected - ledger.unsent;
  ledger.applied = plannedOf(plan) - open;
  run.report.verify = now.verify;
  if (now.found) run.report.found = now.found;
  run.report.fields = now.fields;
  run.report.rejected = [...now.samples.rejected, ...plan.samples.refused].slice(0, SAMPLES);
}

export async function verdict(
  run: Run,
  input: WriteInput,
  now: Difference,
  plan: Difference,
): Promise<Outcome> {
  run.checkLedger();
  await keepDifferences(run, input, now);
  run.warn('RECORDS_DIFFERENT', now.verify.different, now.samples.different);
  run.warn('RECORDS_MISSING', now.verify.missing, now.samples.missing);
  run.warn('CHANGED_BY_OTHERS', now.foreign, now.samples.foreign);
  run.warn('MANAGED_BY_CONFIGURATION', now.managed ?? 0, now.samples.managed ?? []);
  run.warn('TWINS_MERGED', now.merged ?? 0);
  const { rejected } = run.report.ledger;
  // What was to be deleted and is still there. Before the first write it is only planned.
  const stays = now === plan ? 0 : now.delete + now.foreign;
  run.warn('NOT_DELETED', now === plan ? 0 : now.delete, now.samples.extra);
  const arrived = manifestsArrived(run, now.manifests);
  const clean = now.verify.different + now.verify.missing + now.refused + rejected + stays === 0;
  return clean && arrived ? 'verified' : 'differences';
}

async function keepDifferences(run: Run, input: WriteInput, now: Difference): Promise<void> {
  const left = now.missing + now.different + now.kept + now.extra + now.refused;
  if (left > 0 && !run.isAside && patched('differences')) await writeDifferences(run, input, now);
}

/** Puts every difference that is left into a file: a report names a few. */
export async function writeDifferences(
  run: Run,
  { account, run: name }: WriteInput,
  { pass, partitions }: Pick<Difference, 'pass' | 'partitions'>,
): Promise<void> {
  const { work } = run;
  const input = { account, run: name, work, pass, partitions };
  const { lines } = await run.activities.transfer.writeDifferences(input);
  if (lines > 0) run.report.differences = `hubferry/reports/${name}.differences.ndjson`;
}
