import { RUNS, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import type { RunReport } from '../workflows/messages.js';

/** The stored reports of all runs, newest first; what is no report is left out. */
export async function reportsIn(storage: Storage): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  for await (const { name } of storage.list(SHARED_CONTAINER, RUNS)) {
    const report = reportOf((await storage.readText(SHARED_CONTAINER, name)) ?? '');
    if (report !== null) reports.push(report);
  }
  return reports.toSorted((a, b) => (a.started < b.started ? 1 : -1));
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
