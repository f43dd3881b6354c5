import type { Ora } from 'ora';
import type { Phase, RunReport } from '../workflows/messages.js';
import type { LiveRun, Look } from './follow.js';
import { count, duration, estimate } from './text.js';

/** The phases that a user is told about, in their order; `settle` and `verify` may come more than once. */
const TOLD: readonly Phase[] = [
  'preflight',
  'snapshot',
  'transform',
  'plan',
  'apply',
  'settle',
  'verify',
  'configure',
  'recheck',
  'follow',
  'disable',
  'cut-over',
  'clean-up',
];

/** A worker that restarts is back within this, ms; until then nothing is said about it. */
const PATIENCE = 4_000;

/** Without a terminal, a line about the same piece of work at most this often, ms. */
const LINE_EVERY = 5_000;

/** ora does not look at https://no-color.org. */
const isColorless = (): boolean => Boolean(process.env['NO_COLOR']);

/** Shows a run while it goes on: one moving line on a terminal, plain lines elsewhere. Always on stderr. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #spinner: Ora | null;
  /** Seconds of each phase that were told. */
  readonly #told = new Map<Phase, number>();
  /** When the last answer came, ms. */
  #answered = Date.now();
  #seen: LiveRun | null = null;
  #said = { about: '', text: '', at: 0 };

  private constructor(stream: NodeJS.WriteStream, spinner: Ora | null) {
    this.#stream = stream;
    this.#spinner = spinner;
  }

  static async open(stream: NodeJS.WriteStream = process.stderr): Promise<Progress> {
    // Without a terminal the library is not even loaded.
    if (!stream.isTTY) return new Progress(stream, null);
    const { default: ora } = await import('ora');
    // ora would put the terminal into raw mode, where Ctrl-C is no signal any more.
    const spinner = ora({ stream, discardStdin: false, ...(isColorless() ? { color: false } : {}) });
    // It does not move on a dumb terminal or in CI, and would then write a line for every text.
    return new Progress(stream, spinner.isEnabled ? spinner : null);
  }

  /** A line that stays. */
  say(line: string): void {
    const wasSpinning = this.#spinner?.isSpinning;
    this.#spinner?.stop();
    this.#stream.write(`${line}\n`);
    if (wasSpinning) this.#spinner?.start();
  }

  show(look: Look): void {
    if (typeof look === 'string') {
      const away = Date.now() - this.#answered;
      if (away >= PATIENCE) this.#tell(look, waiting(look, this.#seen), ` (${duration(away)})`);
      else if (this.#spinner && !this.#seen) this.#tell('', 'starting');
      return;
    }
    this.#answered = Date.now();
    this.#seen = look;
    this.#tellEnded(look.report);
    if (!TOLD.includes(look.report.phase)) return;
    const [text = '', ...more] = fitting(partsOf(look), this.#width);
    this.#tell(`${look.report.phase} ${look.apply?.chunk ?? ''}`, [text, ...more].join(' · '));
  }

  /** The last line: what of the run was not told yet. */
  end(report?: RunReport): void {
    this.#spinner?.stop();
    if (!report) return;
    this.#tellEnded(report);
    if (this.#spinner) this.#stream.write('\n');
  }

  get #width(): number {
    return this.#spinner ? (this.#stream.columns || 80) - 3 : Number.POSITIVE_INFINITY;
  }

  /** @param clock goes on by itself: shown on a terminal only, where it moves */
  #tell(about: string, text: string, clock = ''): void {
    if (this.#spinner) {
      this.#spinner.text = fitting([text + clock], this.#width).join('');
      if (!this.#spinner.isSpinning) this.#spinner.start();
      return;
    }
    const now = Date.now();
    if (text === this.#said.text || (about === this.#said.about && now - this.#said.at < LINE_EVERY)) return;
    this.#stream.write(`${text}\n`);
    this.#said = { about, text, at: now };
  }

  /** One line for each phase that is over; for the one in which a run failed, as far as can be told. */
  #tellEnded({ seconds, outcome, phase: current }: RunReport): void {
    const ended = TOLD.filter((phase) => phase !== current && seconds.phases[phase] !== undefined);
    for (const phase of ended) {
      const before = this.#told.get(phase) ?? 0;
      const now = seconds.phases[phase] ?? 0;
      if (this.#told.has(phase) && now === before) continue;
      this.#told.set(phase, now);
      const broke = (outcome === 'failed' || outcome === 'cancelled') && phase === ended.at(-1);
      const time = duration((now - before) * 1000);
      if (this.#spinner) {
        const was = this.#spinner.isSpinning;
        const text = `${padded(phase)}${time}`;
        if (isColorless()) this.#spinner.stopAndPersist({ symbol: broke ? '✖' : '✔', text });
        else if (broke) this.#spinner.fail(text);
        else this.#spinner.succeed(text);
        if (was) this.#spinner.start();
      } else this.#stream.write(`${padded(phase)}${broke ? `${outcome} after` : 'done in'} ${time}\n`);
    }
  }
}

const WIDEST = Math.max(...TOLD.map((phase) => phase.length));
const padded = (phase: Phase): string => `${phase.padEnd(WIDEST)}  `;

/** As many of the parts as there is room for; a first one that is too long by itself is cut. */
function fitting(parts: readonly string[], width: number): string[] {
  const kept = [...parts];
  while (kept.length > 1 && kept.join(' · ').length > width) kept.pop();
  return kept.map((part) => (part.length > width ? `${part.slice(0, width - 1)}…` : part));
}

function waiting(who: 'no worker' | 'no server', seen: LiveRun | null): string {
  if (who === 'no server') return 'the Temporal server does not answer; trying again';
  return seen ? 'no worker answers; the run waits for one' : 'waiting for a worker to take the run';
}

/** One line: phase, job and its percentage, records/s, time left. */
export function describe(run: LiveRun): string {
  return partsOf(run).join(' · ');
}

/** What there is to say of a run that goes on, the most important first. */
function partsOf(run: LiveRun): string[] {
  const { report, apply, jobs, inLine } = run;
  const { phase } = report;
  const parts = apply && apply.chunks > 0 ? applyParts(run, apply) : jobs.length > 0 ? jobParts(run) : [];
  for (const { host, ahead } of inLine) {
    parts.push(`${roleOf(report, host)} waits in line, ${ahead} ${ahead === 1 ? 'job' : 'jobs'} ahead`);
  }
  if (phase === 'settle') parts.push('waits until the hub shows what was written');
  if (report.asked) parts.push(`${report.asked === 'pause' ? 'rests' : 'ends'} after this step`);
  const [first, ...more] = parts;
  return first === undefined ? [phase] : [`${padded(phase)}${first}`, ...more];
}

type LiveJob = LiveRun['jobs'][number];

function applyParts({ jobs }: LiveRun, apply: NonNullable<LiveRun['apply']>): string[] {
  const { chunk, chunks, lines, rejected, sent, wave } = apply;
  const job = jobs.find(({ type }) => type === 'import');
  const done = sent + (job ? linesDone(job) : 0);
  const rate = job ? rateOf(job) : null;
  const parts = [`${Math.floor((done / lines) * 100)}% of ${count(lines)}`];
  if (rate !== null) {
    parts.push(`${count(Math.round(rate))} records/s`);
    if (done < lines) parts.push(`${estimate(((lines - done) / rate) * 1000)} left`);
  }
  parts.push(`${wave} job ${chunk}/${chunks}${job ? ` ${stateOf(job)}` : ''}`);
  if (rejected > 0) parts.push(`${count(rejected)} rejected`);
  return parts;
}

function jobParts({ report, jobs }: LiveRun): string[] {
  const parts = jobs.map((job) => {
    const left = leftOf(job);
    return `${roleOf(report, job.host)} ${stateOf(job)}${left === null ? '' : `, ${estimate(left)} left`}`;
  });
  const rate = jobs.reduce((sum, job) => sum + (rateOf(job) ?? 0), 0);
  // An export also carries modules, which the hub does not count.
  if (rate >= 1) parts.push(`${count(Math.round(rate))} devices/s`);
  return parts;
}

function roleOf({ source, target }: RunReport, host: string): string {
  return host === source ? 'source' : host === target ? 'target' : host;
}

function stateOf({ status, progress }: LiveJob): string {
  switch (status) {
    case 'submitting':
      return 'starts';
    case 'slot held by another job':
      return 'waits for a job of somebody else';
    case 'enqueued':
      return 'queued';
    default:
      return progress === null ? 'runs' : `${progress}%`;
  }
}

const linesDone = ({ lines, progress }: LiveJob): number => ((lines ?? 0) * (progress ?? 0)) / 100;

/** Whether a job has run long enough to tell its speed; its time also counts what it waited for its start. */
const isTelling = ({ elapsed, progress }: LiveJob): boolean =>
  progress !== null && progress > 0 && elapsed > 1_000 && (progress >= 20 || elapsed > 4_000);

/** Lines a second, or null while there is nothing to tell it from. */
function rateOf(job: LiveJob): number | null {
  return isTelling(job) && job.lines ? linesDone(job) / (job.elapsed / 1000) : null;
}

/** ms, or null while there is nothing to tell it from. */
function leftOf(job: LiveJob): number | null {
  const { elapsed, progress } = job;
  if (progress === null || progress >= 100 || !isTelling(job)) return null;
  return (elapsed * (100 - progress)) / progress;
}
