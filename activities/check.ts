import { activityInfo } from '@temporalio/activity';
import { isLoopbackHost } from '../azure/connections.js';
import type { Hub } from '../azure/hub.js';
import { forgetTry, tryLease } from '../azure/owners.js';
import { SHARED_CONTAINER } from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { checkContainer } from '../registry/containers.js';
import { type ErrorCode, HubferryError } from '../registry/errors.js';
import { WARNINGS, type WarningCode } from '../registry/warnings.js';
import type { Deps } from './deps.js';
import { mayQuery } from './edge-scopes.js';

/** One thing that was tried, and what came of it. */
export interface Finding {
  readonly subject: string;
  readonly check: string;
  readonly ok: boolean;
  /** Why it failed. */
  readonly code: ErrorCode | null;
  /** What to mind although it did not fail. Left out: nothing. */
  readonly warning?: WarningCode;
  readonly detail: string;
  readonly hint: string | null;
}

/** What came of a step that did not fail. */
type Told = string | { readonly warning: WarningCode; readonly detail: string };

type Step = [check: string, attempt: () => Promise<Told>];

export function checkActivities({ connections }: Deps) {
  return {
    /** Containers can be made, written, granted and deleted; or the one that was made beforehand can be written. */
    async checkStorage(input: { account: string }): Promise<Finding[]> {
      const { account } = input;
      const { attempt, scheduledTimestampMs: asked } = activityInfo();
      const container = checkContainer(asked + attempt);
      let storage: Storage | undefined;
      const steps: Step[] = [
        [
          'reach',
          async () => {
            storage = connections.storage(account);
            await storage.createContainer(SHARED_CONTAINER);
            return 'answers';
          },
        ],
        [
          'containers',
          async () => {
            if (!storage) throw new HubferryError('STORAGE_UNREACHABLE', 'not tried');
            for (let earlier = 1; earlier < attempt; earlier++)
              await forget(storage, checkContainer(asked + earlier));
            await storage.createContainer(container);
            try {
              await storage.writeText(container, 'probe', 'hubferry');
              if (storage.home !== null) return `all is kept in ${storage.home}, which can be written`;
              await storage.access.grant(container, 'output', 'rwd', new Date(Date.now() + 60_000));
              return 'can be made, written and granted';
            } finally {
              await storage.deleteContainer(container);
            }
          },
        ],
        [
          'leases',
          async () => {
            if (!storage) throw new HubferryError('STORAGE_UNREACHABLE', 'not tried');
            await tryLease(storage, container);
            return 'can be taken: a target has one writer';
          },
        ],
        ...custodySteps(() => connections.storage(account), container),
      ];
      return findings(account, steps);
    },

    /** Rights are proven by calls that cannot change anything (service facts §1.4, §1.5, §4). */
    async checkHub(input: { account: string; host: string }): Promise<Finding[]> {
      const { account, host } = input;
      const hub = (): Hub => connections.hub(host);
      const steps: Step[] = [
        [
          'reach and read',
          async () => {
            const { total } = await hub().statistics();
            const { maxRecords } = connections.hubConfig(host);
            return `${number(total)} devices; takes up to ${number(maxRecords)} records`;
          },
        ],
        [
          'reach storage',
          async () => {
            if (isLoopbackHost(new URL(account).hostname) && !isLoopbackHost(host)) {
              throw new HubferryError('STORAGE_NOT_REACHABLE_BY_HUB', `${account} is on loopback`);
            }
            return 'same side of the network';
          },
        ],
        ...preparedContainer(connections, account, host),
        [
          'query',
          async () =>
            (await mayQuery(hub())) ? 'allowed' : 'not allowed: edge devices are asked one by one',
        ],
        [
          'configurations',
          async () => {
            const all = await hub().listConfigurations();
            return all === null ? 'not told: none are moved' : `${number(all.length)} can be read`;
          },
        ],
        [
          'run jobs',
          async () => {
            await hub().probeJobs();
            return 'allowed';
          },
        ],
        [
          'write devices',
          async () => {
            if (connections.hubConfig(host).readOnly) return 'not tried: readOnly';
            await hub().probeWrite();
            return 'allowed';
          },
        ],
      ];
      return findings(host, steps);
    },
  };
}

