import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  metricMeter,
  patched,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { ERRORS } from '../registry/errors.js';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { counted } from '../registry/metrics.js';
import { addSampled, type Sampled } from '../registry/totals.js';
import { type Chunk, cutChunks, isByRest, isEdgeWave, MODULE_UPDATES } from '../registry/waves.js';
import { failureOf, type OurFailure } from './failure.js';
import { HubJobs } from './hub-queue.js';
import {
  applyState,
  handBack,
  type JobRequest,
  type JobResult,
  type Rates,
  type RunInput,
} from './messages.js';
import { type Proxies, proxies, stepwise } from './proxies.js';
import { containersOf } from './run.js';

/** Container sequence numbers of the first round's chunks start here; the run itself uses the ones below. */
const SEQUENCE_BASE = 100_000;

/** The lines to send for one wave, by partition of the pass that planned them. */
export interface WaveLines {
  readonly wave: string;
  readonly linesPerPartition: readonly number[];
}

export interface ApplyInput extends RunInput {
  readonly host: string;
  readonly work: string;
  /** The pass (comparison) whose changes are sent. */
  readonly pass: number;
  readonly round: number;
  readonly waves: readonly WaveLines[];
  readonly partitions: number;
  /** The snapshot of the target whose edge devices are there already. */
  readonly targetSnapshot: string;
  /** What the hubs are to be spared; left out: nothing. */
  readonly rates?: Rates;
}

/** What became of the lines. `planned = applied + rejected + uncertain + unsent`. */
export interface ApplyResult {
  readonly applied: number;
  readonly rejected: number;
  readonly uncertain: number;
  readonly unsent: number;
  readonly jobs: readonly {
    readonly request: Pick<JobRequest, 'host' | 'type' | 'lines'>;
    readonly result: JobResult;
  }[];
  readonly calls: HubCalls;
  /** Updated modules of which nobody can say who managed them; not in histories of 0.1. */
  readonly managers?: Sampled;
  /** Why sending stopped before the end, or null. */
  readonly stopped: string | null;
  /** What ended the sending for good; what was sent until then counts all the same. */
  readonly failure: OurFailure | null;
  /** Where it handed back what is left (`unsent`): the chunk to go on with. */
  readonly next?: number;
  /** Where `failure` can be mended: from where on to try again then, with what was known before it. */
  readonly again?: Carry;
}

/** Where a continued run goes on: the next chunk, and the sums so far. */
export interface Carry {
  readonly next: number;
  readonly sum: ApplyResult;
  /** What was done of that chunk; left out: nothing. */
  readonly done?: Done;
}

/** What the steps of one chunk came to, by name: one that is tried again after a fault repeats none of them. */
type Done = Readonly<Record<string, unknown>>;

/** What became of no lines. */
export const NOTHING: ApplyResult = {
  applied: 0,
  rejected: 0,
  uncertain: 0,
  unsent: 0,
  jobs: [],
  calls: NO_CALLS,
  stopped: null,
  failure: null,
};

/**
 * Sends a plan to the target as import jobs, wave by wave (design §5), each wave cut into chunks, each chunk one job.
 *
 * A job that is lost makes its lines uncertain and ends the sending: only the next snapshot of the target can tell what
 * is there, and nothing is sent twice blindly. A fault that somebody can mend ends it, too, but it says from where on to
 * try again.
 */
