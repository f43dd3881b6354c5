import type { HubCalls } from '../registry/hub-calls.js';

/** An import or export job of a hub. */
export interface HubJob {
  readonly jobId: string;
  /** `import`, `export`, or another of the service's types. */
  readonly type: string;
  /** `queued` and `scheduled` of the service are `enqueued` here. */
  readonly status: 'enqueued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'unknown';
  /** Percent. */
  readonly progress: number | null;
  readonly failureReason: string | null;
}

/**
 * A device as `GET /devices/{id}` shows it. Members without a type here (connection state and times) are kept, so that
 * it can be put back.
 */
export interface DeviceIdentity {
  readonly deviceId: string;
  readonly etag: string | null;
  readonly generationId: string;
  readonly status: string;
  readonly statusReason: string | null;
  /** Holds keys: secret. */
  readonly authentication: Readonly<Record<string, unknown>> | null;
  readonly capabilities: Readonly<Record<string, unknown>> | null;
  readonly deviceScope: string | null;
  readonly parentScopes: readonly string[];
  readonly [member: string]: unknown;
}

/** A module as `GET /devices/{id}/modules/{id}` shows it. */
export interface ModuleIdentity {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly etag: string | null;
  readonly managedBy: string | null;
  /** Holds keys: secret. */
  readonly authentication: Readonly<Record<string, unknown>> | null;
  readonly [member: string]: unknown;
}

/** A device or module configuration, or an edge deployment. */
export interface ConfigurationText {
  readonly id: string;
  /** As the hub prints it, so that nothing in it is printed anew. */
  readonly text: string;
}

export interface QueryOptions {
  readonly pageSize?: number;
  readonly each?: <T>(call: () => Promise<T>) => Promise<T>;
}

/** A device or module twin as the hub shows it. */
export type Twin = Readonly<Record<string, unknown>>;

/** The registry and the jobs of one hub. Every method throws HubferryError; `HubAnswerError` if the hub answered. */
export interface Hub {
  /** Canonical. */
  readonly host: string;
  /** The shared access policy that is used; null under Microsoft Entra ID. */
  readonly policy: string | null;

  /** The calls sent since the last take; the count starts again at zero. */
  takeCalls(): HubCalls;

  /** The service's own count of devices; it lags behind. */
  statistics(): Promise<{ total: number }>;

  /** Import and export jobs that the hub remembers. */
  listJobs(): Promise<HubJob[]>;
  /**
   * Starts an export of the whole registry into a blob of a container: `blobName`, or else `devices.txt`.
   *
   * @param containerUri with a SAS that may read, write and delete; without one where the hub's own identity opens it
   * @throws HubferryError HUB_SLOT_TAKEN, CONTAINER_REFUSED. After HUB_UNREACHABLE or HUB_UNAVAILABLE the job may exist.
   */
  createExport(containerUri: string, options: { excludeKeys: boolean; blobName?: string }): Promise<HubJob>;
  /**
   * Starts an import of a blob of the input container, `blobName` or else `devices.txt`; the error log goes to
   * `importErrors.log` of the output container, whatever the name of the blob.
   *
   * @throws HubferryError as {@link createExport}; HUB_READ_ONLY
   */
  createImport(inputUri: string, outputUri: string, options?: { blobName?: string }): Promise<HubJob>;
  /** Null if the hub does not know the job. */
  getJob(jobId: string): Promise<HubJob | null>;
  /** Ends a job; one that has ended, or that the hub does not know, is fine. */
  cancelJob(jobId: string): Promise<void>;

