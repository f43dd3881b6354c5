import { Command } from 'commander';
import { approve } from '../workflows/messages.js';
import { refuseExisting } from './new-keys.js';
import { type RunOptions, withRunOptions } from './options.js';
import { checkPlan } from './plans.js';
import { attend } from './run.js';
import { checkRun } from './runs.js';
import { configOf } from './session.js';
import { steer } from './steer.js';

interface ApproveOptions extends RunOptions {
  readonly keysOut?: string;
}

export function approveCommand(): Command {
  return withRunOptions(
    new Command('approve')
      .summary('let a run with --approve carry out its plan')
      .description(
        'Approves the plan of a parked run by its hash, and follows the run to its end. The target is ' +
          'exported and planned again first: where the plan is another one by then, nothing is written.',
      )
      .argument('<run>', 'RUN, as migrate and list print it')
      .argument('<plan>', '8 or more digits of the hash of its plan'),
  )
    .option('--keys-out <file>', 'save new keys here (default: hubferry-keys-RUN.jsonl)')
    .addHelpText('after', '\nExample:\n  hubferry approve 20260801-120000-ab12cd 9f86d081884c7d65')
    .action(async (run: string, plan: string, options: ApproveOptions) => {
      checkRun(run);
      const hash = checkPlan(plan);
      const config = configOf(options);
      refuseExisting(options.keysOut);
      await steer(config, run, async ({ ask, session, started, progress }) => {
        await ask(approve, [hash]);
        await attend(session, started, progress, options, { keysOut: options.keysOut });
      });
    });
}
