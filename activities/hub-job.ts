import { activityInfo, sleep } from '@temporalio/activity';
import type { HubJob } from '../azure/hub.js';
import { type JobContainers, OwnContainers } from '../azure/job-containers.js';
import type { GrantTimes } from '../azure/storage-port.js';
import { ERRORS, type ErrorCode, HubferryError } from '../registry/errors.js';
import type { HubCalls } from '../registry/hub-calls.js';
import type { RunSettings } from '../registry/settings.js';
import type { JobRequest, QueueRequest } from '../workflows/messages.js';
import type { Deps } from './deps.js';

/** A value and the hub calls it cost. */
export interface Counted<T> {
  readonly value: T;
  readonly calls: HubCalls;
}

/** The ids the hub knew before our create, and the id it gave us: what a repeated attempt must know (design §4). */
export const BEFORE_BLOB = 'hubferry/jobs-before.json';
export const JOB_BLOB = 'hubferry/job.json';

export type SubmitInput = Pick<
  JobRequest,
  'host' | 'account' | 'container' | 'type' | 'excludeKeys' | 'settings'
> & {
  readonly strangers: readonly string[];
};

export type SubmitAnswer =
  | {
      readonly kind: 'submitted';
      readonly jobId: string;
      readonly adopted: boolean;
      readonly grantedUntil: number;
    }
  | { readonly kind: 'slot taken' };

export interface PollInput {
  readonly host: string;
  readonly account: string;
  readonly container: string;
  readonly jobId: string;
  /** Epoch ms until which the hub may use the container. */
  readonly grantedUntil: number;
  readonly settings: RunSettings;
}

/** The job that an activity is about. */
export interface JobInput {
  readonly account: string;
  readonly container: string;
  readonly type: 'export' | 'import';
  /** Left out by workflows of 0.1, whose jobs have containers of their own. */
  readonly host?: string;
}

/** How long a hub's identity may be refused a container for which its role was just assigned (facts §4), in ms. */
const ROLE_PATIENCE = 120_000;

/** How long at most a job of an earlier attempt is looked for, in ms: well within the time that a call may take. */
const LONGEST_LOOK = 120_000;

/** Whether the submission, all attempts together, is not older than a fresh role may need. */
function isEarly(): boolean {
  return Date.now() - activityInfo().scheduledTimestampMs < ROLE_PATIENCE;
}

function isCode(error: unknown, code: ErrorCode): error is HubferryError {
  return error instanceof HubferryError && error.code === code;
}

/** Whether it holds the hub's slot. */
export function isActive({ type, status }: HubJob): boolean {
  return (type === 'import' || type === 'export') && (status === 'enqueued' || status === 'running');
}

function grantTimes({ sasLifetime, jobDeadline }: RunSettings): GrantTimes {
  return { lifetime: sasLifetime, deadline: jobDeadline };
}

