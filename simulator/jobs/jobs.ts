import type { ContainerClient } from '@azure/storage-blob';
import type { Configurations } from '../configurations/configurations.js';
import { ServiceError } from '../errors.js';
import type { JsonObject } from '../json.js';
import type { RegistryStore } from '../records/store.js';
import { openContainer, probeInput, probeOutput, unauthorizedToWrite } from './blobs.js';
import { exportConfigurations, importConfigurations } from './configuration-file.js';
import { HubIdentity } from './hub-identity.js';
import { Job } from './job.js';
import { JobFailure, JobVanished } from './job-end.js';
import { JobFaults, type JobType } from './job-faults.js';
import { echoOf, type JobRequest, readJobRequest } from './job-request.js';
import type { JobRun } from './job-run.js';
import { runExport, runImport } from './job-runs.js';
import { storageRefusal } from './storage-library.js';

/** Milliseconds for which a job is remembered after its end (§4). */
const historyTime = 30 * 24 * 3_600_000;

/** The import and export jobs of one hub: one active at a time (§4). */
export class Jobs {
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Set<Promise<void>>();
  readonly faults = new JobFaults();
  readonly #closing = new AbortController();
  /** True while a create is being checked: it holds the slot, although there is no job yet. */
  #creating = false;
  #stranger: Job | undefined;

  constructor(
    readonly store: RegistryStore,
    readonly configurations: Configurations,
    readonly identity: HubIdentity = new HubIdentity(),
  ) {}

