import { type ErrorName, isErrorName } from '../errors.js';

export type JobType = 'import' | 'export';

/** What goes wrong in a job. `lines` counts records read or written before it happens. */
export type JobFaultKind =
  /** The job ends as `failed` after so many lines; imports keep what was applied. */
  | { kind: 'failAfter'; lines: number; reason?: string }
  /** The job stops after so many lines (default 0) and stays `running` until somebody cancels it. */
  | { kind: 'hang'; lines?: number }
  /** The job stops after so many lines (default 0) and is gone from GET /jobs, as if it had never been. */
  | { kind: 'vanish'; lines?: number }
  /** The job's output blob keeps only the first `bytes` bytes; the job completes all the same. */
  | { kind: 'cutOutput'; bytes: number }
  /** The first `lines` lines of an import are applied, and logged with `code` (default DeviceAlreadyExists) all the same. */
  | { kind: 'doubtLines'; lines: number; code?: ErrorName }
  /** The first `lines` lines of an import are refused with `code` (default DeviceNotFound, as was seen live). */
  | { kind: 'rejectLines'; lines: number; code?: ErrorName };

/** A fault for the next job, or the next `times` jobs, of a hub; `type` limits it to imports or exports. */
export type JobFault = JobFaultKind & { type?: JobType; times?: number };

/** The job faults of one hub, used up in the order in which they were added. */
export class JobFaults {
  #waiting: JobFault[] = [];

  add(fault: JobFault): void {
    this.#waiting.push({ ...fault });
  }

  clear(): void {
    this.#waiting = [];
  }

  list(): readonly JobFault[] {
    return this.#waiting;
  }

  /** The fault of a job that starts now, if any. */
  take(type: JobType): JobFault | undefined {
    const fault = this.#waiting.find((one) => one.type === undefined || one.type === type);
    if (fault === undefined) return undefined;
    fault.times = (fault.times ?? 1) - 1;
    if (fault.times <= 0) this.#waiting = this.#waiting.filter((one) => one !== fault);
    return fault;
  }
}

/**
 * Checks a fault that came through the admin port.
 * @throws {TypeError} that says what is wrong.
 */
export function checkJobFault(value: unknown): JobFault {
  const fault = value as Partial<Record<string, unknown>> | null;
  const count = (name: string, needed: boolean): void => {
    const given = fault?.[name];
    if (given === undefined && !needed) return;
    if (!Number.isSafeInteger(given) || (given as number) < 0)
      throw new TypeError(`job fault: '${name}' must be a count`);
  };
  if (typeof fault !== 'object' || fault === null) throw new TypeError('job fault: not an object');
  if (fault.type !== undefined && fault.type !== 'import' && fault.type !== 'export') {
    throw new TypeError("job fault: 'type' must be import or export");
  }
  count('times', false);
  switch (fault.kind) {
    case 'failAfter':
      count('lines', true);
      break;
    case 'hang':
    case 'vanish':
      count('lines', false);
      break;
    case 'cutOutput':
      count('bytes', true);
      break;
    case 'doubtLines':
    case 'rejectLines':
      count('lines', true);
      if (fault.code !== undefined && !(typeof fault.code === 'string' && isErrorName(fault.code))) {
        throw new TypeError(`job fault: unknown code ${JSON.stringify(fault.code)}`);
      }
      break;
    default:
      throw new TypeError(`job fault: unknown kind ${JSON.stringify(fault.kind)}`);
  }
  return value as JobFault;
}
