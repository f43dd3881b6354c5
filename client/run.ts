import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { PlanSample } from '../registry/plan-sample.js';
import { emptyReport, type RunInput, type RunReport } from '../workflows/messages.js';
import { confirm } from './confirm.js';
import { fail } from './fail.js';
import { follow } from './follow.js';
import { offInterrupt, onInterrupt } from './interrupt.js';
import { takeNewKeys } from './new-keys.js';
import type { RunOptions } from './options.js';
import { planSamples } from './plans.js';
import { exitCodeOf, print, printJson, reportText, say } from './print.js';
import { Progress } from './progress.js';
import { newRunId, noteBegun, type StartedRun, startRun } from './runs.js';
import { openSession, type Session } from './session.js';
import { shellQuote, widthOf } from './text.js';

/** What a verb starts: the workflow, its id and its input, built once the session is open. */
export interface Start<T extends RunInput> {
  readonly workflow: string;
  readonly workflowId: (run: string) => string;
  readonly input: (base: RunInput) => T;
  readonly summary: string;
  /** How the run's report begins. */
  readonly report: Pick<RunReport, 'workflow' | 'source' | 'target'>;
  /** The file for keys that the run makes. */
  readonly keysOut?: string | undefined;
  /** What has to lie in storage before the run starts: putting it there, and taking it away where it never started. */
  readonly luggage?: Luggage | undefined;
}

export interface Luggage {
  readonly put: (run: string) => Promise<void>;
  readonly drop: (run: string) => Promise<void>;
}

/** What becomes of a verb's command line once it is read and found right. */
export interface Then {
  /** Asks before what cannot be taken back. */
  readonly confirm: typeof confirm;
  readonly conduct: (config: Config, options: RunOptions, start: Start<RunInput>) => Promise<void>;
}

/** It is carried out at once. */
export const AT_ONCE: Then = { confirm, conduct };

/**
 * Starts a run (or attaches to the same one), follows it to its end and prints it. Ctrl-C leaves the run going and says
 * how to come back.
 */
export async function conduct<T extends RunInput>(
  config: Config,
  options: RunOptions,
  start: Start<T>,
): Promise<void> {
  const progress = await Progress.open();
  const session = await openSession(config, (line) => progress.say(line));
  try {
    const run = newRunId();
    const { account, settings, server } = session;
    const base: RunInput = { run, account, settings, server };
    const { workflow, summary } = start;
    if (start.luggage) await bring(start.luggage, run);
    onInterrupt(() => fail(maybeStarted(run, options)));
    const started = await startRun(session, {
      workflow,
      workflowId: start.workflowId(run),
      input: start.input(base),
      summary,
      report: emptyReport({ run, server, ...start.report }),
    }).catch(async (error: unknown) => {
      // Where nobody knows whether it started, it may need it.
      if (error instanceof HubferryError) await start.luggage?.drop(run);
      throw error;
    });
    if (started.attached) await start.luggage?.drop(run);
    const noted = started.attached ? undefined : noteBegun(config, started.begun);
    await attend(session, started, progress, options, { noted, keysOut: start.keysOut });
  } finally {
    progress.end();
    await session.close();
  }
}

/** Puts into storage what a run needs. It may hold keys: nothing of it stays where no run will take it away. */
async function bring({ put, drop }: Luggage, run: string): Promise<void> {
  const interrupted = new HubferryError('INTERRUPTED', 'Interrupted; no run was started.');
  onInterrupt(
    () => fail(interrupted),
    () => drop(run),
  );
  try {
    await put(run);
  } catch (error) {
    await drop(run).catch(() => undefined);
    throw error;
  }
}

/** Follows a run to its end, or to where it waits for somebody, and prints it. Ctrl-C leaves it going. */
export async function attend(
  session: Session,
  started: StartedRun,
  progress: Progress,
  options: RunOptions,
  { noted, keysOut }: { readonly noted?: Promise<void> | undefined; readonly keysOut?: string | undefined },
): Promise<void> {
  const { begun } = started;
  progress.say(`run ${begun.run}${started.attached ? ' goes on: attached to it' : ''}`);
  const comeBack = statusCommand(begun.run, options);
  onInterrupt(() => {
    progress.end();
    say(`\nThe run goes on. Come back with: ${comeBack}`);
    if (options.json) printReport(begun, true);
  });
  if (options.detach) {
    await noted;
    offInterrupt();
    if (options.json) printReport(begun, true);
    else print(`The run goes on by itself. Look at it with: ${comeBack}`);
    return;
  }
  const report = await follow(session, started, (look) => progress.show(look));
  offInterrupt();
  progress.end(report);
  const settled = await takeNewKeys(session.config, report, keysOut);
  const samples = await planSamples(session.config, report);
  printReport(report, options.json, samples);
  process.exitCode = settled ? exitCodeOf(report) : 1;
}

/** @param samples changes of its plan, where they are to be seen. */
export function printReport(report: RunReport, json: boolean, samples: readonly PlanSample[] = []): void {
  if (json) printJson(samples.length === 0 ? report : { ...report, samples });
  else print(reportText(report, Math.min(80, widthOf(process.stdout)), samples));
}

/** Ctrl-C while the server was asked to start it: the answer is not known. */
function maybeStarted(run: string, options: RunOptions): HubferryError {
  const hint = `Look with: ${statusCommand(run, options)}`;
  return new HubferryError('INTERRUPTED', `Interrupted; run ${run} may have been started.`, hint);
}

const statusCommand = (run: string, { config }: RunOptions): string =>
  `hubferry status ${run}${config ? ` --config ${shellQuote(config)}` : ''}`;
