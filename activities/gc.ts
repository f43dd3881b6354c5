import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { dropOwner, ownedHosts, readOwner, type SeenOwner } from '../azure/owners.js';
import type { Storage } from '../azure/storage.js';
import { RUN_CONTAINERS, runOfContainer } from '../registry/containers.js';
import { HubferryError } from '../registry/errors.js';
import { type Leftover, leftovers, type StoredRun, type Verdict } from '../registry/leftovers.js';
import { isHost } from '../registry/run-name.js';
import { hubJobIdOf, workflowIdOf, writerIdOf } from '../registry/workflow-ids.js';
import type { Deps } from './deps.js';
import { BEFORE_BLOB, isActive, JOB_BLOB } from './hub-job.js';
import { manyAtOnce } from './many.js';
import { reportsIn } from './reports.js';
import { serverOf } from './server.js';
import { MANIFEST_BLOB } from './work.js';

/** What tells leftovers apart. */
export type Thing = Pick<Leftover, 'kind' | 'name'>;

export interface LookInput {
  readonly account: string;
  readonly hosts: readonly string[];
  readonly named: readonly string[];
  readonly olderThan: number;
  /** The Temporal server, as its client calls it. */
  readonly server: string | null;
  /** The query by which the workflow of a hub's job tells its container. */
  readonly jobState: string;
}

export interface Found extends Verdict {
  /** How many there are beyond those that are told. */
  readonly more: number;
}

export interface Removed {
  /** What was shown and is still there, since it is needed by now, or somebody else has it. */
  readonly stayed: readonly Leftover[];
}

/** More are not told at once: an answer of a workflow is small. */
const TOLD = 1_000;

export function gcActivities(deps: Deps) {
  return {
    /** Looks for what runs left in the storage account. Changes nothing. */
    async findLeftovers(input: LookInput): Promise<Found> {
      const { remove, keep } = await new Look(deps, input).verdict();
      const more = Math.max(0, remove.length - TOLD) + Math.max(0, keep.length - TOLD);
      return { remove: remove.slice(0, TOLD), keep: keep.slice(0, TOLD), more };
    },

    /** Removes what was shown, as far as a new look finds the same. Safe to repeat. */
    async removeLeftovers({ shown, ...input }: LookInput & { shown: readonly Thing[] }): Promise<Removed> {
      const look = new Look(deps, input);
      const { remove, keep } = await look.verdict();
      const wanted = new Set(shown.map(keyOf));
      const stayed = keep.filter((thing) => wanted.has(keyOf(thing)));
      for (const thing of remove.filter((each) => wanted.has(keyOf(each)))) {
        if (!(await look.remove(thing))) stayed.push({ ...thing, why: 'somebody else has it by now' });
      }
      return { stayed };
    },
  };
}

const keyOf = ({ kind, name }: Thing): string => `${kind} ${name}`;

/** One look at a storage account. */
class Look {
  readonly #deps: Deps;
  readonly #input: LookInput;
  readonly #storage: Storage;
  readonly #owners = new Map<string, SeenOwner>();
  /** By the container made beforehand: whose jobs use it, and the job that has it. */
  readonly #holders = new Map<string, { readonly host: string; readonly job: string }>();
  readonly #jobsOf = new Map<string, Promise<Jobs>>();
  readonly #watchedOn = new Map<string, ReturnType<typeof watched>>();

  constructor(deps: Deps, input: LookInput) {
    this.#deps = deps;
    this.#input = input;
    this.#storage = deps.connections.storage(input.account);
  }

