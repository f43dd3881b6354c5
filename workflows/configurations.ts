import { sleep } from '@temporalio/workflow';
import type { SnapshotInfo } from '../activities/backup-export.js';
import type {
  ArrivedConfigurations,
  ConfigurationsInfo,
  ConfigurationsInput,
  PlannedConfigurations,
} from '../activities/configurations.js';
import { emptyLedger } from '../registry/ledger.js';
import type { Rejected } from '../registry/refusal.js';
import { SAMPLES } from '../registry/totals.js';
import { fail } from './failure.js';
import type { MigrateInput, Outcome, WriteInput } from './messages.js';
import type { Run } from './run.js';

/** What is to be done about configurations, and what its activities are told of it. */
export interface ConfigurationsPlan extends PlannedConfigurations {
  readonly input: ConfigurationsInput;
}

/** The source's configurations and the target's snapshot, against which they are planned. */
interface Sides {
  readonly source: string;
  /** What the source's manifest says; null or absent: nobody knows. */
  readonly info?: ConfigurationsInfo | null;
  readonly actual: SnapshotInfo;
}

/** Compares the configurations on their own. @returns null where nobody knows those of the source */
export async function planConfigurations(
  run: Run,
  { account, existing }: WriteInput,
  { source, info, actual }: Sides,
): Promise<ConfigurationsPlan | null> {
  if (!info) return null;
  const target = actual.configurations ? actual.id : null;
  const input: ConfigurationsInput = { account, work: run.work, target, existing };
  if (info.count + (actual.configurations?.count ?? 0) === 0) return { ...NOTHING, input };
  return { ...(await run.activities.light.planConfigurations({ ...input, source, info })), input };
}

const NONE = { count: 0, samples: [] };
const NOTHING: PlannedConfigurations = {
  source: 0,
  refused: NONE,
  equal: 0,
  kept: NONE,
  conflict: NONE,
  create: 0,
  update: 0,
  ties: NONE,
  acting: NONE,
  missing: NONE,
  different: NONE,
};

/** How many configurations a plan writes. */
const dueOf = (plan: PlannedConfigurations): number => plan.create + plan.update;

/** How reports name them: no record's key holds a space. */
const named = (ids: readonly string[]): string[] => ids.map((id) => `configuration ${id}`);

/** Books what the comparison found; nothing is sent yet. What differs and may not is counted as an update, too. */
export function bookConfigurations(run: Run, plan: ConfigurationsPlan | null): void {
  if (plan === null) return;
  const { source, equal: unchanged, create } = plan;
  const refused = plan.refused.count;
  const update = plan.update + plan.conflict.count;
  run.report.ledger.configurations = {
    ...emptyLedger(),
    source,
    refused,
    desired: source - refused,
    unchanged,
    kept: plan.kept.count,
    create,
    update,
    unsent: create + update,
  };
  name(run, plan.refused.samples);
}

/** Lists configurations among what the target did not take, in the place of those of an earlier look. */
function name(run: Run, rejected: readonly Rejected[]): void {
  const { report } = run;
  const records = report.rejected.filter(({ record }) => !record.startsWith('configuration '));
  report.rejected = [...records, ...rejected].slice(0, SAMPLES);
}

/** Says where configurations are not known, so that none are moved. */
export function warnOfUnknown(
  run: Run,
  { source, target }: MigrateInput,
  from: SnapshotInfo,
  before: SnapshotInfo,
): void {
  if (from.configurations && from.configurations.count > 0 && !before.configurations)
    run.warn('CONFIGURATIONS_UNKNOWN', 1, [`${target.host} does not tell them`]);
  // A hub that was asked, or a snapshot of a release that did not ask.
  if (from.configurations === null)
    run.warn('CONFIGURATIONS_UNKNOWN', 1, [`${from.host} does not tell them`]);
  else if (from.configurations === undefined && source.kind === 'snapshot')
    run.warn('CONFIGURATIONS_UNKNOWN', 1, [`snapshot ${from.id} was taken without them`]);
}

