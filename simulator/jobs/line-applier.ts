import { ServiceError } from '../errors.js';
import { recordKey } from '../records/store.js';
import { applyImportLine } from './import-apply.js';
import { errorLogLine, type LineTarget, parseImportLine } from './import-line.js';
import type { JobRun } from './job-run.js';

/** Applies the lines of one import and remembers which ids the file had already. */
export class LineApplier {
  readonly #seen = new Set<string>();
  #faulty = 0;
  /** How many lines have an entry in the error log. */
  refused = 0;

  constructor(readonly run: JobRun) {}

  /** @returns the entry for the error log when the line was refused. */
  apply(text: string): string | undefined {
    const { settings } = this.run.store;
    const parsed = parseImportLine(text, settings);
    if (!parsed.ok) return this.#entry(parsed.target, parsed.error);
    const { line } = parsed;
    const { deviceId, moduleId } = line.wanted;
    const { fault, store, job } = this.run;
    const key = recordKey(deviceId, moduleId);
    try {
      if (this.#seen.has(key)) {
        throw new ServiceError(
          'DeviceDefinedMultipleTimes',
          `The ID '${key}' is defined more than once in the file.`,
        );
      }
      this.#seen.add(key);
      if (fault?.kind === 'rejectLines' && this.#faulty++ < fault.lines) {
        throw new ServiceError(fault.code ?? 'DeviceNotFound', deviceId);
      }
      applyImportLine(store, line, { door: 'import', group: job.group });
      if (fault?.kind === 'doubtLines' && this.#faulty++ < fault.lines) {
        throw new ServiceError(fault.code ?? 'DeviceAlreadyExists', deviceId);
      }
      return undefined;
    } catch (error) {
      if (error instanceof ServiceError) return this.#entry({ deviceId, moduleId }, error);
      throw error;
    }
  }

  #entry(target: LineTarget | undefined, error: ServiceError): string {
    this.refused++;
    return errorLogLine(target, error, this.run.store.settings.errorLogModuleId);
  }
}
