import { type ErrorName, isErrorName } from '../errors.js';

export type JobType = 'import' | 'export';

/** What goes wrong in a job. `lines` counts records read or written before it happens, `ms` is simulated time. */
export type JobFaultKind =
  /** The job ends as `failed` after so many lines; imports keep what was applied. */
  | { kind: 'failAfter'; lines: number; reason?: string }
  /** The job stops after so many lines (default 0) and stays `running` until somebody cancels it. */
  | { kind: 'hang'; lines?: number }
  /** All work is done, yet the job stays `running` for so long. */
  | { kind: 'finishLate'; ms: number }
  /** The job stops after so many lines (default 0) and is gone from GET /jobs, as if it had never been. */
  | { kind: 'vanish'; lines?: number }
  /** The job's output blob keeps only the first `bytes` bytes; the job completes all the same. */
  | { kind: 'cutOutput'; bytes: number }
  /** Storage refuses: the create is answered with 400008; with `lines` the job fails after so many of them. */
  | { kind: 'refuseStorage'; lines?: number }
  /** At the next create a stranger's job has the slot, for so long, or until the slot is released. */
  | { kind: 'occupySlot'; ms?: number }
  /** The error log of an import comes so long after `completed`. */
  | { kind: 'lateErrorLog'; ms: number }
  /** The error log of an import never comes. */
  | { kind: 'noErrorLog' }
  /** The first `lines` lines of an import are applied, and logged with `code` (default DeviceAlreadyExists) all the same. */
  | { kind: 'doubtLines'; lines: number; code?: ErrorName }
  /** The first `lines` lines of an import are refused with `code` (default DeviceNotFound, as was seen live). */
  | { kind: 'rejectLines'; lines: number; code?: ErrorName };

/** A fault for the next job, or the next `times` jobs, of a hub; `type` limits it to imports or exports. */
export type JobFault = JobFaultKind & { type?: JobType; times?: number };

type Field = 'count' | 'count?' | 'text?' | 'code?';

interface Kind {
  readonly fields: Readonly<Record<string, Field>>;
  /** Only imports have what it breaks; exports leave it waiting. */
  readonly importsOnly?: true;
}

const kinds: Readonly<Record<JobFaultKind['kind'], Kind>> = {
  failAfter: { fields: { lines: 'count', reason: 'text?' } },
  hang: { fields: { lines: 'count?' } },
  finishLate: { fields: { ms: 'count' } },
  vanish: { fields: { lines: 'count?' } },
  cutOutput: { fields: { bytes: 'count' } },
  refuseStorage: { fields: { lines: 'count?' } },
  occupySlot: { fields: { ms: 'count?' } },
  lateErrorLog: { fields: { ms: 'count' }, importsOnly: true },
  noErrorLog: { fields: {}, importsOnly: true },
  doubtLines: { fields: { lines: 'count', code: 'code?' }, importsOnly: true },
  rejectLines: { fields: { lines: 'count', code: 'code?' }, importsOnly: true },
};

/** True when the fault hits POST /jobs/create itself, not the job. */
function hitsCreate(fault: JobFault): boolean {
  return fault.kind === 'occupySlot' || (fault.kind === 'refuseStorage' && fault.lines === undefined);
}

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

  /** The fault of a create or of a job of that type, if it is its turn. */
  take(type: JobType, moment: 'create' | 'run'): JobFault | undefined {
    const fault = this.#waiting.find(
      (one) =>
        (one.type === undefined || one.type === type) &&
        (type === 'import' || kinds[one.kind].importsOnly !== true),
    );
    if (fault === undefined || hitsCreate(fault) !== (moment === 'create')) return undefined;
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
  if (typeof value !== 'object' || value === null) throw new TypeError('job fault: not an object');
  const fault = value as Readonly<Record<string, unknown>>;
  const { kind: name, type, ...rest } = fault;
  if (type !== undefined && type !== 'import' && type !== 'export') {
    throw new TypeError("job fault: 'type' must be import or export");
  }
  const kind = new Map<unknown, Kind>(Object.entries(kinds)).get(name);
  if (kind === undefined) throw new TypeError(`job fault: unknown kind ${JSON.stringify(name)}`);
  if (type === 'export' && kind.importsOnly === true) {
    throw new TypeError(`job fault: '${String(name)}' is for imports only`);
  }
  const fields = new Map<string, Field>(Object.entries({ times: 'count?', ...kind.fields }));
  for (const field of Object.keys(rest)) {
    if (!fields.has(field)) throw new TypeError(`job fault: '${String(name)}' has no '${field}'`);
  }
  for (const [field, form] of fields) checkField(field, form, fault[field]);
  return value as JobFault;
}

function checkField(name: string, form: Field, value: unknown): void {
  if (value === undefined && form.endsWith('?')) return;
  if (form === 'text?') {
    if (typeof value !== 'string') throw new TypeError(`job fault: '${name}' must be text`);
  } else if (form === 'code?') {
    if (typeof value !== 'string' || !isErrorName(value)) {
      throw new TypeError(`job fault: unknown code ${JSON.stringify(value)}`);
    }
  } else if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new TypeError(`job fault: '${name}' must be a count`);
  }
}
