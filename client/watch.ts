import { Command } from 'commander';
import { refuseExisting } from './new-keys.js';
import { type CommonOptions, withCommonOptions } from './options.js';
import { exitCodeOf, say } from './print.js';
import { Progress } from './progress.js';
import { attend, printReport } from './run.js';
import { checkRun, isOpen, openHandle, readReport } from './runs.js';
import { configOf, openSession } from './session.js';
import { ended } from './status.js';

interface WatchOptions extends CommonOptions {
  readonly keysOut?: string;
}

export function watchCommand(): Command {
  return withCommonOptions(
    new Command('watch')
      .summary('follow a run to its end')
      .description(
        'Follows a run to its end, or to where it rests, from any machine, and prints it as the command that ' +
          'started it would have: with the same exit code. Ctrl-C leaves the run going.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText('after', '\nExample:\n  hubferry watch 20260801-120000-ab12cd')
    .action(async (run: string, options: WatchOptions) => {
      checkRun(run);
      const config = configOf(options);
      refuseExisting(options.keysOut);
      const begun = await readReport(config, run);
      if (!isOpen(begun)) {
        printReport(begun, options.json);
        process.exitCode = exitCodeOf(begun);
        return;
      }
      const progress = await Progress.open();
      const session = await openSession(config, (line) => progress.say(line));
      try {
        const handle = await openHandle(session.client, begun);
        if (handle === null) {
          const { report, note } = ended(session, await readReport(config, run));
          if (note) say(note);
          printReport(report, options.json);
          process.exitCode = exitCodeOf(report);
          return;
        }
        const { workflowId, runId } = await handle.describe();
        const started = { begun, workflowId, runId, attached: true };
        await attend(session, started, progress, { ...options, detach: false }, { keysOut: options.keysOut });
      } finally {
        progress.end();
        await session.close();
      }
    });
}
