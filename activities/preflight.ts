import { isLoopbackHost } from '../azure/connections.js';
import { SHARED_CONTAINER } from '../azure/shared-container.js';
import { HubferryError } from '../registry/errors.js';
import type { HubCalls } from '../registry/hub-calls.js';
import type { Deps } from './deps.js';
import type { Counted } from './hub-job.js';

export interface PreflightInput {
  readonly account: string;
  /** Null: no hub is read. */
  readonly source: string | null;
  /** Null: no hub is written. */
  readonly target: string | null;
}

export interface PreflightAnswer {
  readonly host: string;
  readonly calls: HubCalls;
  readonly maxRecords: number;
  /** Not in histories of 0.1. */
  readonly tier?: string;
  readonly units?: number;
  readonly rates?: number;
  readonly devices?: number;
}

export function preflightActivities({ connections }: Deps) {
  return {
    /** Asks every hub and the storage account one harmless question, before anything is begun. */
    async preflight(input: PreflightInput): Promise<PreflightAnswer[]> {
      const { account, source, target } = input;
      const hosts = [source, target].filter((host) => host !== null);
      if (source !== null && source === target) {
        throw new HubferryError('SAME_HUB', `Source and target are the same hub, ${source}.`);
      }
      for (const host of hosts) {
        if (isLoopbackHost(new URL(account).hostname) && !isLoopbackHost(host)) {
          throw new HubferryError(
            'STORAGE_NOT_REACHABLE_BY_HUB',
            `${host} cannot reach the storage account ${account}.`,
          );
        }
      }
      await connections.storage(account).createContainer(SHARED_CONTAINER);
      return Promise.all(
        hosts.map(async (host) => {
          const hub = connections.hub(host);
          const { maxRecords, tier, units } = connections.hubConfig(host);
          await connections.jobContainers(host, account).check();
          const { total: devices } = await hub.statistics();
          return { host, calls: hub.takeCalls(), maxRecords, tier, units, rates: connections.rates, devices };
        }),
      );
    },

    /** Import jobs under way on a hub, by id: before this run has sent anything, they are of somebody else. */
    async importsUnderWay({ host }: { host: string }): Promise<Counted<readonly string[]>> {
      const hub = connections.hub(host);
      const jobs = await hub.listJobs();
      const open = jobs.filter(
        ({ type, status }) => type === 'import' && /^(enqueued|running)$/.test(status),
      );
      return { value: open.map(({ jobId }) => jobId), calls: hub.takeCalls() };
    },

    async statistics(input: { host: string }): Promise<Counted<{ total: number }>> {
      const hub = connections.hub(input.host);
      const { total } = await hub.statistics();
      return { value: { total }, calls: hub.takeCalls() };
    },
  };
}
