import { createHash } from 'node:crypto';
import { RUN_CONTAINERS } from '../registry/containers.js';
import { HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import { textOrNull } from './json.js';
import type { GrantedAccess, GrantName, Storage } from './storage-port.js';

/** The hub's own default name of what it exports and imports. */
export const DEVICES_BLOB = 'devices.txt';

/** Written by the hub into the output container of an import, at its root (service facts §3.1). */
export const ERROR_LOG_BLOB = 'importErrors.log';

/**
 * What a hub may do in a job's container, and nothing else: it writes, replaces and deletes its output, and reads its
 * input. Documented as enough, and what Microsoft's samples grant (service facts §4).
 */
const OUTPUT_RIGHTS = 'rwd';
const INPUT_RIGHTS = 'r';

export type JobType = 'export' | 'import';

/** What a hub is told of the blobs of a job. The URIs are secret. */
export interface JobUris {
  readonly output: string;
  /** The same as `output` for an export, which has none. */
  readonly input: string;
  /** What is exported into, or imported from; left out, the hub's own default name. */
  readonly blobName?: string;
}

/**
 * Where the jobs of one hub read and write. Everybody else knows a job by the name of the container that it would have of
 * its own (`job`), finds its input there before it begins and its output when it is closed.
 *
 * Methods throw HubferryError like {@link Storage} and {@link GrantedAccess}, and can be repeated.
 */
export interface JobContainers {
  /** How the hub gets at them. */
  readonly access: GrantedAccess;
  /** Whether the hub's jobs have one container in common, so that one has to be over before the next is let in. */
  readonly shared: boolean;

  /** Whether jobs can be given a container. @throws HubferryError STORAGE_CONTAINER_MISSING */
  check(): Promise<void>;
  /** Makes a container ready for a job that is about to be created, and lets the hub in. */
  open(job: string, type: JobType, until: Date): Promise<JobUris>;
  /** Lets the hub in for longer. */
  extend(job: string, until: Date): Promise<void>;
  /** Whether the hub has written what only this job writes. */
  wrote(job: string, type: JobType): Promise<boolean>;
  /** Ends the hub's access; afterwards what it wrote is where `job` says. */
  close(job: string, type: JobType): Promise<void>;
  /** The job whose things are where those of the next one will be; null where each job has a place of its own. */
  holder(): Promise<string | null>;
  /** Ends the hub's access for a job that nobody closes any more, and deletes what is there of it. */
  clear(job: string): Promise<void>;
}

/** Each job has a private container of its own. */
export class OwnContainers implements JobContainers {
  readonly access: GrantedAccess;
  readonly shared = false;
  readonly #storage: Storage;

  constructor(storage: Storage, access: GrantedAccess) {
    this.#storage = storage;
    this.access = access;
  }

  async check(): Promise<void> {}

  async open(job: string, type: JobType, until: Date): Promise<JobUris> {
    return await grant(this.access, job, type, until);
  }

  async extend(job: string, until: Date): Promise<void> {
    await this.access.extend(job, until);
  }

  async wrote(job: string, type: JobType): Promise<boolean> {
    return (await this.#storage.size(job, type === 'export' ? DEVICES_BLOB : ERROR_LOG_BLOB)) !== null;
  }

  async close(job: string): Promise<void> {
    if (await this.#storage.containerExists(job)) await this.access.revoke(job);
  }

  async holder(): Promise<null> {
    return null;
  }

  async clear(): Promise<void> {}
}

/** Says whose job has the container: `{ "job": … }`. */
const HOLDER_BLOB = 'hubferry-job.json';

/**
 * All jobs of a hub have one container that somebody made beforehand, one after the other. What a job reads is brought
 * there, what it wrote is taken away: a hub finds there what its present job needs, and nothing of any other.
 *
 * Blobs are named `JOB/devices.txt`, so they can only be that job's. The error log has a fixed name and no owner: it is
 * taken away with its job, and what is there before a job begins is deleted. `HOLDER_BLOB` keeps an attempt to close a job
 * that comes too late from taking the log of the next one.
 */
export class PreparedContainer implements JobContainers {
  readonly access: GrantedAccess;
  readonly shared = true;
  readonly #storage: Storage;
  readonly #container: string;

  constructor(storage: Storage, access: GrantedAccess, container: string) {
    this.#storage = storage;
    this.access = access;
    this.#container = container;
  }

  async check(): Promise<void> {
    if (await this.#storage.containerExists(this.#container)) return;
    throw new HubferryError(
      'STORAGE_CONTAINER_MISSING',
      `${this.#storage.account} has no container ${this.#container}`,
    );
  }

  async open(job: string, type: JobType, until: Date): Promise<JobUris> {
    const blobName = devicesOf(job);
    await this.access.revoke(this.#container);
    await this.#storage.writeText(this.#container, HOLDER_BLOB, JSON.stringify({ job }));
    // A job of an attempt whose reply was lost may be reading it at this moment: the same is not copied again.
    const staged = type === 'import' && (await this.#isStaged(job));
    await this.#clear(staged ? blobName : null);
    if (type === 'import' && !staged) {
      const to = { container: this.#container, blob: blobName };
      await this.#storage.copy({ container: job, blob: DEVICES_BLOB }, to);
    }
    return { ...(await grant(this.access, this.#container, type, until, job)), blobName };
  }

  async extend(_job: string, until: Date): Promise<void> {
    await this.access.extend(this.#container, until);
  }

  async wrote(job: string, type: JobType): Promise<boolean> {
    if (!(await this.#isHolder(job))) return false;
    const blob = type === 'export' ? devicesOf(job) : ERROR_LOG_BLOB;
    return (await this.#storage.size(this.#container, blob)) !== null;
  }

  async close(job: string, type: JobType): Promise<void> {
    if (!(await this.#isHolder(job))) return;
    await this.access.revoke(this.#container);
    const [from, to] = type === 'export' ? [devicesOf(job), DEVICES_BLOB] : [ERROR_LOG_BLOB, ERROR_LOG_BLOB];
    if ((await this.#storage.size(this.#container, from)) !== null)
      await this.#storage.copy({ container: this.#container, blob: from }, { container: job, blob: to });
    await this.#clear(null);
    await this.#storage.deleteBlob(this.#container, HOLDER_BLOB);
  }

  async clear(job: string): Promise<void> {
    if (!(await this.#isHolder(job))) return;
    await this.access.revoke(this.#container);
    await this.#clear(null);
    await this.#storage.deleteBlob(this.#container, HOLDER_BLOB);
  }

  async #isStaged(job: string): Promise<boolean> {
    const there = await this.#storage.size(this.#container, devicesOf(job));
    return there !== null && there === (await this.#storage.size(job, DEVICES_BLOB));
  }

  async holder(): Promise<string | null> {
    const text = await this.#storage.readText(this.#container, HOLDER_BLOB);
    if (text === null) return null;
    const holder: unknown = JSON.parse(text);
    return isJsonObject(holder) ? textOrNull(holder['job']) : null;
  }

  async #isHolder(job: string): Promise<boolean> {
    return (await this.holder()) === job;
  }

  /** Deletes what jobs leave; what else is in the container is somebody else's. @param but the name of one to keep */
  async #clear(but: string | null): Promise<void> {
    await this.#storage.deleteBlob(this.#container, ERROR_LOG_BLOB);
    for await (const { name } of this.#storage.list(this.#container, RUN_CONTAINERS)) {
      if (name !== but) await this.#storage.deleteBlob(this.#container, name);
    }
  }
}

const devicesOf = (job: string): string => `${job}/${DEVICES_BLOB}`;

/**
 * @param job where jobs share the container: each has access under a name of its own, since a URI that names an access
 *   policy is good again as soon as there is a policy of that name again
 */
async function grant(
  access: GrantedAccess,
  container: string,
  type: JobType,
  until: Date,
  job?: string,
): Promise<JobUris> {
  const name = (kind: 'input' | 'output'): GrantName =>
    job === undefined ? kind : `${kind}-${createHash('sha256').update(job).digest('hex').slice(0, 16)}`;
  const output = await access.grant(container, name('output'), OUTPUT_RIGHTS, until);
  const input =
    type === 'import' ? await access.grant(container, name('input'), INPUT_RIGHTS, until) : output;
  return { output, input };
}
