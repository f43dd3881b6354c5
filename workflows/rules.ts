import type { TransformInput, TransformResult } from '../activities/transform.js';
import type { MigrateInput } from './messages.js';
import type { Run } from './run.js';

/** What of a run's input is about rules, as the transform takes it: nothing where there are none. */
export function rulesOf({ rules, orphans }: MigrateInput): Pick<TransformInput, 'rules' | 'orphans'> {
  if (rules === undefined) return {};
  return { rules, ...(orphans === undefined ? {} : { orphans }) };
}

/** Books what rules did to the records of the source. */
export function bookRules(run: Run, { ruled }: TransformResult): void {
  if (ruled === undefined) return;
  const { filtered, tallies, detached, excludedWithParent } = ruled;
  run.report.ledger.filtered = filtered;
  run.report.rules = [...tallies];
  run.warn('DETACHED', detached.count, detached.samples);
  run.warn('EXCLUDED_WITH_PARENT', excludedWithParent.count, excludedWithParent.samples);
}
