import { HubferryError } from '../registry/errors.js';
import type { RunReport } from '../workflows/messages.js';
import { manifestIn, type SnapshotInfo } from './backup-export.js';
import type { Deps } from './deps.js';
import { reportsIn } from './reports.js';

/** A drill that may have left something on its scratch hub, and that hub's snapshot from before it. */
export interface FormerDrill {
  readonly run: string;
  readonly before: string;
}

/** Verbs that only ever have a scratch hub as the target on which something is mended. */
const MENDING: readonly RunReport['workflow'][] = ['drill', 'edit', 'rollback', 'check'];

export function drillActivities({ connections }: Deps) {
  return {
    /**
     * Makes sure that a hub may be filled and emptied: it is declared so in this worker's configuration, and no run has it
     * as its source, or migrates to it.
     *
     * @returns the newest drill to it that did not clean up
     * @throws HubferryError HUB_NOT_SCRATCH
     */
    async guardScratch(input: {
      account: string;
      host: string;
      run: string;
    }): Promise<{ former: FormerDrill | null }> {
      const { host } = input;
      if (connections.hubConfig(host).role !== 'scratch')
        throw new HubferryError('HUB_NOT_SCRATCH', `${host} is not declared \`role: scratch\`.`);
      let former: FormerDrill | null = null;
      for (const report of await reportsIn(connections.storage(input.account))) {
        const { run, workflow, source, target, snapshots, cleaned } = report;
        if (run === input.run) continue;
        if (source === host || (target === host && !MENDING.includes(workflow)))
          throw new HubferryError(
            'HUB_NOT_SCRATCH',
            `${host} is the ${source === host ? 'source' : 'target'} of run ${run} (${workflow}).`,
          );
        const left = workflow === 'drill' && target === host && cleaned !== true && snapshots.target;
        if (left) former ??= { run, before: left };
      }
      return { former };
    },

    /** The newest stored snapshot of a hub, with keys. @throws HubferryError SNAPSHOT_NOT_FOUND */
    async latestSnapshot(input: { account: string; host: string }): Promise<SnapshotInfo> {
      const storage = connections.storage(input.account);
      for (const { source, snapshots, outcome } of await reportsIn(storage)) {
        if (source !== input.host || snapshots.source === null || outcome === 'failed') continue;
        const info = await manifestIn(storage, snapshots.source).catch((error: unknown) => {
          // A run that goes on has none yet, and one that was kept may have been removed since.
          if (error instanceof HubferryError && error.code.startsWith('SNAPSHOT_')) return null;
          throw error;
        });
        if (info?.host === input.host && info.keys) return info;
      }
      throw new HubferryError(
        'SNAPSHOT_NOT_FOUND',
        `There is no stored snapshot of ${input.host} with keys in ${storage.account}.`,
      );
    },
  };
}
