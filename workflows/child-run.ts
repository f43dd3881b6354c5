import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { type ChildWorkflowHandle, ParentClosePolicy, startChild, type Workflow } from '@temporalio/workflow';
import { runName } from '../registry/run-name.js';
import { attributesOf } from './attributes.js';
import { emptyReport, type RunReport } from './messages.js';

/** A run that a workflow starts: for users it is one like any other. */
export interface ChildRun {
  readonly workflow: string;
  readonly workflowId: string;
  readonly input: { readonly run: string };
  /** Digest of the input, by which a command knows that the run is its own; left out: no command's. */
  readonly digest?: string;
  readonly summary: string;
  readonly report: Pick<RunReport, 'workflow' | 'source' | 'target'>;
}

/** Starts it, with what the client gives its runs; null where another run has its workflow id. */
export async function startRun({
  workflow,
  workflowId,
  input,
  digest = '',
  summary,
  report,
}: ChildRun): Promise<ChildWorkflowHandle<Workflow> | null> {
  const { run } = input;
  try {
    return await startChild(workflow, {
      workflowId,
      args: [input],
      memo: { run, input: digest },
      typedSearchAttributes: attributesOf(emptyReport({ run, ...report })),
      staticSummary: summary,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
    throw error;
  }
}

/** A new RUN. */
export const newRun = (due: Date): string => runName(due, (below) => Math.floor(Math.random() * below));
