import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  metricMeter,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { imbalances, verifyImbalances } from '../registry/ledger.js';
import { counted, timed } from '../registry/metrics.js';
import { SAMPLES } from '../registry/totals.js';
import { isWriter } from '../registry/workflow-ids.js';
import { stateOf } from './attributes.js';
import { fail, failureOf } from './failure.js';
import { HubJobs } from './hub-queue.js';
import {
  emptyReport,
  type JobRequest,
  type JobResult,
  type Phase,
  type RunInput,
  type RunReport,
  runReport,
  type Stage,
  writerIdOf,
} from './messages.js';
import { type Proxies, proxies, stepwise } from './proxies.js';
import { Steering } from './steering.js';

/** What a report says of the work of a run, and of nothing else that it does. */
const OWN = [
  'plan',
  'ledger',
  'verify',
  'kinds',
  'found',
  'work',
  'fields',
  'rejected',
  'snapshots',
  'differences',
] as const satisfies readonly (keyof RunReport)[];

/**
 * One run as its user sees it: the report that grows while it goes on, the containers it made, and its end, which
 * cleans up and writes the report whatever happened.
 */
export class Run {
  readonly report: RunReport;
  /** Each call of one is a step of the run. */
  readonly activities: Proxies;
  readonly steering: Steering;
  /** Those that nothing holds up. */
  readonly #activities: Proxies;
  readonly #input: RunInput;
  readonly #jobs = new HubJobs();
  /** How many times plans, or what was left of them, were sent. */
  sendings = 0;
  #kept: readonly string[] = [];
  /** The phase of all that is done meanwhile. */
  #aside: Phase | null = null;
  #sequence = 0;
  #works = 0;
  #pass = 0;
  #begun = false;
  /** The host that no other run may write to, until this one frees it. */
  #owned: string | null = null;
  #phaseSince = Date.now();
  #indexed: Partial<Pick<RunReport, 'phase' | 'outcome'>> = {};
  readonly #stages: Stage[] = [];

