import type { SnapshotInfo } from '../activities/backup-export.js';
import { workOf } from '../registry/estimate.js';
import type { HubSize } from '../registry/throttles.js';
import type { Difference } from './compare.js';
import type { WriteInput } from './messages.js';
import type { Run } from './run.js';

/** What the target's configuration says of it. */
export interface Room {
  readonly maxRecords: number;
  /** Devices that the target had when the run began; undefined in histories of 0.1. */
  readonly devices?: number | undefined;
  readonly size: HubSize;
}

/** Part of what a hub takes from which on it is worth saying that it is nearly full. */
const NEARLY = 0.9;

/** Books what the plan sends and how long that may take. */
export function bookWork(
  run: Run,
  { settings, target: { host } }: WriteInput,
  plan: Difference,
  target: SnapshotInfo,
  { size }: Room,
): void {
  const { create = 0, update = 0 } = plan.configurations ?? {};
  const exported = run.report.jobs.filter(
    ({ hub, type, status }) => hub === host && type === 'export' && status === 'completed',
  );
  const load = {
    waves: plan.waves,
    chunkLines: settings.chunkLines,
    manifests: plan.manifests?.sends ?? 0,
    configurations: { create, update },
    arriving: target.records + addedBy(plan) - plan.delete,
    deletes: plan.delete > 0,
    settle: settings.settle,
  };
  const measured = { records: target.records, seconds: exported.at(-1)?.seconds ?? 0 };
  run.report.work = workOf(load, size, measured);
}

/** How many records a plan adds to the target. */
const addedBy = (plan: Difference): number => plan.create + (plan.manifests?.added ?? 0);

/** Says beforehand where the target is nearly full when all has arrived. */
export function warnOfRoom(
  run: Run,
  { target: { host } }: WriteInput,
  plan: Difference,
  target: SnapshotInfo,
  { maxRecords }: Room,
): void {
  const arriving = target.records + addedBy(plan);
  if (arriving > target.records && arriving > maxRecords * NEARLY)
    run.warn('TARGET_NEARLY_FULL', arriving, [`${host} takes ${maxRecords}`]);
}