/**
 * What the account keeps of what was deleted, and who may read it. A container that was deleted before says whether it is
 * kept.
 */
function custodySteps(storage: () => Storage, deleted: string): Step[] {
  const days = (count: number): string => (count === 1 ? '1 day' : `${count} days`);
  const unknown = 'not told to whoever asks: see soft delete in the portal';
  const blobs = async (): Promise<Told> => {
    const { custody, home } = storage();
    if (home !== null && (await custody.isPublic(home)))
      return { warning: 'CONTAINER_PUBLIC', detail: `anybody may read ${home}` };
    const kept = await custody.deletedBlobsStay();
    if (kept === null) return unknown;
    return kept === 0 ? 'gone at once' : { warning: 'DELETED_BLOBS_KEPT', detail: `kept for ${days(kept)}` };
  };
  const containers = async (): Promise<Told> => {
    const kept = await storage().custody.deletedContainerStays(deleted);
    if (kept === null) return unknown;
    return kept === 0
      ? 'gone at once'
      : { warning: 'DELETED_CONTAINERS_KEPT', detail: `kept for ${days(kept)}` };
  };
  const versions = async (): Promise<Told> => {
    const kept = await storage().custody.versionsStay(SHARED_CONTAINER);
    return kept ? { warning: 'VERSIONS_KEPT', detail: 'kept until somebody deletes them' } : 'none are kept';
  };
  return [
    ['deleted blobs', blobs],
    ['deleted containers', containers],
    ['earlier versions', versions],
  ];
}

/** Where the hub's jobs have a container made beforehand: what they need of it, without touching what it is used for. */
function preparedContainer(connections: Deps['connections'], account: string, host: string): Step[] {
  const { container } = connections.hubConfig(host);
  if (container === undefined) return [];
  const probe = async (): Promise<Told> => {
    const containers = connections.jobContainers(host, account);
    const storage = connections.storage(account);
    await containers.check();
    await storage.writeText(container, PROBE_BLOB, 'hubferry');
    await storage.deleteBlob(container, PROBE_BLOB);
    if (await storage.custody.isPublic(container))
      return { warning: 'CONTAINER_PUBLIC', detail: `anybody may read ${container}` };
    const { access } = containers;
    // What can be taken back is bound to the container, where a job may be using it at this moment.
    if (!access.revocable) await access.grant(container, 'output', 'w', new Date(Date.now() + 60_000));
    return `${container} can be written${access.hubIdentity ? '' : ' and granted'}`;
  };
  return [['job container', probe]];
}

/** Written and deleted to prove that both is allowed. */
const PROBE_BLOB = 'hubferry-probe';

const number = (value: number): string => value.toLocaleString('en-US');

/** After these the other steps would only say the same. */
const ENDS_IT = new Set<ErrorCode>([
  'CONTAINERS_NOT_ALLOWED',
  'HUB_NOT_CONFIGURED_HERE',
  'HUB_UNREACHABLE',
  'HUB_UNTRUSTED',
  'HUB_UNAUTHORIZED',
  'SIGN_IN_FAILED',
  'STORAGE_CONTAINER_MISSING',
  'STORAGE_NOT_CONFIGURED_HERE',
  'STORAGE_UNREACHABLE',
  'STORAGE_UNAUTHORIZED',
]);

/** What an attempt left whose worker died. */
async function forget(storage: Storage, container: string): Promise<void> {
  await storage.deleteContainer(container);
  await forgetTry(storage, container);
}

/** Tries one step after the other; what a step throws is its finding. */
async function findings(subject: string, steps: Step[]): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [check, attempt] of steps) {
    try {
      found.push({ subject, check, ok: true, code: null, ...told(await attempt()) });
    } catch (error) {
      if (!(error instanceof HubferryError)) throw error;
      const { code, message, hint } = error;
      found.push({ subject, check, ok: false, code, detail: `${code}: ${message}`, hint });
      if (ENDS_IT.has(code)) break;
    }
  }
  return found;
}

function told(what: Told): Pick<Finding, 'warning' | 'detail' | 'hint'> {
  if (typeof what === 'string') return { detail: what, hint: null };
  const { warning, detail } = what;
  const { next } = WARNINGS[warning];
  return { warning, detail: `${warning}: ${detail}`, hint: `${next[0]?.toUpperCase()}${next.slice(1)}.` };
}
