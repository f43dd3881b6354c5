import { RUNS, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import type { RunReport } from '../workflows/messages.js';
import { manyAtOnce } from './many.js';

/** The stored reports of all runs, newest first; what is no report is left out. None before the first run. */
export async function reportsIn(storage: Storage): Promise<RunReport[]> {
  if (!(await storage.containerExists(SHARED_CONTAINER))) return [];
  const blobs = storage.list(SHARED_CONTAINER, RUNS);
  const reports = await manyAtOnce(blobs, async ({ name }) =>
    reportOf((await storage.readText(SHARED_CONTAINER, name)) ?? ''),
  );
  return reports.filter((report) => report !== null).toSorted((a, b) => (a.started < b.started ? 1 : -1));
}

/** Anybody who may write to the account can have put it there. */
function reportOf(text: string): RunReport | null {
  try {
    const report = JSON.parse(text) as Partial<RunReport> | null;
    const { run, workflow, outcome, source, started, snapshots } = report ?? {};
    const texts = [run, workflow, outcome, source, started].every((member) => typeof member === 'string');
    return texts && typeof snapshots === 'object' ? (report as RunReport) : null;
  } catch {
    return null;
  }
}
