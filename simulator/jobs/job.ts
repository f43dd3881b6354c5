import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../json.js';
import type { WriteGroup } from '../records/visibility.js';
import type { HubSettings } from '../settings.js';
import type { JobType } from './job-faults.js';

export type JobStatus = 'enqueued' | 'running' | 'completed' | 'failed' | 'cancelled';

/**
 * One import or export job: enqueued → running → completed | failed | cancelled; it may also be cancelled while
 * enqueued. A finished job never changes again.
 */
export class Job {
  readonly jobId = randomUUID();
  readonly #abort = new AbortController();
  readonly group: WriteGroup = { finishedAt: undefined };
  status: JobStatus = 'enqueued';
  failureReason: string | null = null;
  #endedAt: number | undefined;
  #tellEnd: () => void = () => undefined;
  /** Settles when the job has ended in whatever way. */
  readonly ended = new Promise<void>((resolve) => {
    this.#tellEnd = resolve;
  });
  /** Work done and work there is, in any unit; only the ratio is shown. */
  done = 0;
  total = 0;

  /**
   * @param createdAt milliseconds since 1970, simulated.
   * @param asked what the create's reply echoes: URIs, names of blobs, storage authentication.
   */
  constructor(
    readonly type: JobType,
    readonly excludeKeys: boolean,
    readonly createdAt: number,
    readonly asked: JsonObject = {},
  ) {}

  /** True while the job holds the hub's slot, or waits for it. */
  get active(): boolean {
    return this.status === 'enqueued' || this.status === 'running';
  }

  /** Milliseconds since 1970, simulated; undefined while the job is active. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** Fires when the job must stop working: it was cancelled, or the simulator closes. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  start(): void {
    if (this.status === 'enqueued') this.status = 'running';
  }

  finish(
    status: 'completed' | 'failed' | 'cancelled',
    at: number,
    failureReason: string | null = null,
  ): void {
    if (!this.active) return;
    this.status = status;
    this.failureReason = failureReason;
    this.#endedAt = at;
    this.group.finishedAt = at;
    this.#abort.abort();
    this.#tellEnd();
  }

  /** Percent, 100 only when completed. */
  get progress(): number {
    if (this.status === 'completed') return 100;
    return this.total === 0 ? 0 : Math.min(99, Math.floor((this.done / this.total) * 100));
  }

  /** The job as GET /jobs/{id} shows it: no URIs, no storageAuthenticationType unless switched on (§4, seen live). */
  json(settings: Pick<HubSettings, 'jobWaitingStatus' | 'jobShowsUris'>): JsonObject {
    return {
      jobId: this.jobId,
      startTimeUtc: new Date(this.createdAt).toISOString(),
      endTimeUtc: this.#endedAt === undefined ? null : new Date(this.#endedAt).toISOString(),
      type: this.type,
      status: this.status === 'enqueued' ? settings.jobWaitingStatus : this.status,
      progress: this.progress,
      excludeKeysInExport: this.excludeKeys,
      failureReason: this.failureReason,
      ...(settings.jobShowsUris ? this.asked : {}),
    };
  }
}