/** Says beforehand what may surprise: configurations that act on what arrives, and ties that come out another way. */
export function warnOfEffects(run: Run, plan: ConfigurationsPlan | null, arriving: number): void {
  if (plan === null) return;
  if (arriving > 0) run.warn('TARGET_CONFIGURATIONS_ACT', plan.acting.count, plan.acting.samples);
  run.warn('CONFIGURATION_ORDER_DIFFERS', plan.ties.count, plan.ties.samples);
}

/** What forbids writing, seen before the first write. */
export function refuseConfigurations(run: Run, input: WriteInput, plan: ConfigurationsPlan | null): void {
  if (plan === null) return;
  const { host } = input.target;
  const { conflict, refused } = plan;
  if (conflict.count > 0) {
    run.warn('TARGET_DIFFERS', conflict.count, named(conflict.samples));
    const some = conflict.samples.slice(0, 3).join(', ');
    fail(
      'TARGET_DIFFERS',
      `Configurations of ${host} that differ from the source: ${conflict.count}, such as ${some}. Nothing was written.`,
    );
  }
  if (input.strict && refused.count > 0) {
    const some = refused.samples.map(({ record, code }) => `${record} (${code})`).join(', ');
    fail('REFUSED_UNDER_STRICT', `${host} would not take ${some}. Nothing was written.`);
  }
}

/** The verdict of a comparison alone: the worse one of records and configurations. */
export function comparedConfigurations(run: Run, plan: ConfigurationsPlan | null, records: Outcome): Outcome {
  if (plan === null) return records;
  run.warn('CONFIGURATIONS_MISSING', plan.missing.count, plan.missing.samples);
  run.warn('CONFIGURATIONS_DIFFERENT', plan.different.count, plan.different.samples);
  return worse(records, plan.missing.count + plan.different.count + plan.refused.count);
}

/**
 * Moves the configurations, and reads them again. Only onto records that are verified: a configuration acts on a twin as
 * soon as it is there, so that nobody could say any more what is a difference (design §5).
 *
 * @param records the verdict of the records.
 */
export async function configured(
  run: Run,
  input: WriteInput,
  plan: ConfigurationsPlan | null,
  records: Outcome,
): Promise<Outcome> {
  if (plan === null) return records;
  const due = dueOf(plan);
  if (due === 0) return worse(records, plan.refused.count);
  if (records !== 'verified' || plan.input.target === null) {
    run.warn('CONFIGURATIONS_NOT_SENT', due, [...plan.missing.samples, ...plan.different.samples]);
    return worse(records, due);
  }
  run.phase('configure');
  const { host } = input.target;
  const { configurations: ledger } = run.report.ledger;
  // Until it is told: where the sending is broken off, nobody knows.
  if (ledger) Object.assign(ledger, { uncertain: due, unsent: 0 });
  run.counted(host, await run.activities.transfer.applyConfigurations({ ...plan.input, host }));
  const { open, rejected, missing, different } = await arrived(run, input, plan);
  if (ledger)
    Object.assign(ledger, {
      applied: due - open,
      rejected: rejected.count,
      uncertain: open - rejected.count,
    });
  name(run, [...rejected.samples, ...plan.refused.samples]);
  run.checkLedger();
  run.warn('CONFIGURATIONS_MISSING', missing.count, missing.samples);
  run.warn('CONFIGURATIONS_DIFFERENT', different.count, different.samples);
  return worse(records, missing.count + different.count + plan.refused.count);
}

/** What is there, looked at until all is that was not rejected, or it should be visible by now. */
async function arrived(
  run: Run,
  { settings, target: { host } }: WriteInput,
  plan: ConfigurationsPlan,
): Promise<ArrivedConfigurations> {
  const until = Date.now() + settings.visible;
  for (;;) {
    const answer = await run.activities.light.verifyConfigurations({ ...plan.input, host });
    const now = run.counted(host, answer);
    if (now.open === now.rejected.count || Date.now() >= until) return now;
    await sleep(settings.edgePoll, { summary: 'until configurations are seen' });
  }
}

const worse = (records: Outcome, open: number): Outcome =>
  records === 'verified' && open > 0 ? 'differences' : records;
