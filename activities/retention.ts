import { WorkflowNotFoundError } from '@temporalio/client';
import { runBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import { RUN_CONTAINERS } from '../registry/containers.js';
import { outdated, type Retention } from '../registry/retention.js';
import type { RunReport } from '../workflows/messages.js';
import type { Deps } from './deps.js';
import { reportsIn } from './reports.js';

export interface RetainInput {
  readonly account: string;
  /** The run after which it is done; its report counts what was removed. */
  readonly run: string;
  readonly keep: Retention;
}

export function retentionActivities({ connections, client }: Deps) {
  return {
    /** RUN of the run that has a workflow id; null where it is gone by now, or does not say. */
    async runUnder(input: { workflowId: string }): Promise<string | null> {
      try {
        const { memo, status } = await client.workflow.getHandle(input.workflowId).describe();
        const run = memo?.['run'];
        return status.name === 'RUNNING' && typeof run === 'string' ? run : null;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return null;
        throw error;
      }
    },

    /** Deletes the snapshots that a run's schedule does not keep any more, and says so in the run's report. */
    async removeSnapshots(input: RetainInput): Promise<NonNullable<RunReport['retention']> | null> {
      const storage = connections.storage(input.account);
      const reports = await reportsIn(storage);
      const own = reports.find(({ run }) => run === input.run);
      if (own === undefined) return null;
      const existing = new Set<string>();
      for await (const container of storage.listContainers(RUN_CONTAINERS)) existing.add(container);
      const { remove, kept } = outdated(reports, existing, own, input.keep, Date.now());
      for (const container of remove) await storage.deleteContainer(container);
      const retention = { removed: remove.length, kept };
      const text = JSON.stringify({ ...own, retention }, null, 2);
      await storage.writeText(SHARED_CONTAINER, runBlob(own.run), text);
      return retention;
    },
  };
}
