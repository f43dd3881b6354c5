import { RestError } from '@azure/storage-blob';
import { ServiceError } from '../errors.js';
import type { JsonObject } from '../json.js';
import { Shape } from '../records/identity.js';
import type { RegistryStore } from '../records/store.js';
import { openContainer, probeInput, probeOutput } from './blobs.js';
import { Job } from './job.js';
import { JobFaults, type JobType } from './job-faults.js';
import { JobFailure, type JobRun, JobVanished, runExport, runImport } from './job-runs.js';

/** What POST /jobs/create asks for, checked. */
interface JobRequest {
  readonly type: JobType;
  readonly inputUri: string | undefined;
  readonly inputBlob: string;
  readonly outputUri: string;
  readonly outputBlob: string;
  readonly excludeKeys: boolean;
}

/** The import and export jobs of one hub: one active at a time (§4). */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Set<Promise<void>>();
  readonly faults = new JobFaults();
  /** True while a create is being checked: it holds the slot, although there is no job yet. */
  #creating = false;
  #stranger: Job | undefined;

  constructor(readonly store: RegistryStore) {}

  /**
   * Starts a job after the checks that the service makes while the client waits (§4).
   * @returns the job with the URIs echoed.
   * @throws {ServiceError} ArgumentInvalid, JobQuotaExceeded, BlobContainerValidationError.
   */
  async create(body: JsonObject): Promise<JsonObject> {
    const request = readRequest(body);
    if (this.#creating || [...this.#jobs.values()].some((job) => job.active)) {
      throw new ServiceError('JobQuotaExceeded', 'Job quota has been exceeded');
    }
    this.#creating = true;
    try {
      await this.#probe(request);
    } finally {
      this.#creating = false;
    }
    const job = new Job(request.type, request.excludeKeys, this.store.clock.now());
    this.#jobs.set(job.jobId, job);
    const reply = { ...echo(body), ...job.json() };
    const running = this.#run(job, request).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return reply;
  }

  list(): JsonObject[] {
    const all = [...this.#jobs.values()].filter((job) => this.#shows(job)).map((job) => job.json());
    return this.store.settings.jobOrder === 'newestFirst' ? all.toReversed() : all;
  }

  /** @throws {ServiceError} JobNotFound */
  get(jobId: string): JsonObject {
    const job = this.#jobs.get(jobId);
    if (job === undefined || !this.#shows(job))
      throw new ServiceError('JobNotFound', `Job '${jobId}' not found`);
    return job.json();
  }

  /**
   * Cancels at once; lines already applied stay (§4).
   * @throws {ServiceError} ServerError for unknown and finished jobs, unless switched off.
   */
  cancel(jobId: string): void {
    const job = this.#jobs.get(jobId);
    if (job?.active === true) {
      job.finish('cancelled', this.store.clock.now());
      return;
    }
    if (this.store.settings.deleteFinishedJob === 'serverError') {
      throw new ServiceError('ServerError', 'An internal error occurred.');
    }
    if (job === undefined) throw new ServiceError('JobNotFound', `Job '${jobId}' not found`);
  }

  /** Lets a job that is not of the tested program hold the slot. @returns its id. */
  occupySlot(type: JobType = 'export'): string {
    if (this.#stranger?.active === true) return this.#stranger.jobId;
    const job = new Job(type, false, this.store.clock.now());
    job.start();
    this.#jobs.set(job.jobId, job);
    this.#stranger = job;
    return job.jobId;
  }

  /** Ends the stranger's job. */
  releaseSlot(): void {
    this.#stranger?.finish('completed', this.store.clock.now());
    this.#stranger = undefined;
  }

  /** Stops all jobs and waits until none touches storage any more. */
  async close(): Promise<void> {
    for (const job of this.#jobs.values()) job.finish('cancelled', this.store.clock.now());
    await Promise.all(this.#running);
  }

  #shows({ createdAt }: Job): boolean {
    return this.store.clock.now() - createdAt >= this.store.settings.jobLag;
  }

  async #probe(request: JobRequest): Promise<void> {
    await probeOutput(openContainer(request.outputUri));
    if (request.inputUri !== undefined && this.store.settings.missingInputBlob === 'refuse') {
      await probeInput(openContainer(request.inputUri), request.inputBlob);
    }
  }

  async #run(job: Job, request: JobRequest): Promise<void> {
    const run: JobRun = { job, store: this.store, fault: this.faults.take(request.type) };
    try {
      const { startDelay } = this.store.settings;
      if (startDelay > 0) await this.store.clock.sleep(startDelay, job.signal);
      job.start();
      const output = openContainer(request.outputUri);
      if (request.inputUri === undefined) await runExport(run, output, request.outputBlob);
      else await runImport(run, openContainer(request.inputUri), request.inputBlob, output);
      job.finish('completed', this.store.clock.now());
    } catch (error) {
      if (error instanceof JobVanished) this.#jobs.delete(job.jobId);
      job.finish('failed', this.store.clock.now(), failureReason(error));
    }
  }
}

/** Never the error's own text: it may hold a URI with its signature. */
function failureReason(error: unknown): string {
  if (error instanceof JobFailure) return error.message;
  if (error instanceof RestError) return `Storage error ${error.statusCode ?? ''} ${error.code ?? ''}`.trim();
  return 'The job failed because of an internal error.';
}

function readRequest(body: JsonObject): JobRequest {
  const shape = new Shape(body, 'ArgumentInvalid');
  const type = shape.text('type')?.toLowerCase();
  if (type !== 'import' && type !== 'export') throw shape.error("'type' must be import or export.");
  const outputUri = shape.text('outputBlobContainerUri');
  const inputUri = shape.text('inputBlobContainerUri');
  if (outputUri === undefined) throw shape.error("'outputBlobContainerUri' is missing.");
  if (type === 'import' && inputUri === undefined) throw shape.error("'inputBlobContainerUri' is missing.");
  if (shape.text('storageAuthenticationType')?.toLowerCase() === 'identitybased') {
    throw new ServiceError('ManagedIdentityNotEnabled', 'The hub has no managed identity.');
  }
  return {
    type,
    inputUri: type === 'import' ? inputUri : undefined,
    inputBlob: shape.text('inputBlobName') ?? 'devices.txt',
    outputUri,
    outputBlob: shape.text('outputBlobName') ?? 'devices.txt',
    excludeKeys: body.excludeKeysInExport === true,
  };
}

const echoed = [
  'inputBlobContainerUri',
  'inputBlobName',
  'outputBlobContainerUri',
  'outputBlobName',
  'storageAuthenticationType',
  'includeConfigurations',
  'configurationsBlobName',
];

function echo(body: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const name of echoed) {
    const value = body[name];
    if (value !== undefined && value !== null) result[name] = value;
  }
  return result;
}
