import { configurationTexts } from '../registry/configurations.js';
import { isJsonObject } from '../registry/record.js';
import type { ConfigurationText, DeviceIdentity, HubJob, ModuleIdentity } from './hub.js';
import { textOrNull } from './json.js';
import { scrub } from './scrub.js';

// Every reader gives null for an answer that is not what it reads.

const STATUS: Readonly<Record<string, HubJob['status']>> = {
  enqueued: 'enqueued',
  queued: 'enqueued',
  scheduled: 'enqueued',
  running: 'running',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** Reads JobProperties. The URIs in the answer to a create are left behind: they hold the SAS. */
export function readJob(value: unknown): HubJob | null {
  if (!isJsonObject(value)) return null;
  const { jobId, type, status, progress, failureReason } = value;
  if (typeof jobId !== 'string' || jobId === '') return null;
  return {
    jobId,
    type: textOrNull(type)?.toLowerCase() ?? 'unknown',
    status: STATUS[String(status).toLowerCase()] ?? 'unknown',
    progress: typeof progress === 'number' ? progress : null,
    failureReason: typeof failureReason === 'string' && failureReason !== '' ? scrub(failureReason) : null,
  };
}

/** Reads the answer of `GET /jobs`. */
export function readJobs(value: unknown): HubJob[] | null {
  if (!Array.isArray(value)) return null;
  const jobs = value.map(readJob);
  return jobs.every((job) => job !== null) ? jobs : null;
}

/** Reads the answer of `GET /statistics/devices`. */
export function readStatistics(value: unknown): { total: number } | null {
  const total = isJsonObject(value) ? value['totalDeviceCount'] : null;
  return typeof total === 'number' ? { total } : null;
}

export function readDevice(value: unknown): DeviceIdentity | null {
  if (!isJsonObject(value) || typeof value['deviceId'] !== 'string') return null;
  const { deviceId, parentScopes } = value;
  return {
    ...value,
    deviceId,
    etag: textOrNull(value['etag']),
    generationId: textOrNull(value['generationId']) ?? '',
    status: textOrNull(value['status']) ?? 'enabled',
    statusReason: textOrNull(value['statusReason']),
    authentication: isJsonObject(value['authentication']) ? value['authentication'] : null,
    capabilities: isJsonObject(value['capabilities']) ? value['capabilities'] : null,
    deviceScope: textOrNull(value['deviceScope']),
    parentScopes: Array.isArray(parentScopes)
      ? parentScopes.filter((scope) => typeof scope === 'string')
      : [],
  };
}

/** The body that puts a device back: what is null or empty is left out, as a hub leaves it out. */
export function deviceBody(device: DeviceIdentity): Record<string, unknown> {
  const { parentScopes, ...rest } = device;
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null)),
    ...(parentScopes.length === 0 ? {} : { parentScopes }),
  };
}

export function readModule(value: unknown): ModuleIdentity | null {
  if (!isJsonObject(value)) return null;
  const { deviceId, moduleId } = value;
  if (typeof deviceId !== 'string' || typeof moduleId !== 'string') return null;
  return {
    ...value,
    deviceId,
    moduleId,
    etag: textOrNull(value['etag']),
    managedBy: textOrNull(value['managedBy']),
    authentication: isJsonObject(value['authentication']) ? value['authentication'] : null,
  };
}

/** Reads the answer of `GET /devices/{id}/modules`. */
export function readModules(value: unknown): ModuleIdentity[] | null {
  if (!Array.isArray(value)) return null;
  const modules = value.map(readModule);
  return modules.every((module) => module !== null) ? modules : null;
}

/** Reads a page of a query. */
export function readRows(value: unknown): Record<string, unknown>[] | null {
  return Array.isArray(value) && value.every(isJsonObject) ? value : null;
}

/** Reads one configuration from its text. */
export function readConfiguration(text: string): ConfigurationText | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const id = isJsonObject(value) ? value['id'] : null;
  return typeof id === 'string' && id !== '' ? { id, text } : null;
}

/** Reads the answer of `GET /configurations`. */
export function readConfigurations(answer: string): ConfigurationText[] | null {
  const all = configurationTexts(answer)?.map(readConfiguration) ?? [null];
  return all.every((one) => one !== null) ? all : null;
}
