import {
  CancellationScope,
  CancelledFailure,
  type ChildWorkflowHandle,
  condition,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { ERRORS, type ErrorCode } from '../registry/errors.js';
import { fail, failureOf, type OurFailure } from './failure.js';
import {
  approve,
  cancel,
  cutBack,
  type Effect,
  handBack,
  type Parked,
  type Phase,
  pause,
  type Rates,
  type RunReport,
  resume,
  throttle,
} from './messages.js';

/** Phases in which a step that is under way may have changed the hub: a cancellation lets it end. */
const WRITING: readonly Phase[] = ['apply', 'configure', 'disable'];

/** Phases in which there is nothing left to steer: whatever was asked, they are done to their end. */
const ENDING: readonly Phase[] = ['clean-up', 'report', 'ended'];

/**
 * Phases in which a fault is told instead of rested for: whoever has started the run is there to hear of it, what is
 * looked at changes no verdict, or the run ends.
 */
const TELLING: readonly Phase[] = ['preflight', 'recheck', ...ENDING];

/** What is the matter of whoever steers: the run's report, and how to store it. */
interface Steered {
  readonly report: RunReport;
  /** Told whenever the outcome changes. */
  readonly changed: () => void;
  /** Stores the report. */
  readonly note: () => Promise<void>;
}

/** What somebody has said at a gate. */
export type Answer = 'approved' | 'cut back' | 'nothing';

interface Gate {
  readonly hash: string;
  readonly reason: Parked['reason'];
  answer: Answer;
}

/** How long a gate is open, and what for. */
export interface GateOptions extends Omit<Parked, 'since'> {
  /** ms; left out: for ever. */
  readonly within?: number;
}

type Sending<R> = Pick<ChildWorkflowHandle<() => Promise<R>>, 'signal' | 'result'>;

/**
 * A hand on the wheel of one run: it waits for an approval, rests between two steps, ends early, or goes slower. Every
 * step of a run (an activity, a job, a child) goes through `step`, so each of them is a point where it may rest, and a
 * fault that somebody can mend lets it rest there: the same step is begun again after `resume`.
 */
export class Steering {
  readonly #run: Steered;
  readonly #scope = new CancellationScope();
  #gate: Gate | null = null;
  /** Why no step may begin; null: they may. */
  #held: Omit<Parked, 'since'> | null = null;
  #cancelled = false;
  /** A cancellation that lets the step under way end. */
  #ending = false;
  /** How long, in epoch ms, it may rest for a fault; null: for ever. */
  #restsUntil: number | null = null;
  #underWay = 0;
  #resting = 0;
  #rates: Rates = {};
  #sending: Sending<unknown> | null = null;

  constructor(run: Steered) {
    this.#run = run;
    const { report } = run;
    const isOpen = (): void => {
      if (this.#ends) fail('RUN_ENDED', `Run ${report.run} ends: nothing is left to do.`);
    };
    setHandler(approve, () => this.#open(), { validator: (hash) => this.#mayApprove(hash) });
    const back = (): void => {
      if (this.#gate !== null) this.#gate.answer = 'cut back';
    };
    setHandler(cutBack, back, { validator: () => this.#mayCutBack() });
    setHandler(pause, () => this.#pause(), { validator: () => (isOpen(), this.#mayPause()) });
    setHandler(resume, () => this.#resume(), { validator: () => (isOpen(), this.#mayResume()) });
    setHandler(cancel, ({ now }) => this.#cancel(now), { validator: (_how) => isOpen() });
    setHandler(throttle, (host, rate) => this.#throttle(host, rate), {
      validator: (host, rate) => (isOpen(), this.#mayThrottle(host, rate)),
    });
  }

  /** Whether somebody has cancelled the run by `cancel`; one that Temporal is told to cancel ends so for Temporal, too. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  get rates(): Rates {
    return this.#rates;
  }

  /** Runs the work of the run, which `cancel` ends. */
  async conduct<T>(body: () => Promise<T>): Promise<T> {
    return await this.#scope.run(body);
  }

  /** Begins a step, at once or when the run may go on. @throws CancelledFailure where it is to end instead */
  step<T>(begin: () => Promise<T>): Promise<T> {
    if (this.#ending && !this.#ends) return Promise.reject(new CancelledFailure('The run was cancelled.'));
    if (this.#held !== null && !this.#ends) return this.#rest().then(() => this.step(begin));
    this.#underWay += 1;
    const over = (): void => {
      this.#underWay -= 1;
      this.#mark();
    };
    return begin().then(
      (value) => {
        over();
        return value;
      },
      (error: unknown) => {
        over();
        return this.#again(error, begin);
      },
    );
  }

  /** A step that can be asked to hand back what is left of its work, so that the run may rest in the middle of it. */
  sending<R>(start: () => Promise<Sending<R>>): Promise<R> {
    return this.step(async () => {
      const rates = this.#rates;
      const sending = await start();
      this.#sending = sending;
      const isWanted = this.#ends || (this.#held === null && !this.#ending && this.#rates === rates);
      if (!isWanted) this.#interrupt();
      try {
        return await sending.result();
      } finally {
        this.#sending = null;
      }
    });
  }

  /** Waits until somebody who has seen the plan approves it by its hash. */
  async approval(hash: string): Promise<void> {
    await this.gate(hash, {
      reason: 'approval',
      why: `waits for the approval of plan ${hash.slice(0, 16)}`,
    });
  }

  /** Rests until somebody says, by the hash of the plan, how to go on, or nobody does in time. */
  async gate(hash: string, { reason, why, within }: GateOptions): Promise<Answer> {
    const gate: Gate = { hash, reason, answer: 'nothing' };
    this.#gate = gate;
    await this.#park({ reason, why });
    const isAnswered = (): boolean => gate.answer !== 'nothing';
    if (within === undefined) await condition(isAnswered);
    else await condition(isAnswered, within);
    this.#gate = null;
    this.#goOn();
    return gate.answer;
  }

  /** Rests until somebody has seen to it that the run can go on, and says so by `resume`. */
  async park(reason: Parked['reason'], why: string): Promise<void> {
    if (this.#ends) return; // nobody could let it go on
    this.#held = { reason, why };
    await this.#rest();
  }

  /** Whether the run rests for this fault, now. */
  restsFor(code: ErrorCode): boolean {
    const { phase, workflow } = this.#run.report;
    const isAwaited = TELLING.includes(phase) || workflow === 'probe';
    return ERRORS[code].parks && !isAwaited && !this.#ending && patched('park');
  }

  /** Rests until the fault is mended. @throws it again where the run does not rest for it, or has for too long */
  async mended({ code, message }: OurFailure): Promise<void> {
    if (!this.restsFor(code)) fail(code, message);
    this.#held = { reason: code, why: `cannot go on, ${code}: ${message.replace(/\.$/, '')}` };
    const until = this.#restsUntil;
    const isMended = await this.#rest(until === null ? undefined : until - Date.now());
    if (this.#cancelled) throw new CancelledFailure('The run was cancelled.');
    if (!isMended) fail(code, message);
  }

  /** Lets the run rest for faults of the body for so many ms at most, all together: what it has begun must not wait. */
  async hurried<T>(ms: number, body: () => Promise<T>): Promise<T> {
    this.#restsUntil = Date.now() + ms;
    try {
      return await body();
    } finally {
      this.#restsUntil = null;
    }
  }

  async #again<T>(error: unknown, begin: () => Promise<T>): Promise<T> {
    const failure = isCancellation(error) ? null : failureOf(error);
    if (failure === null || !this.restsFor(failure.code)) throw error;
    await this.mended(failure);
    return this.step(begin);
  }

  get #ends(): boolean {
    return ENDING.includes(this.#run.report.phase);
  }

  #open(): void {
    if (this.#gate !== null) this.#gate.answer = 'approved';
  }

  #mayApprove(hash: string): void {
    const { run } = this.#run.report;
    if (this.#gate === null || this.#gate.answer !== 'nothing')
      fail('NOT_PARKED', `Run ${run} waits for no approval.`);
    if (!this.#gate.hash.startsWith(hash))
      fail(
        'PLAN_OTHER',
        `The plan of run ${run} is ${this.#gate.hash.slice(0, 16)}, not ${hash.slice(0, 16)}.`,
      );
  }

  #mayCutBack(): void {
    if (this.#gate?.reason !== 'cut-over' || this.#gate.answer !== 'nothing')
      fail('NOT_PARKED', `Run ${this.#run.report.run} does not wait at its cut-over.`);
  }

  #mayPause(): void {
    const { run, parked } = this.#run.report;
    if (this.cancelled) fail('RUN_ENDED', `Run ${run} was cancelled already.`);
    if (parked !== undefined) fail('ALREADY_PARKED', `Run ${run} rests already: it ${parked.why}.`);
    if (this.#held !== null) fail('ALREADY_PARKED', `Run ${run} was told so already.`);
  }

  #pause(): Effect {
    this.#held = { reason: 'paused', why: 'was paused' };
    this.#run.report.asked = 'pause';
    this.#interrupt();
    return this.#underWay === 0 ? 'at once' : 'after this step';
  }

  #mayResume(): void {
    const { run } = this.#run.report;
    if (this.#gate !== null)
      fail(
        'NOT_PAUSED',
        `Run ${run} waits for the approval of its plan: \`hubferry approve\` lets it go on.`,
      );
    if (this.#held === null || this.cancelled) fail('NOT_PAUSED', `Run ${run} is not paused.`);
  }

  #resume(): void {
    this.#held = null;
    delete this.#run.report.asked;
  }

  #cancel(now: boolean): Effect {
    const mayHaveWritten = this.#underWay > 0 && WRITING.includes(this.#run.report.phase);
    this.#run.report.asked = 'cancel';
    this.#cancelled = true;
    if (now || !mayHaveWritten) {
      this.#scope.cancel();
      return 'at once';
    }
    this.#ending = true;
    this.#interrupt();
    return 'after this step';
  }

  #mayThrottle(host: string, rate: number | null): void {
    const { run, source, target } = this.#run.report;
    if (host !== source && host !== target)
      fail(
        'HUB_NOT_OF_RUN',
        `Run ${run} is of ${[source, target].filter(Boolean).join(' and ')}, not of ${host}.`,
      );
    if (rate !== null && !(rate > 0)) fail('USAGE', 'A rate is a number above 0.');
  }

  #throttle(host: string, rate: number | null): void {
    const { [host]: _, ...others } = this.#rates;
    this.#rates = rate === null ? others : { ...others, [host]: rate };
    this.#run.report.rates = this.#rates;
    this.#interrupt();
  }

  #interrupt(): void {
    // It may have ended in this very moment: then there is nothing to hand back.
    this.#sending?.signal(handBack).catch(() => undefined);
  }

  /** @param within ms; left out: for ever. @returns whether it was told in time to go on, or to end */
  async #rest(within?: number): Promise<boolean> {
    this.#resting += 1;
    this.#mark();
    // What cannot be cancelled rests all the same no longer than its run.
    const isTold = (): boolean => this.#held === null || this.#ending || this.#cancelled;
    let told = true;
    try {
      if (within === undefined) await condition(isTold);
      else told = await condition(isTold, Math.max(1, within));
    } finally {
      this.#resting -= 1;
    }
    if (!told) this.#held = null;
    if (this.#run.report.parked !== undefined) this.#goOn();
    return told;
  }

  /** A run rests as soon as its next step is held and none is under way. */
  #mark(): void {
    if (this.#held === null || this.#resting === 0 || this.#underWay > 0) return;
    if (this.#run.report.parked === undefined) this.#park(this.#held).catch(() => undefined);
  }

  async #park(parked: Omit<Parked, 'since'>): Promise<void> {
    const { report } = this.#run;
    report.parked = { ...parked, since: new Date().toISOString() };
    report.outcome = 'parked';
    delete report.asked;
    setCurrentDetails(`**parked** · ${parked.why}`);
    this.#run.changed();
    await this.#run.note();
  }

  #goOn(): void {
    const { report } = this.#run;
    delete report.parked;
    report.outcome = 'running';
    this.#run.changed();
  }
}