  constructor(input: RunInput, what: Pick<RunReport, 'workflow' | 'source' | 'target'>) {
    this.#input = input;
    const { run, server, schedule } = input;
    this.report = emptyReport({
      run,
      ...what,
      ...(server === undefined ? {} : { server }),
      ...(schedule === undefined ? {} : { schedule }),
    });
    setHandler(runReport, () => this.#stamped());
    this.#activities = proxies(input.settings);
    this.steering = new Steering({
      report: this.report,
      changed: () => this.#index(),
      note: () => this.note(),
    });
    this.activities = stepwise(this.#activities, this.steering);
  }

  /** Stores the report as it stands, for whoever asks when nobody runs the workflow. */
  async note(more: Partial<RunReport> = {}): Promise<void> {
    const { account } = this.#input;
    await this.#activities.light.writeReport({ account, report: { ...this.#stamped(), ...more } });
  }

  phase(of: Phase): void {
    const phase = this.#aside ?? of;
    const before = this.report.phase;
    if (phase !== before) this.endPhase();
    this.report.phase = phase;
    if (phase !== before && phase !== 'ended') this.#log('stage begins');
    setCurrentDetails(`**${phase}** · ${this.report.source} → ${this.report.target ?? 'storage'}`);
    this.#index();
  }

  /** Tells Temporal's index how the run stands. */
  #index(): void {
    if (!patched('state-attributes')) return;
    const { phase, outcome } = this.report;
    const state = { phase, outcome };
    if (state.phase === this.#indexed.phase && state.outcome === this.#indexed.outcome) return;
    this.#indexed = state;
    upsertSearchAttributes(stateOf(state));
  }

  /** Books the time of the phase until now. */
  endPhase(): void {
    const stage = this.#stage();
    const { phases } = this.report.seconds;
    phases[stage.phase] = (phases[stage.phase] ?? 0) + stage.seconds;
    this.#stages.push(stage);
    this.#phaseSince = Date.now();
    timed(metricMeter, 'hubferry_stage_seconds', stage.seconds, {
      workflow: this.report.workflow,
      stage: stage.phase,
    });
  }

  /** The phase that goes on. */
  #stage(): Stage {
    const seconds = (Date.now() - this.#phaseSince) / 1000;
    return { phase: this.report.phase, started: new Date(this.#phaseSince).toISOString(), seconds };
  }

  /**
   * Does something of its own beside the work of the run, as one phase of it: what is counted and planned meanwhile is not
   * the run's. Jobs, calls and warnings are.
   */
  async aside<T>(phase: Phase, body: () => Promise<T>): Promise<T> {
    const { report } = this;
    const { run, source, target, workflow } = report;
    const own = Object.fromEntries(OWN.map((name) => [name, report[name]]));
    const fresh = emptyReport({ run, source, target, workflow });
    for (const name of OWN) delete report[name];
    Object.assign(report, Object.fromEntries(OWN.map((name) => [name, fresh[name]])));
    this.phase(phase);
    this.#aside = phase;
    try {
      return await body();
    } finally {
      this.#aside = null;
      Object.assign(report, own);
    }
  }

  /** A line of the worker's log; not again when the run is replayed. */
  #log(message: string, more: Readonly<Record<string, unknown>> = {}): void {
    const { run, source, target, phase: stage } = this.report;
    log.info(message, { run, hub: target ?? source, stage, ...more });
  }

  /** Whether it does something beside its work. */
  get isAside(): boolean {
    return this.#aside !== null;
  }

  /** The private container of this run's working data. */
  get work(): string {
    return `hf-${this.#input.run}-work${this.#works === 0 ? '' : `-${this.#works}`}`;
  }

  /** Begins the work of the run anew: what was planned and counted before was another pass, and so was what it left. */
  afresh(): void {
    this.#works += 1;
    const { report } = this;
    const { run, source, target, workflow } = report;
    const fresh = emptyReport({ run, source, target, workflow });
    Object.assign(report, Object.fromEntries(OWN.map((name) => [name, fresh[name]])));
    report.warnings = [];
  }

  /** Names for the containers of one step's jobs, by attempt (from 1); no name is ever used twice. */
  containers(): (attempt: number) => string {
    this.#sequence += 1;
    return containersOf(this.#input.run, this.#sequence);
  }

  /** The number of the next comparison. */
  nextPass(): number {
    this.#pass += 1;
    return this.#pass;
  }

  /** The number of the newest comparison. */
  get lastPass(): number {
    return this.#pass;
  }

  /** Keeps these snapshots' containers, and no others, when the run ends. */
  keep(containers: readonly string[]): void {
    this.#kept = containers;
  }

  /** Keeps one more container. */
  keepToo(container: string): void {
    this.#kept = [...this.#kept, container];
  }

  /** Runs one job of a hub through the hub's queue, and books it. */
  async job(request: JobRequest): Promise<JobResult> {
    const result = await this.steering.step(() => this.#jobs.run(request));
    this.bookJob(request, result);
    return result;
  }

  bookJob(request: Pick<JobRequest, 'host' | 'type' | 'lines'>, result: JobResult): void {
    this.report.jobs.push({
      hub: request.host,
      type: request.type,
      status: result.outcome,
      seconds: result.seconds,
      ...(result.started === undefined ? {} : { started: result.started }),
      ...(request.type === 'export' || request.lines === null ? {} : { lines: request.lines }),
    });
    this.report.seconds.inJobs += result.seconds;
    this.calls(request.host, result.calls);
    if (result.adopted) this.warn('JOB_ADOPTED', 1, [`${result.jobId} on ${request.host}`]);
  }

  /** Books how many records the newest export of a hub held: its request knows only what the hub counted before. */
  bookExported(host: string, lines: number): void {
    const { jobs } = this.report;
    const at = jobs.findLastIndex(({ hub, type }) => hub === host && type === 'export');
    const job = jobs[at];
    if (job) jobs[at] = { ...job, lines };
  }

  /** @throws LEDGER_UNBALANCED when the counts do not add up, so that nothing unproven is called verified. */
  checkLedger(): void {
    const { systemModules, configurations, ...ledger } = this.report.ledger;
    const { verify } = this.report;
    const wrong = [
      ...imbalances(ledger),
      ...imbalances(systemModules).map((words) => `system modules: ${words}`),
      ...(configurations ? imbalances(configurations) : []).map((words) => `configurations: ${words}`),
      ...(verify ? verifyImbalances(ledger, verify) : []),
    ];
    if (wrong.length > 0)
      fail('LEDGER_UNBALANCED', `The counts of run ${this.report.run} do not add up: ${wrong.join('; ')}.`);
  }

  calls(host: string, calls: HubCalls): void {
    this.report.hubCalls[host] = addCalls(this.report.hubCalls[host] ?? NO_CALLS, calls);
  }

  /** Books the calls of an activity and hands on its value. */
  counted<T>(host: string, answer: { value: T; calls: HubCalls }): T {
    this.calls(host, answer.calls);
    return answer.value;
  }

  /** Adds a warning; the same code again adds to its count. */
  warn(code: string, count: number, samples: readonly string[] = []): void {
    if (count === 0) return;
    const same = this.report.warnings.findIndex((warning) => warning.code === code);
    const before = this.report.warnings[same];
    const warning = {
      code,
      count: count + (before?.count ?? 0),
      samples: [...(before?.samples ?? []), ...samples].slice(0, SAMPLES),
    };
    if (before) this.report.warnings[same] = warning;
    else this.report.warnings.push(warning);
  }

  /**
   * Runs the body between the first and the last entry of `runs/<RUN>.json`. Whatever happens, containers that are not
   * kept are deleted and the report is written. A failure closes the workflow with our code and the report as detail.
   */
  async conduct(body: () => Promise<RunReport['outcome']>): Promise<RunReport> {
    const { report } = this;
    let failure: unknown = null;
    this.#log('run begins', { source: report.source, target: report.target });
    try {
      await this.#activities.ask.writeReport({ account: this.#input.account, report: this.#stamped() });
      this.#begun = true;
      report.outcome = await this.steering.conduct(async () => {
        await this.#own();
        return body();
      });
    } catch (error) {
      failure = error;
      if (!isCancellation(error)) report.error = failureOf(error);
      const isSkipped = report.schedule !== undefined && report.error?.code === 'TARGET_BUSY';
      report.outcome = isCancellation(error) ? 'cancelled' : isSkipped ? 'skipped' : 'failed';
    }
    try {
      // Without a first entry nothing was made, and storage that cannot be reached would only be waited for.
      if (this.#begun) await CancellationScope.nonCancellable(() => this.#end());
    } catch (error) {
      failure ??= error;
      report.outcome = 'failed';
      report.error ??= failureOf(error);
    }
    const { workflow, outcome } = report;
    const { total: seconds } = this.#stamped().seconds;
    this.#log('run ended', { outcome, seconds, ...(report.error ? { code: report.error.code } : {}) });
    counted(metricMeter, 'hubferry_runs', 1, { workflow, outcome });
    if (failure === null) return report;
    if (report.error === null && this.steering.cancelled) return report;
    if (report.error === null) throw failure; // cancelled by Temporal's own means
    const { code: type, message } = report.error;
    throw ApplicationFailure.create({ type, message, nonRetryable: true, details: [this.#stamped()] });
  }

  /**
   * Makes a run that writes the only one that may write to its target, also among the runs of other Temporal servers that
   * share the storage account.
   *
   * @throws TARGET_BUSY
   */
  async #own(): Promise<void> {
    const { run, workflow, target: host, started: since } = this.report;
    if (host === null || !isWriter(workflow) || !patched('owner')) return;
    const { account, server = null } = this.#input;
    // Whether it came to that or not: whose reply was lost is freed, too.
    this.#owned = host;
    const workflowId = writerIdOf(host);
    const taking = { account, host, run, workflow, server, since, workflowId };
    const { replaced } = await this.activities.brief.takeTarget(taking);
    if (replaced !== null) this.warn('OWNER_TAKEN_OVER', 1, [`run ${replaced} on ${host}`]);
  }

  async #end(): Promise<void> {
    const { account, run } = this.#input;
    delete this.report.parked;
    delete this.report.asked;
    this.phase('report');
    await this.#activities.light.cleanUp({ account, run, keep: this.#kept }).catch((error: unknown) => {
      this.warn('CONTAINERS_LEFT', 1, [`hf-${run}-…: ${failureOf(error).message}`]);
    });
    const host = this.#owned;
    if (host !== null)
      await this.#activities.light.freeTarget({ account, host, run }).catch((error: unknown) => {
        this.warn('TARGET_NOT_FREED', 1, [`${host}: ${failureOf(error).message}`]);
      });
    this.report.ended = new Date().toISOString();
    this.report.report = `hubferry/runs/${run}.json`;
    this.phase('ended');
    Object.assign(this.report, this.#stamped());
    await this.#activities.light.writeReport({ account, report: this.report });
  }

  #stamped(): RunReport {
    const end = this.report.ended ? Date.parse(this.report.ended) : Date.now();
    const total = (end - Date.parse(this.report.started)) / 1000;
    const stages = this.report.phase === 'ended' ? this.#stages : [...this.#stages, this.#stage()];
    return { ...this.report, stages, seconds: { ...this.report.seconds, total } };
  }
}

/** The private containers of one step of a run, by attempt (from 1). */
export function containersOf(run: string, sequence: number): (attempt: number) => string {
  return (attempt) => `hf-${run}-${String(sequence).padStart(4, '0')}-${attempt}`;
}
