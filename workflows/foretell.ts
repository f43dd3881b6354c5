import { patched } from '@temporalio/workflow';
import type { Difference } from './compare.js';
import { fail } from './failure.js';
import type { Planned } from './gate.js';
import type { MigrateInput, WriteInput } from './messages.js';
import type { Run } from './run.js';

/** A plan that was made before must still be the one: then the writes are those that were seen. */
export function refuseOther({ planned, target }: MigrateInput, plan: Difference): void {
  if (planned === undefined || plan.hash.startsWith(planned.hash)) return;
  fail(
    'PLAN_STALE',
    `What is due on ${target.host} is plan ${plan.hash.slice(0, 16)} now, not ${planned.hash.slice(0, 16)}: the target changed since, or rules or policies are other ones. Nothing was written.`,
  );
}

/** Whether somebody decides on the plan before anything is written. */
const isDecidedOn = (input: WriteInput & Partial<Pick<MigrateInput, 'goal'>>): boolean =>
  input.goal === 'plan' || input.approve === true;

/** Before anything is begun: says of imports that run on the target. They are not of this run. */
export async function seeOthers(run: Run, input: WriteInput): Promise<void> {
  const { host } = input.target;
  if (!isDecidedOn(input) || !patched('plan-samples')) return;
  const jobs = run.counted(host, await run.activities.ask.importsUnderWay({ host }));
  run.warn(
    'OTHER_WRITERS',
    jobs.length,
    jobs.map((id) => `import job ${id} on ${host}`),
  );
}

/** What somebody who decides on a plan wants to see of it: some changes, field by field. */
export async function foretell(run: Run, input: WriteInput, { plan, before }: Planned): Promise<void> {
  if (!isDecidedOn(input) || !patched('plan-samples')) return;
  const { pass, partitions } = plan;
  const { account } = input;
  await run.activities.light.keepSamples({ account, work: run.work, pass, partitions, container: before.id });
}

/** What a migration does not do for devices, as far as the plan makes them on the target. */
export function warnOfMove(run: Run, input: MigrateInput, { kinds = {}, authorities = 0 }: Difference): void {
  if (!isDecidedOn(input)) return;
  const { host } = input.target;
  const { device = {}, edge = {}, module = {} } = kinds;
  const devices = (device.create ?? 0) + (edge.create ?? 0);
  run.warn('CONNECTION_STRINGS_CHANGE', devices, [`they connect to ${host} when they are told to`]);
  run.warn('CERTIFICATE_AUTHORITIES', authorities, [`${host} has to know their authorities`]);
  run.warn('REPORTED_LEFT_BEHIND', devices + (module.create ?? 0), ['devices report anew when they connect']);
}
