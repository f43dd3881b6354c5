import type { WorkflowHandle } from '@temporalio/client';
import { type Parked, type RunReport, resume, runReport, writerIdOf } from '../../workflows/messages.js';
import type { TestStand } from './stand.js';
import { until } from './until.js';

/** Waits until a run rests, for this reason if one is given. @throws where it ends instead */
export async function parked(handle: WorkflowHandle, reason?: Parked['reason']): Promise<RunReport> {
  return await until(`it rests for ${reason ?? 'some reason'}`, async () => {
    const report = await handle.query(runReport);
    if (report.phase === 'ended') throw new Error(`It ended ${report.outcome}: ${report.error?.message}`);
    return (
      report.outcome === 'parked' && (reason ?? report.parked?.reason) === report.parked?.reason && report
    );
  });
}

/** Ends what writes to these hubs: a run that a failed test has left must not be in the way of the next. */
export async function endWriters(stand: TestStand, ...hubs: readonly string[]): Promise<void> {
  for (const name of hubs) {
    const { host } = stand.config.hubs.get(name) ?? { host: '' };
    await stand.client.workflow
      .getHandle(writerIdOf(host))
      .terminate()
      .catch(() => undefined);
  }
}

/** Activities whose faults are told at once, and those of a run's end. */
const TOLD = ['takeTarget', 'preflight', 'writeReport', 'cleanUp', 'freeTarget'];

/**
 * A run in which each activity fails once with a fault that somebody can mend, and is told to go on each time.
 *
 * @returns how it ended, which activities failed, and how often it rested: steps that fail side by side do so together.
 */
export async function steppedThrough(
  stand: TestStand,
  start: () => Promise<WorkflowHandle>,
  except: readonly string[] = [],
): Promise<{ report: RunReport; failed: ReadonlySet<string>; rests: number }> {
  const told = new Set([...TOLD, ...except]);
  const failed = stand.failEach('STORAGE_UNAUTHORIZED', (activity) => !told.has(activity));
  const handle = await start();
  for (let rests = 0; ; rests++) {
    const now = await until('it rests or ends', async () => {
      const report = await handle.query(runReport);
      return (report.outcome === 'parked' || report.phase === 'ended') && report;
    });
    if (now.phase === 'ended') return { report: await stand.reportOf(handle), failed, rests };
    await handle.executeUpdate(resume);
  }
}
