import type { WorkflowHandle } from '@temporalio/client';
import { type Parked, type RunReport, resume, runReport } from '../../workflows/messages.js';
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

/** Activities whose faults are told at once, and those of a run's end. */
const TOLD = ['preflight', 'writeReport', 'cleanUp'];

/**
 * A run in which each activity fails once with a fault that somebody can mend, and is told to go on each time.
 *
 * @returns how it ended, and for which activities it rested.
 */
export async function steppedThrough(
  stand: TestStand,
  start: () => Promise<WorkflowHandle>,
  except: readonly string[] = [],
): Promise<{ report: RunReport; met: ReadonlySet<string> }> {
  const failed = stand.failEach('STORAGE_UNAUTHORIZED', [...TOLD, ...except]);
  const met = new Set<string>();
  const handle = await start();
  for (;;) {
    const report = await until('it rests or ends', async () => {
      const now = await handle.query(runReport);
      return (now.outcome === 'parked' || now.phase === 'ended') && now;
    });
    if (report.phase === 'ended') break;
    const [, activity = ''] = /: (\w+) meets a fault/.exec(report.parked?.why ?? '') ?? [];
    met.add(activity);
    await handle.executeUpdate(resume);
  }
  const report = await stand.reportOf(handle);
  if (failed.size < met.size) throw new Error('It rested for more than was broken.');
  return { report, met };
}
