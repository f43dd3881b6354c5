import type { OwnPlan } from '../activities/own.js';
import type { TransformResult } from '../activities/transform.js';
import { emptyLedger } from '../registry/ledger.js';
import { addManifestTotals, emptyManifestTotals, type ManifestTotals } from '../registry/manifest-totals.js';
import { SAMPLES } from '../registry/totals.js';
import type { WriteInput } from './messages.js';
import type { Run } from './run.js';

/** The manifests of all edge devices, desired against actual. */
export interface ManifestDifference extends ManifestTotals {
  /** Blobs of manifests to send, by partition. */
  readonly chunks: readonly number[];
  /** Edge devices whose manifest is to be sent. */
  readonly sends: number;
}

/** Whether manifests are to be sent. */
export const manifestsAreDue = (manifests: ManifestDifference | null): boolean =>
  manifests?.chunks.some((chunks) => chunks > 0) === true;

/** System modules that are not as they should be, but for those of disabled devices that nobody may touch. */
export const openModules = (manifests: ManifestDifference | null): number =>
  manifests === null ? 0 : manifests.missing + manifests.different - manifests.excused;

/**
 * Compares the manifests of edge devices, partition by partition. Null where the source has no system modules.
 *
 * @param own what this run has sent: null before the first write.
 */
export async function compareManifests(
  run: Run,
  { account, existing }: WriteInput,
  { manifests, partitions }: TransformResult,
  { pass, targetSnapshot }: { readonly pass: number; readonly targetSnapshot: string },
  own: OwnPlan | null,
): Promise<ManifestDifference | null> {
  if (manifests !== true) return null;
  const sent = own?.passes ?? null;
  const configurations = own?.before ?? targetSnapshot;
  const parts = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      run.activities.transfer.compareManifests({
        account,
        work: run.work,
        pass,
        partition,
        existing,
        sent,
        configurations,
      }),
    ),
  );
  const sum = parts.reduce<ManifestTotals>(addManifestTotals, emptyManifestTotals());
  const sends = parts.reduce((all, part) => all + (part.sends ?? 0), 0);
  return { ...sum, chunks: parts.map(({ chunks }) => chunks), sends };
}

/** Books what the plan does with system modules. */
export function bookManifestPlan(run: Run, plan: ManifestDifference | null): void {
  if (plan === null) return;
  const { report } = run;
  report.ledger.systemModules = {
    ...emptyLedger(),
    source: plan.source,
    system: plan.system,
    refused: plan.refused,
    desired: plan.desired,
    unchanged: plan.equal,
    kept: plan.kept + plan.conflict,
    create: plan.create,
    update: plan.update,
    unsent: plan.create + plan.update,
  };
  report.rejected = [...report.rejected, ...plan.samples.refused].slice(0, SAMPLES);
}

/** Says, once, what no call can carry. */
export function warnOfLostTags(run: Run, plan: ManifestDifference | null): void {
  run.warn('SYSTEM_MODULE_TAGS', plan?.lostTags ?? 0, plan?.samples.lostTags);
}

/**
 * Sends the manifests that a comparison found to be due (design §5, wave 4), after edge devices and modules. The next
 * comparison shows what became of them.
 *
 * @param pass the number of that comparison.
 */
export async function restoreManifests(
  run: Run,
  { account, settings, target }: WriteInput,
  now: ManifestDifference | null,
  { pass, targetSnapshot }: { readonly pass: number; readonly targetSnapshot: string },
): Promise<void> {
  if (now === null || !manifestsAreDue(now)) return;
  const { visible, edgePoll: poll } = settings;
  const { host } = target;
  const ledger = run.report.ledger.systemModules;
  // Until it is told: where the sending is broken off, nobody knows.
  Object.assign(ledger, { uncertain: ledger.uncertain + ledger.unsent, unsent: 0 });
  for (const [partition, chunks] of now.chunks.entries()) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const { taken } = run.counted(
        host,
        await run.activities.transfer.sendManifests({
          account,
          host,
          work: run.work,
          pass,
          partition,
          chunk,
          targetSnapshot,
          visible,
          poll,
        }),
      );
      const told = Math.min(taken, ledger.uncertain);
      ledger.applied += told;
      ledger.uncertain -= told;
    }
  }
}

/** Books what became of planned system modules, as the newest look at the target shows it. */
export function bookManifestArrival(
  run: Run,
  plan: ManifestDifference | null,
  now: ManifestDifference | null,
): void {
  if (plan === null || now === null) return;
  const { report } = run;
  Object.assign(report.ledger.systemModules, {
    applied: plan.create + plan.update - now.plannedOpen,
    rejected: now.rejected,
    unsent: now.unsent,
    uncertain: now.plannedOpen - now.rejected - now.unsent,
  });
  const more = [...now.samples.rejected, ...plan.samples.refused];
  report.rejected = [...report.rejected, ...more].slice(0, SAMPLES);
}

/** Names what is not as it should be. @returns whether there is nothing of it. */
export function manifestsArrived(run: Run, now: ManifestDifference | null): boolean {
  if (now === null) return true;
  const { samples } = now;
  run.warn('SYSTEM_MODULES_DIFFERENT', openModules(now), samples.open);
  run.warn('CHANGED_BY_OTHERS', now.foreign, samples.foreign);
  run.warn('MANAGED_BY_CONFIGURATION', now.managed, samples.managed);
  run.warn('MANIFEST_NOT_RESTORED', now.excusedEdges, samples.excused);
  return openModules(now) + now.refused + now.rejected === 0;
}
