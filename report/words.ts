import { ERRORS, isErrorCode } from '../registry/errors.js';
import type { PartLedger } from '../registry/ledger.js';
import { isMissed } from '../registry/objective.js';
import type { RecordKind } from '../registry/record.js';
import { maskSecrets } from '../registry/secrets.js';
import type { DrillResult, Outcome, Parked, RunReport } from '../workflows/messages.js';
import { count } from './format.js';

export type RunError = NonNullable<RunReport['error']>;

const VERDICTS: Record<Outcome, string> = {
  verified: 'verified: every record arrived, compared field by field',
  differences: 'not all is as in the source',
  failed: 'failed',
  cancelled: 'cancelled',
  planned: 'planned: nothing was written',
  done: 'done',
  running: 'running',
  parked: 'parked',
  skipped: 'skipped: it was not started',
};

/** What verdicts say of runs that copy nothing. */
const OWN_VERDICTS: Partial<Record<RunReport['workflow'], Partial<Record<Outcome, string>>>> = {
  drill: {
    verified: 'passed: the snapshot was restored, and compared field by field',
    differences: 'not passed',
  },
  edit: {
    verified: 'verified: every edit is done, compared field by field',
    differences: 'not all is as the edits say',
  },
  rollback: {
    verified: 'verified: all is as before the run, compared field by field',
    differences: 'not all is as before the run',
  },
};

const verdict = ({ workflow }: RunReport, outcome: Outcome): string =>
  OWN_VERDICTS[workflow]?.[outcome] ?? VERDICTS[outcome];

/** The kinds of records, in the order in which reports name them. */
export const KINDS = ['device', 'edge', 'module'] as const satisfies readonly RecordKind[];

export const KIND_NAMES = { device: 'devices', edge: 'edge devices', module: 'modules' } as const;

/** What is to come after the step under way. */
const ASKED = {
  nothing: '',
  pause: '; rests after this step',
  cancel: '; ends after this step',
} as const;

/** The command that lets a parked run go on. */
export const wayOn = ({ run, plan }: RunReport, { reason }: Parked): string =>
  reason === 'approval' || reason === 'ready' || reason === 'cut-over'
    ? `hubferry approve ${run} ${plan?.slice(0, 16)}`
    : `hubferry resume ${run}`;

/** What has to be done before a run that rests for a fault can go on; null where it rests for another reason. */
export const mendingOf = ({ reason }: Parked): string | null =>
  isErrorCode(reason) ? ERRORS[reason].hint : null;

/** The outcome in words, with what is open by its counts. */
export function verdictOf(report: RunReport): string {
  const { outcome, phase, ledger, verify, warnings } = report;
  if (outcome === 'cancelled' && report.follow?.cutBack)
    return `cancelled: cut back, ${report.follow.cutBack.why}`;
  if (outcome === 'running') return `${VERDICTS.running} (${phase}${ASKED[report.asked ?? 'nothing']})`;
  if (outcome === 'parked' && report.parked) return `parked: it ${report.parked.why} (${phase})`;
  if (outcome === 'verified' && verify && verify.kept > 0)
    return `${verdict(report, outcome)}, ${count(verify.kept)} kept as they were on the target`;
  if (outcome !== 'differences') return verdict(report, outcome);
  const warned = (name: string): number => warnings.find(({ code }) => code === name)?.count ?? 0;
  const missed = missedOf(report.drill).length;
  const open = Object.entries({
    different: verify?.different ?? 0,
    missing: verify?.missing ?? 0,
    refused: ledger.refused,
    rejected: ledger.rejected,
    'system modules': warned('SYSTEM_MODULES_DIFFERENT'),
    'system modules refused': ledger.systemModules.refused,
    configurations:
      warned('CONFIGURATIONS_MISSING') +
      warned('CONFIGURATIONS_DIFFERENT') +
      warned('CONFIGURATIONS_NOT_SENT'),
    'configurations refused': ledger.configurations?.refused ?? 0,
    [missed === 1 ? 'objective missed' : 'objectives missed']: missed,
    'left on the scratch hub': warned('NOT_CLEANED'),
    'changed since the run': warned('CHANGED_SINCE_RUN'),
    'not undone': warned('NOT_UNDONE'),
  }).flatMap(([name, n]) => (n > 0 ? [`${count(n)} ${name}`] : []));
  return `${verdict(report, outcome)}: ${open.join(', ')}`;
}

/** The objectives that a drill has missed. */
export function missedOf(drill: DrillResult | undefined): ('rto' | 'rpo')[] {
  if (drill === undefined) return [];
  return (['rto', 'rpo'] as const).filter((name) => isMissed(drill[name], drill.objectives[name]));
}

/** Which comparison the counts are from: the one that made the plan, until there is another. */
export function comparisonOf({ workflow, seconds, ledger }: RunReport): string {
  const planned = ledger.create + ledger.update + ledger.delete;
  const before = workflow !== 'verify' && planned > 0 && seconds.phases.verify === undefined;
  return before ? 'the target before any write' : 'verify';
}

const LEDGER_TERMS = {
  source: ['system', 'filtered', 'refused', 'desired'],
  desired: ['unchanged', 'kept', 'create', 'update'],
  planned: ['applied', 'rejected', 'uncertain', 'unsent'],
} as const;
export const VERIFY_TERMS = ['match', 'kept', 'different', 'missing'] as const;

/** A count, and the counts that add up to it. */
export type Equation = readonly [name: string, sum: number, counts: object, terms: readonly string[]];

/** Ledgers of what there is beside records, where there is something to carry. */
export function partsOf({ ledger }: RunReport): (readonly [name: string, ledger: PartLedger])[] {
  const { systemModules, configurations } = ledger;
  const parts: (readonly [string, PartLedger])[] = [['system modules', systemModules]];
  if (configurations) parts.push(['configurations', configurations]);
  // Reports of 0.1 have no such counts.
  return parts.filter(([, { desired, refused }]) => desired + refused > 0);
}

/** The equations that a ledger has to fulfil, as far as this kind of run has any. */
export function ledgerRows({
  workflow,
  ledger,
}: {
  readonly workflow: RunReport['workflow'];
  readonly ledger: PartLedger;
}): Equation[] {
  const source: Equation = ['source', ledger.source, ledger, LEDGER_TERMS.source];
  if (workflow === 'snapshot') return [source];
  const desired: Equation = ['desired', ledger.desired, ledger, LEDGER_TERMS.desired];
  const planned = ledger.create + ledger.update + ledger.delete;
  const sent: Equation = ['planned', planned, ledger, LEDGER_TERMS.planned];
  if (ledger.delete === 0) return [source, desired, sent];
  return [source, desired, ['planned', planned, ledger, ['create', 'update', 'delete']], sent];
}

/** An error as it may be shown: messages name what a user typed, which may be a secret in the wrong place. */
export function masked({ code, message, hint }: RunError): RunError {
  return { code, message: maskSecrets(message), hint: maskSecrets(hint) };
}
