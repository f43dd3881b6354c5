import { runBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { RunReport } from '../workflows/messages.js';
import type { Deps } from './deps.js';

export function reportActivities({ connections }: Deps) {
  return {
    /** Writes `runs/<RUN>.json`, which outlives what the Temporal server remembers. It holds no secret. */
    async writeReport(input: { account: string; report: RunReport }): Promise<void> {
      const storage = connections.storage(input.account);
      await storage.createContainer(SHARED_CONTAINER);
      await storage.writeText(
        SHARED_CONTAINER,
        runBlob(input.report.run),
        JSON.stringify(input.report, null, 2),
      );
    },
  };
}
