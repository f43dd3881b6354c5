/** The one workflow that may write to a hub: a second run with other input finds the id taken. */
export const writerIdOf = (host: string): string => `write/${host}`;
export const readerIdOf = (verb: string, run: string): string => `${verb}/${run}`;
export const hubJobIdOf = (host: string): string => `hub-job/${host}`;

/** What writes to a hub, under the id that its target gives it. */
const WRITERS: ReadonlySet<string> = new Set(['migrate', 'edit', 'rollback', 'drill', 'probe']);

/** Whether the runs of a verb write to their target. */
export const isWriter = (workflow: string): boolean => WRITERS.has(workflow);

/** The id under which a run is, as its report tells it. */
export const workflowIdOf = (report: {
  readonly run: string;
  readonly workflow: string;
  readonly target: string | null;
}): string =>
  isWriter(report.workflow) ? writerIdOf(report.target ?? '') : readerIdOf(report.workflow, report.run);
