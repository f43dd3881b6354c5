import type { Config } from '../config/index.js';
import { emptyReport, type RunInput, type RunReport } from '../workflows/messages.js';
import { follow } from './follow.js';
import type { RunOptions } from './options.js';
import { exitCodeOf, reportText } from './print.js';
import { Progress } from './progress.js';
import { newRunId, noteBegun, startRun } from './runs.js';
import { openSession } from './session.js';
import { widthOf } from './text.js';

/** What a verb starts: the workflow, its id and its input, built once the session is open. */
export interface Start<T extends RunInput> {
  readonly workflow: string;
  readonly workflowId: (run: string) => string;
  readonly input: (base: RunInput) => T;
  readonly summary: string;
  /** How the run's report begins. */
  readonly report: Pick<RunReport, 'workflow' | 'source' | 'target'>;
}

/**
 * Starts a run (or attaches to the same one), follows it to its end and prints it. Ctrl-C leaves the run going and says
 * how to come back.
 */
export async function conduct<T extends RunInput>(
  config: Config,
  options: RunOptions,
  start: Start<T>,
): Promise<void> {
  const progress = new Progress();
  const session = await openSession(config, (line) => progress.say(line));
  try {
    const run = newRunId();
    const base = { run, account: session.account, settings: session.settings };
    const { workflow, summary } = start;
    const started = await startRun(session, {
      workflow,
      workflowId: start.workflowId(run),
      input: start.input(base),
      summary,
      report: emptyReport({ run, ...start.report }),
    });
    const { begun } = started;
    progress.say(`run ${begun.run}${started.attached ? ' goes on: attached to it' : ''}`);
    const comeBack = `hubferry status ${begun.run}${options.config ? ` --config ${options.config}` : ''}`;
    const noted = started.attached ? undefined : noteBegun(config, begun);
    if (options.detach) {
      await noted;
      if (options.json) printReport(begun, true);
      else process.stdout.write(`The run goes on by itself. Look at it with: ${comeBack}\n`);
      return;
    }
    const leave = (): void => {
      progress.end();
      process.stderr.write(`\nThe run goes on. Come back with: ${comeBack}\n`);
      if (options.json) printReport(begun, true);
      process.exit(130);
    };
    process.once('SIGINT', leave);
    const report = await follow(session, started, (look) => progress.show(look));
    process.off('SIGINT', leave);
    progress.end(report);
    printReport(report, options.json);
    process.exitCode = exitCodeOf(report);
  } finally {
    progress.end();
    await session.close();
  }
}

export function printReport(report: RunReport, json: boolean): void {
  const text = json
    ? JSON.stringify(report, null, 2)
    : reportText(report, Math.min(80, widthOf(process.stdout)));
  process.stdout.write(`${text}\n`);
}
