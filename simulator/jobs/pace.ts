import { setImmediate as nextTurn } from 'node:timers/promises';
import { JobFailure, JobVanished } from './job-end.js';
import type { JobRun } from './job-run.js';

/** Lines before the loop lets requests in. */
const linesPerTurn = 500;

/** Milliseconds of the machine's time that may pass at once without being lost to the job. */
const slack = 50;

/** Milliseconds of the machine's time for which no timer is set. */
const shortest = 5;

/**
 * Called before each line and once at the end: keeps the configured rate, lets other work in, stops when the job was
 * cancelled, and makes the job's fault happen at its line.
 */
export class Stepper {
  #lines = 0;
  /** Simulated time at which the next line may go. */
  #due: number;
  /** Of the clock's jumps: all that were seen, and the time in them that is not used up yet. */
  #jumps: number;
  #jumped = 0;
  readonly #faultAt: number;

  constructor(readonly run: JobRun) {
    const { clock } = run.store;
    this.#due = clock.now();
    this.#jumps = clock.advanced;
    this.#faultAt = faultLine(run);
  }

  /** Undefined when the next line may go at once, so that a million lines do not cost a million promises. */
  step(): Promise<void> | undefined {
    const line = this.#lines++;
    if (line === this.#faultAt) return this.#fail();
    const { rate } = this.run.store.settings;
    const wait = rate === 0 ? 0 : this.#ahead(rate);
    if (wait > 0) return this.#wait(wait);
    return line % linesPerTurn === 0 ? this.#turn() : undefined;
  }

  /** Simulated milliseconds to wait for the next line; 0 when they are too few for a timer. */
  #ahead(rate: number): number {
    const { clock } = this.run.store;
    const now = clock.now();
    this.#jumped += clock.advanced - this.#jumps;
    this.#jumps = clock.advanced;
    this.#due += 1000 / rate;
    const late = now - this.#due;
    this.#jumped = Math.min(this.#jumped, Math.max(late, 0));
    // A jump of the clock is worked off. Time lost to a busy machine is not, so that progress stays even.
    const allowed = this.#jumped + slack * clock.speed;
    if (late > allowed) this.#due = now - allowed;
    const ahead = this.#due - now;
    return ahead <= shortest * clock.speed ? 0 : ahead;
  }

  async #turn(): Promise<void> {
    await nextTurn();
    this.run.job.signal.throwIfAborted();
  }

  async #wait(ms: number): Promise<void> {
    await this.run.store.clock.sleep(ms, this.run.job.signal);
  }

  async #fail(): Promise<void> {
    const { fault, job } = this.run;
    if (fault?.kind === 'failAfter')
      throw new JobFailure(fault.reason ?? 'The job failed because of an internal error.');
    if (fault?.kind === 'refuseStorage') throw new JobFailure('Storage error 403 AuthorizationFailure');
    if (fault?.kind === 'vanish') throw new JobVanished();
    await job.ended;
    job.signal.throwIfAborted();
  }
}

/** Before which line the job stops; -1 = it does not. */
function faultLine({ fault }: JobRun): number {
  switch (fault?.kind) {
    case 'failAfter':
    case 'hang':
    case 'vanish':
    case 'refuseStorage':
      return fault.lines ?? 0;
    default:
      return -1;
  }
}
