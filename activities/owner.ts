import { activityInfo, cancellationSignal } from '@temporalio/activity';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { freeTarget, type Owner, takeTarget } from '../azure/owners.js';
import { isSameServer } from '../registry/server.js';
import type { Deps } from './deps.js';
import { serverOf } from './server.js';

export interface TakeTargetInput {
  readonly account: string;
  readonly host: string;
  readonly run: string;
  /** The verb. */
  readonly workflow: string;
  /** The Temporal server, as its client calls it. */
  readonly server: string | null;
  /** When the run began, ISO. */
  readonly since: string;
  /** The id of the workflow that may write to the host, of which there is one at a time. */
  readonly workflowId: string;
}

export function ownerActivities({ connections, client }: Deps) {
  return {
    /**
     * Makes the run the only writer of its target among all Temporal servers that share the storage account. A run of this
     * server that is over and still owns the target, since it was terminated or lost, is replaced.
     *
     * @returns the run that was replaced
     * @throws HubferryError TARGET_BUSY, LEASE_REFUSED
     */
    async takeTarget(input: TakeTargetInput): Promise<{ replaced: string | null }> {
      const { account, host, run, workflow, since, workflowId } = input;
      const here = await serverOf(client, input.server);
      const isOver = async (owner: Owner): Promise<boolean> =>
        isSameServer(owner, here) && !(await isOthers(client, workflowId));
      const own: Owner = { run, workflow, ...here, since };
      const storage = connections.storage(account);
      const replaced = await takeTarget(storage, host, own, isOver, cancellationSignal());
      return { replaced: replaced?.run ?? null };
    },

    /** Lets other runs write to the target. */
    async freeTarget(input: { account: string; host: string; run: string }): Promise<void> {
      await freeTarget(connections.storage(input.account), input.host, input.run);
    },
  };
}

/** Whether another workflow than the one that asks runs under an id. */
async function isOthers(client: Client, workflowId: string): Promise<boolean> {
  const { workflowExecution } = activityInfo();
  try {
    const { status, runId } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' && runId !== workflowExecution?.runId;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