  /**
   * Starts a job after the checks that the service makes while the client waits (§4).
   * @returns the job with the URIs echoed.
   * @throws {ServiceError} OperationNotAvailableInCurrentTier, ArgumentInvalid, JobQuotaExceeded,
   * ManagedIdentityNotEnabled, BlobContainerValidationError.
   */
  async create(body: JsonObject): Promise<JsonObject> {
    this.checkTier();
    const request = readJobRequest(body);
    if (request.identityBased) this.#checkIdentity(request);
    const queues = this.store.settings.secondJob === 'queue';
    this.#checkSlot(queues);
    const fault = this.faults.take(request.type, 'create');
    if (fault?.kind === 'occupySlot') {
      this.#strangerFor(request.type, fault.ms);
      this.#checkSlot(queues);
    }
    this.#creating = true;
    try {
      if (fault?.kind === 'refuseStorage') {
        throw new ServiceError('BlobContainerValidationError', unauthorizedToWrite);
      }
      await this.#probe(request);
    } finally {
      this.#creating = false;
    }
    if (this.#closing.signal.aborted) throw new ServiceError('ServiceUnavailable', 'The hub is closing.');
    const { clock, settings } = this.store;
    const job = new Job(request.type, request.excludeKeys, clock.now(), echoOf(body));
    const ahead = this.#active();
    this.#jobs.set(job.jobId, job);
    const reply = { ...job.asked, ...job.json(settings) };
    this.#track(this.#run(job, request, ahead));
    return reply;
  }

  /** Jobs that the service still remembers: 30 days after their end they are gone (§4). */
  list(): JsonObject[] {
    this.#forgetOld();
    const { settings } = this.store;
    const all = [...this.#jobs.values()].filter((job) => this.#shows(job)).map((job) => job.json(settings));
    return settings.jobOrder === 'newestFirst' ? all.toReversed() : all;
  }

  /** @throws {ServiceError} JobNotFound */
  get(jobId: string): JsonObject {
    this.#forgetOld();
    const job = this.#jobs.get(jobId);
    if (job === undefined || !this.#shows(job))
      throw new ServiceError('JobNotFound', `Job '${jobId}' not found`);
    return job.json(this.store.settings);
  }

  /**
   * Cancels at once, whether the job runs or waits; lines already applied stay (§4).
   * @throws {ServiceError} ServerError for unknown and finished jobs, unless switched off.
   */
  cancel(jobId: string): void {
    this.#forgetOld();
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

  /** @throws {ServiceError} OperationNotAvailableInCurrentTier in a basic tier, when it is to have no jobs. */
  checkTier(): void {
    const { tier, basicTierJobs } = this.store.settings;
    if (basicTierJobs === 'accept' || !tier.startsWith('B')) return;
    throw new ServiceError(
      'OperationNotAvailableInCurrentTier',
      'The operation is not available in the current tier of the hub.',
    );
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
    this.#closing.abort();
    for (const job of this.#jobs.values()) job.finish('cancelled', this.store.clock.now());
    await Promise.all(this.#running);
  }

  #shows({ createdAt }: Job): boolean {
    return this.store.clock.now() - createdAt >= this.store.settings.jobLag;
  }

  #active(): Job[] {
    return [...this.#jobs.values()].filter((job) => job.active);
  }

  #checkSlot(queues: boolean): void {
    if (queues || (!this.#creating && this.#active().length === 0)) return;
    throw new ServiceError('JobQuotaExceeded', 'Job quota has been exceeded');
  }

  #strangerFor(type: JobType, ms: number | undefined): void {
    this.occupySlot(type);
    const job = this.#stranger;
    if (ms === undefined || job === undefined) return;
    const { clock } = this.store;
    this.#track(
      clock.sleep(ms, job.signal).then(
        () => job.finish('completed', clock.now()),
        () => undefined,
      ),
    );
  }

  #track(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #forgetOld(): void {
    const now = this.store.clock.now();
    for (const { jobId, endedAt } of this.#jobs.values()) {
      if (endedAt !== undefined && now - endedAt >= historyTime) this.#jobs.delete(jobId);
    }
  }

  #checkIdentity({ userIdentity }: JobRequest): void {
    if (this.store.settings.jobIdentity === 'refuse') {
      throw new ServiceError('ManagedIdentityNotEnabled', 'The hub has no managed identity.');
    }
    if (userIdentity !== undefined) this.identity.checkUser(userIdentity);
  }

  #open(uri: string, { identityBased }: JobRequest): ContainerClient {
    const { clock, settings } = this.store;
    return identityBased
      ? this.identity.container(uri, clock.now(), settings.identityRoleDelay)
      : openContainer(uri);
  }

  async #probe(request: JobRequest): Promise<void> {
    await probeOutput(this.#open(request.outputUri, request));
    if (request.inputUri === undefined) return;
    const mayMiss = this.store.settings.missingInputBlob === 'failJob';
    const input = this.#open(request.inputUri, request);
    await probeInput(input, request.inputBlob, mayMiss);
    if (request.configurationsBlob !== undefined)
      await probeInput(input, request.configurationsBlob, mayMiss);
  }

  async #run(job: Job, request: JobRequest, ahead: readonly Job[]): Promise<void> {
    const run: JobRun = { job, store: this.store, fault: this.faults.take(request.type, 'run') };
    const { clock, settings } = this.store;
    try {
      for (const other of ahead) await Promise.race([other.ended, job.ended]);
      job.signal.throwIfAborted();
      if (settings.startDelay > 0) await clock.sleep(settings.startDelay, job.signal);
      job.start();
      const output = this.#open(request.outputUri, request);
      const errorLog = await this.#work(run, request, output);
      if (run.fault?.kind === 'finishLate') await clock.sleep(run.fault.ms, job.signal);
      job.finish('completed', clock.now());
      if (errorLog !== undefined && run.fault?.kind === 'lateErrorLog') {
        await clock.sleep(run.fault.ms, this.#closing.signal);
        await errorLog();
      }
    } catch (error) {
      if (error instanceof JobVanished) this.#jobs.delete(job.jobId);
      job.finish('failed', clock.now(), failureReason(error));
    }
  }

  async #work(
    run: JobRun,
    request: JobRequest,
    output: ContainerClient,
  ): Promise<(() => Promise<void>) | undefined> {
    const first = this.store.settings.jobConfigurationsOrder === 'configurationsFirst';
    if (first) await this.#workOnConfigurations(run, request, output);
    let errorLog: (() => Promise<void>) | undefined;
    if (request.inputUri === undefined) await runExport(run, output, request.outputBlob);
    else errorLog = await runImport(run, this.#open(request.inputUri, request), request.inputBlob, output);
    if (!first) await this.#workOnConfigurations(run, request, output);
    return errorLog;
  }

  async #workOnConfigurations(run: JobRun, request: JobRequest, output: ContainerClient): Promise<void> {
    const { inputUri, configurationsBlob } = request;
    if (configurationsBlob === undefined) return;
    if (inputUri === undefined) {
      await exportConfigurations(run, this.configurations, output, configurationsBlob);
    } else {
      const input = this.#open(inputUri, request);
      await importConfigurations(run, this.configurations, input, configurationsBlob, output);
    }
  }
}

/** Never the error's own text: it may hold a URI with its signature. */
function failureReason(error: unknown): string {
  if (error instanceof JobFailure) return error.message;
  const refusal = storageRefusal(error);
  if (refusal !== undefined) return `Storage error ${refusal.statusCode ?? ''} ${refusal.code ?? ''}`.trim();
  return 'The job failed because of an internal error.';
}
