import { SAMPLES_BLOB } from '../azure/shared-container.js';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { PlanSample } from '../registry/plan-sample.js';
import type { MigrateInput, RunReport } from '../workflows/messages.js';
import { say } from './print.js';
import { readReports } from './runs.js';
import { storageWithKeys } from './session.js';

/** The beginning of a plan's hash, as reports print it. @throws HubferryError USAGE for what is none */
export function checkPlan(plan: string): string {
  if (/^[\da-f]{8,64}$/i.test(plan)) return plan.toLowerCase();
  throw new HubferryError(
    'USAGE',
    `"${plan}" names no plan; give 8 or more digits of the hash that a report names.`,
  );
}

/**
 * The newest plan with this beginning, made from the same source for the same target.
 *
 * @throws HubferryError PLAN_NOT_FOUND
 */
export async function findPlan(
  config: Config,
  id: string,
  { source, target }: Pick<RunReport, 'source' | 'target'>,
): Promise<NonNullable<MigrateInput['planned']>> {
  const reports = await readReports(config, say);
  const found = reports.filter(
    ({ workflow, plan }) => (workflow === 'plan' || workflow === 'migrate') && plan?.startsWith(id),
  );
  const hashes = new Set(found.map(({ plan }) => plan));
  const never = (why: string): HubferryError => new HubferryError('PLAN_NOT_FOUND', `Plan ${id} ${why}.`);
  if (hashes.size === 0) throw never('is in no report of the storage account');
  if (hashes.size > 1) throw never('could be one of several: give more digits');
  const fits = found.find((report) => report.source === source && report.target === target);
  if (fits === undefined) throw never(`is not of ${source} and ${target ?? 'no hub'}`);
  const { plan, snapshots } = fits;
  if (plan === null || snapshots.source === null) throw never('kept no snapshot of its source');
  return { hash: plan, snapshot: snapshots.source };
}

/** Some changes of a plan that nobody has decided on yet. None where they cannot be had: they are only to be looked at. */
export async function planSamples(config: Config, { outcome, snapshots }: RunReport): Promise<PlanSample[]> {
  if ((outcome !== 'planned' && outcome !== 'parked') || snapshots.target === null) return [];
  try {
    const storage = await storageWithKeys(config);
    const text = await storage.readText(snapshots.target, SAMPLES_BLOB);
    return text === null ? [] : (JSON.parse(text) as PlanSample[]);
  } catch {
    return [];
  }
}
