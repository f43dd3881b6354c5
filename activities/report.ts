import type { RunReport } from '../workflows/messages.js';
import type { Deps } from './deps.js';
import { SHARED_CONTAINER } from './work.js';

export function reportActivities({ connections }: Deps) {
  return {
    /** Writes `runs/<RUN>.json`, which outlives what the Temporal server remembers. It holds no secret. */
    async writeReport(input: { account: string; report: RunReport }): Promise<void> {
      const storage = connections.storage(input.account);
      await storage.ensureContainer(SHARED_CONTAINER);
      await storage.writeText(
        SHARED_CONTAINER,
        `runs/${input.report.run}.json`,
        JSON.stringify(input.report, null, 2),
      );
    },
  };
}
