import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import { pause, resume } from '../workflows/messages.js';
import { refuseExisting } from './new-keys.js';
import { type CommonOptions, type RunOptions, withCommonOptions, withRunOptions } from './options.js';
import { attend, printReport } from './run.js';
import { isOpen } from './runs.js';
import { configOf } from './session.js';
import { steer } from './steer.js';

/** How often a run that is to rest is looked at, ms. */
const LOOK_EVERY = 500;

export function pauseCommand(): Command {
  return withCommonOptions(
    new Command('pause')
      .summary('let a run rest after the step under way')
      .description(
        'Lets a run rest: the step under way (a chunk that is being sent, a job, an activity) is done to its ' +
          'end, and no other begins until `resume`. It returns as soon as the run was told so, or with --wait ' +
          'when the run rests.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--wait', 'return when the run rests', false)
    .addHelpText('after', '\nExample:\n  hubferry pause 20260801-120000-ab12cd --wait')
    .action(async (run: string, options: CommonOptions & { readonly wait: boolean }) => {
      await steer(configOf(options), run, async ({ ask, report, progress }) => {
        const effect = await ask(pause, []);
        if (effect !== 'at once') progress.say('It rests after the step under way.');
        let now = await report();
        while (options.wait && isOpen(now) && now.outcome !== 'parked') {
          await wait(LOOK_EVERY);
          now = await report();
        }
        printReport(now, options.json);
      });
    });
}

export function resumeCommand(): Command {
  return withRunOptions(
    new Command('resume')
      .summary('let a run that rests go on')
      .description('Lets a run go on that was paused, or rests by itself, and follows it to its end.')
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText('after', '\nExample:\n  hubferry resume 20260801-120000-ab12cd')
    .action(async (run: string, options: RunOptions & { readonly keysOut?: string }) => {
      refuseExisting(options.keysOut);
      await steer(configOf(options), run, async ({ ask, session, started, progress }) => {
        await ask(resume, []);
        await attend(session, started, progress, options, { keysOut: options.keysOut });
      });
    });
}
