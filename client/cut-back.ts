import { Command } from 'commander';
import { cutBack } from '../workflows/messages.js';
import { type RunOptions, withRunOptions } from './options.js';
import { attend } from './run.js';
import { configOf } from './session.js';
import { steer } from './steer.js';

export function cutBackCommand(): Command {
  return withRunOptions(
    new Command('cut-back')
      .summary('at a cut-over, let the source be used again')
      .description(
        'Enables again the devices of the source that a run with --follow --disable-source has disabled, as far ' +
          'as nobody else has changed them since, and ends the run. The target stays as it is. The same happens ' +
          'when nobody approves the cut-over in time, and when the run fails or is cancelled.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .addHelpText('after', '\nExample:\n  hubferry cut-back 20260801-120000-ab12cd')
    .action(async (run: string, options: RunOptions) => {
      await steer(configOf(options), run, async ({ ask, session, started, progress }) => {
        await ask(cutBack, []);
        await attend(session, started, progress, options, {});
      });
    });
}