  /** Null if there is none. */
  getDevice(deviceId: string): Promise<DeviceIdentity | null>;
  /**
   * Creates a device.
   *
   * @param body its members as JSON text, so that nothing in it is printed anew
   * @returns what the hub made of it
   * @throws HubAnswerError with status 409 if it is there, 403 if the hub is full; HUB_READ_ONLY
   */
  createDevice(deviceId: string, body: string): Promise<DeviceIdentity>;
  /**
   * Replaces an existing device.
   *
   * @param ifMatch the ETag it must have, quoted or not; `*` for any
   * @returns what the hub made of it
   * @throws HubAnswerError with status 412 if the ETag is another, 404 if there is no such device; HUB_READ_ONLY
   */
  putDevice(device: DeviceIdentity, ifMatch: string): Promise<DeviceIdentity>;
  /** Deletes a device with its modules, whatever its ETag; one that is not there is fine. @throws HUB_READ_ONLY */
  deleteDevice(deviceId: string): Promise<void>;
  /**
   * Null if there is none.
   *
   * @throws HubferryError HUB_UNAUTHORIZED also for a device that is missing or disabled (a quirk of hubs under SAS)
   */
  getModule(deviceId: string, moduleId: string): Promise<ModuleIdentity | null>;
  /**
   * The modules of a device; null if there is no such device.
   *
   * @throws HubferryError HUB_UNAUTHORIZED as {@link getModule}
   */
  listModules(deviceId: string): Promise<ModuleIdentity[] | null>;
  /**
   * Creates a module, or replaces one.
   *
   * @param module its members as JSON text, so that nothing in it is printed anew
   * @param ifMatch null to create; else the ETag it must have, `*` for any
   * @throws HubAnswerError with status 409 if it is there, 412 if the ETag is another, 404 if there is none to replace;
   *   HUB_READ_ONLY
   */
  putModule(
    id: { deviceId: string; moduleId: string },
    body: string,
    ifMatch: string | null,
  ): Promise<ModuleIdentity>;
  /** Null if there is none. */
  getTwin(deviceId: string, moduleId?: string): Promise<Twin | null>;
  /**
   * Replaces tags and desired properties of a twin.
   *
   * @param body the twin's `tags` and `properties` as JSON text
   * @param ifMatch the ETag that the twin must have; `*` for any
   * @throws HubAnswerError with status 404 or 412; HUB_READ_ONLY
   */
  putTwin(id: { deviceId: string; moduleId: string | null }, body: string, ifMatch: string): Promise<void>;
  /**
   * Merges tags and desired properties into a twin.
   *
   * @param body the `tags` and `properties` to merge as JSON text
   * @param ifMatch the ETag that the twin must have; `*` for any
   * @throws HubAnswerError with status 404 or 412; HUB_READ_ONLY
   */
  patchTwin(id: { deviceId: string; moduleId: string | null }, body: string, ifMatch: string): Promise<void>;
  /**
   * Gives an edge device its manifest: replaces the desired properties of the modules that it names, makes those that are
   * not there, and removes modules of an earlier manifest that it does not name. Sending it twice does no harm.
   *
   * @param body the configuration content as JSON text
   * @throws HubAnswerError with status 400 if it is no edge device or the content is not valid, 404 if there is no such
   *   device, 409 while another one is being applied; HUB_UNAUTHORIZED, HUB_READ_ONLY
   */
  applyConfiguration(deviceId: string, body: string): Promise<void>;
  /**
   * The pages of a query. Queries lag behind writes, and show deleted devices for a while.
   *
   * @param options `pageSize`: rows that a page should have, at most 1000, though the hub may choose another number;
   *   `each`: runs the call for a page, and may run it again
   */
  query(text: string, options?: QueryOptions): AsyncIterable<readonly Record<string, unknown>[]>;
  /**
   * All configurations and edge deployments. Null where the hub does not offer configurations, or does not allow to read
   * them.
   */
  listConfigurations(): Promise<ConfigurationText[] | null>;
  /** Null if there is none. */
  getConfiguration(id: string): Promise<ConfigurationText | null>;
  /**
   * Creates a configuration, or updates all of it but its content, which the service keeps silently (facts §1.7).
   *
   * @param body the configuration as JSON text, content included
   * @param ifMatch null to create; else the ETag it must have, `*` for any
   * @returns what the hub made of it
   * @throws HubAnswerError with status 409 if it is there, 404 if there is none to update, 412 if the ETag is another, and
   *   now and then while others write (facts §1.4); HUB_READ_ONLY
   */
  putConfiguration(id: string, body: string, ifMatch: string | null): Promise<ConfigurationText>;
  /**
   * Deletes a configuration. What it wrote to twins stays there (facts §6).
   *
   * @throws HubAnswerError with status 404, or 412 if the ETag is another; HUB_READ_ONLY
   */
  deleteConfiguration(id: string, ifMatch: string): Promise<void>;

  /** Proves the right to write devices, without writing. @throws HubferryError HUB_UNAUTHORIZED, HUB_READ_ONLY */
  probeWrite(): Promise<void>;
  /**
   * Proves the right to create jobs, without leaving one.
   *
   * @param containerUri a container that does not exist, better one that can be refused at once; left out, an address
   *   that nobody answers at
   * @throws HubferryError HUB_UNAUTHORIZED
   */
  probeJobs(containerUri?: string): Promise<void>;
}