export function hubJobActivities({ connections, client, hubQueue }: Deps) {
  const containersOf = ({ account, host }: JobInput): JobContainers => {
    if (host !== undefined) return connections.jobContainers(host, account);
    const storage = connections.storage(account);
    return new OwnContainers(storage, storage.access);
  };
  return {
    /** Puts a caller in the hub's line, and starts the line where there is none. Safe to repeat. */
    async enqueueJob(input: { taskQueue: string; request: QueueRequest }): Promise<void> {
      const { host } = input.request.job;
      await client.workflow.signalWithStart(hubQueue.type, {
        workflowId: hubQueue.idOf(host),
        taskQueue: input.taskQueue,
        args: [host, []],
        signal: hubQueue.signal,
        signalArgs: [input.request],
        staticSummary: `Jobs of ${host}`,
        ...(hubQueue.versioningOverride && { versioningOverride: hubQueue.versioningOverride }),
      });
    },

    /**
     * Creates the job, once. The hub gives no id of ours to a job, so what it listed before the create is written down
     * first; a repeated attempt takes a job of our type that was not there before as ours, until the end confirms it.
     */
    async submitJob(input: SubmitInput): Promise<Counted<SubmitAnswer>> {
      const { account, container, type } = input;
      const hub = connections.hub(input.host);
      const storage = connections.storage(account);
      const containers = connections.jobContainers(input.host, account);
      const { access } = containers;
      const grantedUntil = access.expiry(Date.now(), grantTimes(input.settings));
      const submitted = (jobId: string, adopted: boolean): Counted<SubmitAnswer> => ({
        value: { kind: 'submitted', jobId, adopted, grantedUntil },
        calls: hub.takeCalls(),
      });

      const until = new Date(grantedUntil);
      /** The id of the job that some attempt has created and written down. */
      const noted = async (): Promise<string | null> => {
        const text = await storage.readText(container, JOB_BLOB);
        return text === null ? null : (JSON.parse(text) as { jobId: string }).jobId;
      };
      const created = await noted();
      if (created !== null) {
        // The attempt that created the job may be long ago, and its grant with it.
        await containers.extend(container, until);
        return submitted(created, false);
      }
      let listed = await hub.listJobs();
      const ids = JSON.stringify(listed.map((job) => job.jobId));
      // Written once: another attempt, maybe at work at this moment, has to know the list from before any create.
      const first = await storage.writeText(container, BEFORE_BLOB, ids, { onlyIfAbsent: true });
      const before = first ? ids : ((await storage.readText(container, BEFORE_BLOB)) ?? ids);
      const known = new Set([...(JSON.parse(before) as string[]), ...input.strangers]);
      const find = (): HubJob | undefined => listed.find((job) => job.type === type && !known.has(job.jobId));
      // The create of an earlier attempt may be on its way even now: its job is waited for before there is another.
      const { slotWait, visible } = input.settings;
      const last = Date.now() + (first ? 0 : Math.min(visible, LONGEST_LOOK));
      while (find() === undefined && Date.now() < last) {
        await sleep(Math.min(slotWait, last - Date.now()));
        listed = await hub.listJobs();
      }
      const ours = find();
      if (ours) {
        await containers.extend(container, until);
        return submitted(ours.jobId, true);
      }
      let asked = false;
      try {
        // One that nobody waits for any more, such as a terminated run's, may still use the container.
        if (containers.shared && listed.some(isActive))
          throw new HubferryError('HUB_SLOT_TAKEN', `${input.host} runs another job`);
        const { output, input: from, ...named } = await containers.open(container, type, until);
        // An attempt that the server gave up may have stood still for long: another one may have created the job since.
        const meanwhile = await noted();
        if (meanwhile !== null) return submitted(meanwhile, false);
        asked = true;
        const job =
          type === 'export'
            ? await hub.createExport(output, { excludeKeys: input.excludeKeys === true, ...named })
            : await hub.createImport(from, output, named);
        // The answer tells the id, too: a job that is there must not be made again because storage fails just now.
        await storage
          .writeText(container, JOB_BLOB, JSON.stringify({ jobId: job.jobId }))
          .catch(() => undefined);
        return submitted(job.jobId, false);
      } catch (error) {
        const roleMayBeNew = access.hubIdentity && isCode(error, 'CONTAINER_REFUSED') && isEarly();
        const isTaken = isCode(error, 'HUB_SLOT_TAKEN');
        // A clear no, or a create that was never sent: we made no job, so whoever tries again, maybe much later, starts from
        // a fresh list. After an unclear attempt the old list stays, since the job that holds the slot may be our own.
        const isFinal = error instanceof HubferryError && !ERRORS[error.code].retryable;
        const isClear = !asked || isTaken || isFinal || isCode(error, 'HUB_THROTTLED');
        if (isClear && first && (await storage.size(container, JOB_BLOB)) === null) {
          await storage.deleteBlob(container, BEFORE_BLOB);
        }
        if (roleMayBeNew) throw new HubferryError('HUB_ROLE_PENDING', error.message);
        if (!isTaken) throw error;
        return { value: { kind: 'slot taken' }, calls: hub.takeCalls() };
      }
    },

    /** Looks at a job once, and lengthens the hub's access to the container while the job lives. */
    async pollJob(input: PollInput): Promise<Counted<{ job: HubJob | null; grantedUntil: number }>> {
      const hub = connections.hub(input.host);
      const job = await hub.getJob(input.jobId);
      let { grantedUntil } = input;
      const half = input.settings.sasLifetime / 2;
      const containers = connections.jobContainers(input.host, input.account);
      const { access } = containers;
      if (access.revocable && Date.now() > grantedUntil - half) {
        grantedUntil = access.expiry(Date.now(), grantTimes(input.settings));
        await containers.extend(input.container, new Date(grantedUntil));
      }
      return { value: { job, grantedUntil }, calls: hub.takeCalls() };
    },

    /** Whether a job that ended was ours: only ours wrote where only it was let in. */
    async confirmJob(input: JobInput): Promise<boolean> {
      return await containersOf(input).wrote(input.container, input.type);
    },

    async cancelJob(input: { host: string; jobId: string }): Promise<Counted<null>> {
      const hub = connections.hub(input.host);
      await hub.cancelJob(input.jobId);
      return { value: null, calls: hub.takeCalls() };
    },

    /**
     * Takes the hub's access to the job's container back, and the notes of the submission with it. What the job wrote is
     * in `container` then.
     */
    async closeJob(input: JobInput): Promise<void> {
      const storage = connections.storage(input.account);
      await containersOf(input).close(input.container, input.type);
      if (!(await storage.containerExists(input.container))) return;
      await storage.deleteBlob(input.container, BEFORE_BLOB);
      await storage.deleteBlob(input.container, JOB_BLOB);
    },
  };
}
