import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../json.js';
import type { WriteGroup } from '../records/visibility.js';
import type { JobType } from './job-faults.js';

export type JobStatus = 'enqueued' | 'running' | 'completed' | 'failed' | 'cancelled';

/**
 * One import or export job: enqueued → running → completed | failed | cancelled; it may also be cancelled while
 * enqueued. A finished job never changes again.
 */
export class Job {
  readonly jobId = randomUUID();
  readonly #abort = new AbortController();
  readonly group: WriteGroup = { fromJob: true, finishedAt: undefined };
  status: JobStatus = 'enqueued';
  failureReason: string | null = null;
  #endedAt: number | undefined;
  /** Work done and work there is, in any unit; only the ratio is shown. */
  done = 0;
  total = 0;

  constructor(
    readonly type: JobType,
    readonly excludeKeys: boolean,
    readonly createdAt: number,
  ) {}

  /** True while the job holds the hub's slot. */
  get active(): boolean {
    return this.status === 'enqueued' || this.status === 'running';
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
  }

  /** Percent, 100 only when completed. */
  get progress(): number {
    if (this.status === 'completed') return 100;
    return this.total === 0 ? 0 : Math.min(99, Math.floor((this.done / this.total) * 100));
  }

  /** The job as GET /jobs/{id} shows it: no URIs, no storageAuthenticationType (§4, seen live). */
  json(): JsonObject {
    return {
      jobId: this.jobId,
      startTimeUtc: new Date(this.createdAt).toISOString(),
      endTimeUtc: this.#endedAt === undefined ? null : new Date(this.#endedAt).toISOString(),
      type: this.type,
      status: this.status,
      progress: this.progress,
      excludeKeysInExport: this.excludeKeys,
      failureReason: this.failureReason,
    };
  }
}
