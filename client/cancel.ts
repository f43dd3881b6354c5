import { Command } from 'commander';
import { cancel } from '../workflows/messages.js';
import { type RunOptions, withRunOptions } from './options.js';
import { attend } from './run.js';
import { configOf } from './session.js';
import { steer } from './steer.js';

export function cancelCommand(): Command {
  return withRunOptions(
    new Command('cancel')
      .summary('end a run early')
      .description(
        'Ends a run: before its first write at once; while it writes, after the chunk that is being sent, so ' +
          'that all counts of its report are exact. With --now the hub’s job is cancelled, too; what that ' +
          'chunk did is uncertain until the same command, or `verify`, looks at the target again. The exit ' +
          'code is 4 when the run ended so.',
      )
      .argument('<run>', 'RUN, as migrate and list print it'),
  )
    .option('--now', 'do not wait for the chunk that is being sent: cancel the hub’s job', false)
    .addHelpText('after', '\nExample:\n  hubferry cancel 20260801-120000-ab12cd --now')
    .action(async (run: string, options: RunOptions & { readonly now: boolean }) => {
      await steer(configOf(options), run, async ({ ask, session, started, progress }) => {
        const effect = await ask(cancel, [{ now: options.now }]);
        if (effect !== 'at once') progress.say('It ends after the step under way.');
        await attend(session, started, progress, options, {});
      });
    });
}