export async function apply(
  input: ApplyInput,
  carry: Carry = { next: 0, sum: NOTHING },
): Promise<ApplyResult> {
  const { account, host, work, pass, partitions, run, settings, targetSnapshot } = input;
  const rates = input.rates ?? {};
  const { light, transfer } = stepwise(proxies(settings), { step: (begin) => begin(), rates });
  const jobs = new HubJobs();
  const asked = { back: false };
  setHandler(handBack, () => {
    asked.back = true;
  });
  const chunks = input.waves.flatMap(({ wave, linesPerPartition }) =>
    cutChunks(wave, linesPerPartition, settings.chunkLines),
  );
  const total = chunks.reduce((sum, chunk) => sum + chunk.lines, 0);
  let sum = carry.sum;
  let at = carry.next;
  let done = carry.done ?? {};
  /** Whether a hub was asked to take lines of the chunk. */
  let isAsked = false;

  const once = async <T>(step: string, begin: () => Promise<T>): Promise<T> => {
    if (Object.hasOwn(done, step)) return done[step] as T;
    const value = await begin();
    done = { ...done, [step]: value };
    return value;
  };

  setHandler(applyState, () => ({
    wave: chunks[at]?.wave ?? '',
    chunk: Math.min(at + 1, chunks.length),
    chunks: chunks.length,
    sent: chunks.slice(0, at).reduce((lines, chunk) => lines + chunk.lines, 0),
    lines: total,
    rejected: sum.rejected,
  }));

  const add = (more: Partial<ApplyResult>): void => {
    sum = {
      applied: sum.applied + (more.applied ?? 0),
      rejected: sum.rejected + (more.rejected ?? 0),
      uncertain: sum.uncertain + (more.uncertain ?? 0),
      unsent: sum.unsent + (more.unsent ?? 0),
      jobs: [...sum.jobs, ...(more.jobs ?? [])],
      calls: addCalls(sum.calls, more.calls ?? NO_CALLS),
      managers: addSampled(sum.managers, more.managers),
      stopped: more.stopped ?? sum.stopped,
      failure: more.failure ?? sum.failure,
    };
  };

  const containerOf = (n: number): string => containersOf(run, SEQUENCE_BASE * (input.round + 1) + n)(1);

  const ahead = new Ahead((n, chunk) =>
    transfer.stageChunk({
      account,
      container: containerOf(n),
      work,
      pass,
      partitions,
      targetSnapshot,
      chunk,
    }),
  );

  /** When the chunk's turn began, by which a rate is kept. */
  let since = Date.now();

  const send = async (chunk: Chunk): Promise<void> => {
    const container = containerOf(at);
    const staged = await once('staged', () => ahead.staged(at, chunk));
    add({ rejected: staged.withheld });
    // What other waves need of each other is not known yet.
    const next = chunks[at + 1];
    if (next?.wave === chunk.wave && patched('ahead')) {
      ahead.begin(at + 1, next);
      // The next job does not wait for its lines: so much less time passes between the two.
      since = Date.now();
    }
    if (staged.lines === 0) return;
    const request: JobRequest = { host, account, type: 'import', container, lines: staged.lines, settings };
    isAsked = true;
    const result = await once('job', async () => {
      const ended = await jobs.run(request);
      counted(metricMeter, 'hubferry_chunks', 1, { hub: host, outcome: ended.outcome });
      return ended;
    });
    add({ jobs: [{ request: { host, type: 'import', lines: staged.lines }, result }] });
    if (result.outcome !== 'completed') {
      add({
        uncertain: staged.lines,
        stopped: `an import job ended ${result.outcome}: ${result.reason ?? 'no reason given'}`,
      });
      return;
    }
    const told = { account, container, work, pass, partitions, chunk };
    const errors = await once('log', () => transfer.readErrorLog(told));
    if (errors.known) add({ applied: staged.lines - errors.rejected, rejected: errors.rejected });
    else add({ uncertain: staged.lines });
    await light.deleteContainer({ account, container });
  };

  /** The wave's first chunk begins it, its last one ends it. */
  const sendInWave = async (chunk: Chunk): Promise<void> => {
    const lines = { account, host, work, pass, partitions, chunk };
    if (isByRest(chunk.wave)) {
      isAsked = true;
      const { visible, edgePoll } = settings;
      const { value, calls } = await transfer.sendByRest({
        ...lines,
        targetSnapshot,
        visible,
        poll: edgePoll,
      });
      add({ applied: chunk.lines - value.rejected, rejected: value.rejected, calls });
      return;
    }
    if (chunk.wave === MODULE_UPDATES) {
      const { value, calls } = await once('managers', () => transfer.readManagers(lines));
      add({ calls, managers: value });
      await send(chunk);
      if (sum.stopped !== null) return;
      const put = await transfer.restoreManagers(lines);
      add({ calls: put.calls, managers: put.value });
      return;
    }
    const isEdge = isEdgeWave(chunk.wave);
    if (isEdge && chunk.number === 1) {
      const edges = { account, host, work, pass, partitions, wave: chunk.wave };
      const { calls } = await once('edges', () => transfer.listEdges(edges));
      add({ calls });
    }
    await send(chunk);
    if (isEdge && chunks[at + 1]?.wave !== chunk.wave && sum.stopped === null) await readScopes(chunk.wave);
  };

  /** Tells the log and the meter what became of a chunk. */
  const tell = (chunk: Chunk, before: ApplyResult): void => {
    const became = {
      applied: sum.applied - before.applied,
      rejected: sum.rejected - before.rejected,
      uncertain: sum.uncertain - before.uncertain,
    };
    const { wave } = chunk;
    const place = { wave, chunk: at + 1, chunks: chunks.length, lines: chunk.lines };
    log.info('chunk sent', { run, hub: host, stage: 'apply', ...place, ...became });
    for (const [outcome, lines] of Object.entries(became))
      counted(metricMeter, 'hubferry_lines', lines, { hub: host, outcome });
  };

  let again: Carry | null = null;
  for (; at < chunks.length && sum.stopped === null && !asked.back; at++) {
    const chunk = chunks[at];
    if (chunk === undefined) break;
    const before = sum;
    since = Date.now();
    isAsked = false;
    setCurrentDetails(
      `**${chunk.wave}** · chunk ${at + 1} of ${chunks.length}, ${chunk.lines} lines to ${host}`,
    );
    try {
      await sendInWave(chunk);
      tell(chunk, before);
      done = {};
      if (at + 1 < chunks.length) await spare(chunk.lines);
    } catch (error) {
      const failure = isCancellation(error) ? null : failureOf(error);
      if (failure !== null && ERRORS[failure.code].parks && patched('park'))
        again = { next: at, sum: before, done };
      const stopped = failure?.message ?? 'the run was cancelled';
      const untold = chunk.lines - (countOf(sum) - countOf(before));
      add({ [again === null || isAsked ? 'uncertain' : 'unsent']: untold, stopped, failure });
      if (again === null) tell(chunk, before);
      at++;
      break;
    }
    if (workflowInfo().continueAsNewSuggested && at + 1 < chunks.length && !asked.back) {
      await ahead.end();
      await continueAsNew<typeof apply>(input, { next: at + 1, sum });
    }
  }
  await ahead.end();
  const left = chunks.slice(at);
  add({ unsent: left.reduce((lines, chunk) => lines + chunk.lines, 0) });
  if (again !== null) return { ...sum, again };
  return left.length > 0 && sum.stopped === null ? { ...sum, next: at } : sum;

  /** Waits until no more lines a second were sent than the hub is to be given. */
  async function spare(lines: number): Promise<void> {
    const rate = rates[host];
    if (rate === undefined) return;
    const rest = (lines / rate) * 1000 - (Date.now() - since);
    if (rest > 0) await condition(() => asked.back, Math.ceil(rest));
  }

  /** Reads the scopes that the target gave to a level's edge devices, until each is seen (design §5, wave 1). */
  async function readScopes(wave: string): Promise<void> {
    const until = Date.now() + settings.visible;
    for (;;) {
      const final = Date.now() >= until;
      const { value, calls } = await transfer.readEdgeScopes({
        account,
        host,
        work,
        pass,
        partitions,
        wave,
        targetSnapshot,
        final,
      });
      add({ calls });
      if (value.unseen === 0 || final) return;
      await sleep(settings.edgePoll, { summary: 'until new edge devices are seen' });
    }
  }
}

type Staged = Awaited<ReturnType<Proxies['transfer']['stageChunk']>>;

/** The lines of the next chunk, written while the job of the one before it goes on. */
class Ahead {
  readonly #stage: (n: number, chunk: Chunk) => Promise<Staged>;
  readonly #scope = new CancellationScope();
  #next: Promise<Staged> | null = null;

  constructor(stage: (n: number, chunk: Chunk) => Promise<Staged>) {
    this.#stage = stage;
  }

  begin(n: number, chunk: Chunk): void {
    this.#next = this.#scope.run(() => this.#stage(n, chunk));
    // What went wrong is told when it is its turn.
    this.#next.catch(() => undefined);
  }

  /** What was begun for this chunk, or else begins now. */
  staged(n: number, chunk: Chunk): Promise<Staged> {
    const next = this.#next;
    this.#next = null;
    return next ?? this.#stage(n, chunk);
  }

  /** Nothing is written any more after it. */
  async end(): Promise<void> {
    if (this.#next === null) return;
    this.#scope.cancel();
    await this.#next.catch(() => undefined);
  }
}

/** Lines whose fate is told. */
const countOf = ({ applied, rejected, uncertain }: ApplyResult): number => applied + rejected + uncertain;