  /**
   * Runs are asked for after their things were seen: one that began in between has nothing of what was seen, and one that
   * ended has told what it needs.
   */
  async verdict(): Promise<Verdict> {
    const { client } = this.#deps;
    const { named, olderThan, server } = this.#input;
    const names: string[] = [];
    for await (const name of this.#storage.listContainers(RUN_CONTAINERS)) names.push(name);
    for await (const host of ownedHosts(this.#storage)) {
      const seen = await readOwner(this.#storage, host);
      if (seen !== null) this.#owners.set(host, seen);
    }
    const unseen = await this.#lookAtHolders();
    const open = await this.#openRuns();
    const reports = await reportsIn(this.#storage);
    for (const report of reports)
      if (OPEN.has(report.outcome) && (await runsUnder(client, workflowIdOf(report), report.run)))
        open.add(report.run);
    const known = new Set(reports.map(({ run }) => run));
    const containers = await manyAtOnce(names, async (name) => {
      const isKnown = known.has(runOfContainer(name) ?? '');
      return { name, sealed: !isKnown && (await this.#storage.size(name, MANIFEST_BLOB)) !== null };
    });
    const { remove, keep } = leftovers(
      {
        reports,
        containers,
        prepared: [...this.#holders].map(([container, holder]) => ({ container, ...holder })),
        owners: [...this.#owners].map(([host, { owner }]) => ({ host, owner })),
      },
      {
        here: await serverOf(client, server),
        open,
        named: new Set(named),
        olderThan,
        now: Date.now(),
      },
    );
    const all = await manyAtOnce(remove, (thing) => this.#orUsed(thing, reports));
    return {
      remove: all.filter((thing, i) => thing === remove[i]),
      keep: [...keep, ...unseen, ...all.filter((thing, i) => thing !== remove[i])],
    };
  }

  /** @returns false where it is somebody else's by now */
  async remove({ kind, name }: Thing): Promise<boolean> {
    const { connections } = this.#deps;
    const owner = this.#owners.get(name);
    const holder = this.#holders.get(name);
    if (kind === 'container') await this.#storage.deleteContainer(name);
    if (kind === 'access' && holder)
      await connections.jobContainers(holder.host, this.#input.account).clear(holder.job);
    return kind !== 'owner' || owner === undefined || (await dropOwner(this.#storage, name, owner));
  }

  /** Notes which jobs have things in containers made beforehand. @returns those that cannot be looked at */
  async #lookAtHolders(): Promise<Leftover[]> {
    const { connections } = this.#deps;
    const unseen: Leftover[] = [];
    for (const host of this.#input.hosts) {
      let name = host;
      try {
        const { container } = connections.hubConfig(host);
        if (container === undefined) continue;
        name = container;
        const job = await connections.jobContainers(host, this.#input.account).holder();
        if (job !== null) this.#holders.set(container, { host, job });
      } catch (error) {
        if (!(error instanceof HubferryError)) throw error;
        unseen.push({ kind: 'access', name, run: null, why: `cannot be looked at (${error.code})` });
      }
    }
    return unseen;
  }

  /**
   * RUNs of which the Temporal server has something open, by its index and by who may write to a target. The sending of a
   * plan (`apply/RUN/…`) may outlive its run for a while.
   */
  async #openRuns(): Promise<Set<string>> {
    const { client } = this.#deps;
    const open = new Set<string>();
    const query = 'ExecutionStatus = "Running"';
    for await (const { memo, workflowId } of client.workflow.list({ query })) {
      const run = memo?.['run'] ?? RUN_IN_ID.exec(workflowId)?.[1];
      if (typeof run === 'string') open.add(run);
    }
    for (const [host, { owner }] of this.#owners)
      if (owner !== null && (await runsUnder(client, writerIdOf(host), owner.run))) open.add(owner.run);
    return open;
  }

  /** The same thing, or why a job of a hub still needs it. */
  async #orUsed(thing: Leftover, reports: readonly StoredRun[]): Promise<Leftover> {
    const { kind, name, run } = thing;
    if (kind === 'owner' || run === null) return thing;
    const job = kind === 'access' ? this.#holders.get(name)?.job : name;
    const report = reports.find((each) => each.run === run);
    const hosts = report === undefined ? this.#input.hosts : [report.source, report.target].filter(isHost);
    const why = job === undefined ? null : await this.#usedBy(job, hosts);
    return why === null ? thing : { ...thing, why };
  }

  /** Why a job may still read or write its container; null where none does. @param job its name */
  async #usedBy(job: string, hosts: readonly string[]): Promise<string | null> {
    for (const host of hosts) {
      const container = await this.#watched(host);
      if (container === job || container === undefined)
        return `a job on ${host} is still watched; it goes when that is over`;
    }
    const noted = parsed(await this.#storage.readText(job, JOB_BLOB));
    const before = parsed(await this.#storage.readText(job, BEFORE_BLOB));
    if (noted === undefined && before === undefined) return null;
    const id = (noted as { jobId?: unknown } | null | undefined)?.jobId;
    const known = new Set(Array.isArray(before) ? (before as unknown[]) : []);
    for (const host of hosts) {
      const jobs = await this.#jobs(host);
      if (typeof jobs === 'string') return `whether its job still runs on ${host} cannot be asked (${jobs})`;
      const isIts = typeof id === 'string' ? jobs.includes(id) : jobs.some((each) => !known.has(each));
      if (isIts) return `its job still runs on ${host}; it goes when that has ended`;
    }
    return null;
  }

  #watched(host: string): ReturnType<typeof watched> {
    const asked = this.#watchedOn.get(host) ?? watched(this.#deps.client, host, this.#input.jobState);
    this.#watchedOn.set(host, asked);
    return asked;
  }

  #jobs(host: string): Promise<Jobs> {
    const asked =
      this.#jobsOf.get(host) ??
      jobsOf(this.#deps, host).catch((error: unknown) => {
        if (error instanceof HubferryError) return error.code;
        throw error;
      });
    this.#jobsOf.set(host, asked);
    return asked;
  }
}

/** Ids of the import and export jobs that are under way on a hub, or the code of why they cannot be asked for. */
type Jobs = readonly string[] | string;

async function jobsOf({ connections }: Deps, host: string): Promise<readonly string[]> {
  const jobs = await connections.hub(host).listJobs();
  return jobs.filter(isActive).map(({ jobId }) => jobId);
}

/** RUN in the id of a workflow. */
const RUN_IN_ID = /\/(\d{8}-\d{6}-[a-z0-9]{6})(?:\/|$)/;

const OPEN: ReadonlySet<string> = new Set(['running', 'parked']);

/** Whether the workflow under an id is that of a run, and open. One that does not say whose it is may be. */
async function runsUnder(client: Client, workflowId: string, run: string): Promise<boolean> {
  try {
    const { memo, status } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' && [undefined, run].includes(memo?.['run'] as string | undefined);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** The container of the job of a hub that is watched; null where none is, undefined where that is not told. */
async function watched(client: Client, host: string, query: string): Promise<string | null | undefined> {
  const handle = client.workflow.getHandle(hubJobIdOf(host));
  try {
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') return null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
  return await handle.query<{ container: string }>(query).then(
    ({ container }) => container,
    () => undefined,
  );
}

/** What a note says; undefined where there is none, null for what cannot be read. */
function parsed(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
