import type { Deps } from './deps.js';

export function cleanupActivities({ connections }: Deps) {
  return {
    async deleteContainer(input: { account: string; container: string }): Promise<void> {
      await connections.storage(input.account).deleteContainer(input.container);
    },

    /** Deletes every container that the run made, but the snapshots it keeps. */
    async cleanUp(input: { account: string; run: string; keep: readonly string[] }): Promise<void> {
      const storage = connections.storage(input.account);
      const keep = new Set(input.keep);
      for await (const container of storage.listContainers(`hf-${input.run}-`)) {
        if (!keep.has(container)) await storage.deleteContainer(container);
      }
    },
  };
}
