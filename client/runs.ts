import { createHash, randomInt } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { RUNS, runBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import { openStorage } from '../azure/storage.js';
import { type Config, storageOf } from '../config/index.js';
import { ERRORS, HubferryError } from '../registry/errors.js';
import { runName } from '../registry/run-name.js';
import { temporal } from '../worker/temporal.js';
import { attributesOf } from '../workflows/attributes.js';
import { type RunInput, type RunReport, TASK_QUEUE, workflowIdOf } from '../workflows/messages.js';
import type { Session } from './session.js';

/** A run of this client, or one that was there already. */
export interface StartedRun {
  /** Its report as it was at the beginning. */
  readonly begun: RunReport;
  readonly workflowId: string;
  /** Of this very run: a later one may have the same workflow id. */
  readonly runId: string;
  /** The same command runs already; this client follows it. */
  readonly attached: boolean;
}

/** A new RUN. */
export const newRunId = (now = new Date()): string => runName(now, (below) => randomInt(below));

const RUN = /^\d{8}-\d{6}-[a-z0-9]{6}$/;

/** @throws HubferryError USAGE for what is no RUN as `newRunId` makes it */
export function checkRun(run: string): void {
  if (RUN.test(run)) return;
  const hint = '`hubferry list` shows the runs.';
  throw new HubferryError('USAGE', `"${run}" names no run; RUN looks like 20260801-120000-ab12cd.`, hint);
}

/** Of what the same command gives each time: neither its own name nor who starts it where. */
export function digestOf(input: RunInput): string {
  const { run: _run, server: _server, schedule: _schedule, ...rest } = input;
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex');
}

/**
 * Starts a run, or attaches to the one that has the workflow id if it was given the same input.
 *
 * @throws HubferryError TARGET_BUSY when another run has the id.
 */
export async function startRun(
  { client }: Session,
  start: {
    readonly workflow: string;
    readonly workflowId: string;
    readonly input: RunInput;
    readonly summary: string;
    readonly report: RunReport;
  },
): Promise<StartedRun> {
  const { run } = start.input;
  const input = digestOf(start.input);
  try {
    const handle = await client.workflow.start(start.workflow, {
      workflowId: start.workflowId,
      taskQueue: TASK_QUEUE,
      args: [start.input],
      memo: { run, input },
      typedSearchAttributes: attributesOf(start.report),
      staticSummary: start.summary,
    });
    return {
      begun: start.report,
      workflowId: start.workflowId,
      runId: handle.firstExecutionRunId,
      attached: false,
    };
  } catch (error) {
    if (!(error instanceof temporal().WorkflowExecutionAlreadyStartedError)) throw error;
  }
  const { memo, workflowId, runId } = await client.workflow.getHandle(start.workflowId).describe();
  const other = typeof memo?.['run'] === 'string' ? memo['run'] : 'unknown';
  if (memo?.['input'] !== input) {
    throw new HubferryError('TARGET_BUSY', `Run ${other} writes to this target already, with other options.`);
  }
  return { begun: { ...start.report, run: other }, workflowId, runId, attached: true };
}

/**
 * Writes the report that a run begins with, so that `status` and `list` know it before a worker has taken it. The run
 * itself writes it too: a storage account that only the worker can reach is no fault.
 */
export async function noteBegun(config: Config, report: RunReport): Promise<void> {
  try {
    const storage = openStorage(storageOf(config));
    await storage.createContainer(SHARED_CONTAINER);
    const text = JSON.stringify(report, null, 2);
    await storage.writeText(SHARED_CONTAINER, runBlob(report.run), text, { onlyIfAbsent: true });
  } catch {}
}

/** Whether a run has had no last word yet. */
export const isOpen = ({ outcome }: Pick<RunReport, 'outcome'>): boolean =>
  outcome === 'running' || outcome === 'parked';

/** The workflow that a report belongs to, if Temporal still runs it. */
export async function openHandle(client: Client, report: RunReport): Promise<WorkflowHandle | null> {
  const handle = client.workflow.getHandle(workflowIdOf(report));
  try {
    const { memo, status } = await handle.describe();
    return memo?.['run'] === report.run && status.name === 'RUNNING' ? handle : null;
  } catch (error) {
    if (error instanceof temporal().WorkflowNotFoundError) return null;
    throw error;
  }
}

/** The stored report of a run. @throws HubferryError RUN_NOT_FOUND */
export async function readReport(config: Config, run: string): Promise<RunReport> {
  const storage = openStorage(storageOf(config));
  const text = (await storage.containerExists(SHARED_CONTAINER))
    ? await storage.readText(SHARED_CONTAINER, runBlob(run))
    : null;
  if (text === null)
    throw new HubferryError('RUN_NOT_FOUND', `There is no run ${run} in ${storage.account}.`);
  const report = parseReport(text);
  if (report === null)
    throw new HubferryError('RUN_NOT_FOUND', `The report of run ${run} in ${storage.account} is damaged.`);
  return report;
}

/** Null for what is no report: anybody who may write to the account can have put it there. */
export function parseReport(text: string): RunReport | null {
  try {
    const value = JSON.parse(text) as RunReport | null;
    const { run, workflow, outcome, started, seconds } = value ?? {};
    const texts = [run, workflow, outcome, started].every((member) => typeof member === 'string');
    return texts && typeof seconds?.total === 'number' ? value : null;
  } catch {
    return null;
  }
}

/** A run whose workflow is gone from its own server without a last word: terminated, or the server lost its data. */
export function lost(report: RunReport): RunReport {
  const message = `Run ${report.run} ended without a report: its workflow was terminated, or its server lost its data.`;
  const code = 'RUN_LOST';
  return { ...report, outcome: 'failed', error: { code, message, hint: ERRORS[code].hint } };
}

/** The stored reports of all runs, newest first; what is no report is told about and left out. */
export async function readReports(config: Config, say: (line: string) => void): Promise<RunReport[]> {
  const storage = openStorage(storageOf(config));
  if (!(await storage.containerExists(SHARED_CONTAINER))) return [];
  const reports: RunReport[] = [];
  for await (const { name } of storage.list(SHARED_CONTAINER, RUNS)) {
    const text = await storage.readText(SHARED_CONTAINER, name);
    if (text === null) continue;
    const report = parseReport(text);
    if (report === null) say(`${SHARED_CONTAINER}/${name} is not the report of a run; left out`);
    else reports.push(report);
  }
  return reports.toSorted((a, b) => (a.started < b.started ? 1 : -1));
}
