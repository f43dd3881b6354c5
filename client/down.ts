import { Command } from 'commander';
import { HubferryError } from '../registry/errors.js';
import { stopEmbedded } from '../worker/embedded.js';
import { fail } from './fail.js';
import { onInterrupt } from './interrupt.js';
import { print, printJson, say } from './print.js';

const HELP = `
Examples:
  hubferry down
  hubferry down --json`;

interface Options {
  readonly json: boolean;
}

export function downCommand(): Command {
  return new Command('down')
    .summary('stop the embedded Temporal server and worker')
    .description(
      'Stops the embedded Temporal server and worker. What runs is found in $HUBFERRY_HOME (default: your data ' +
        'folder), so no configuration is needed. Open runs are not lost: they go on when a command starts the ' +
        'server again.',
    )
    .option('-c, --config <file>', 'not needed; taken because other commands have it')
    .option('--json', 'print one JSON object at the end, and nothing else, on stdout', false)
    .addHelpText('after', HELP)
    .action(down);
}

async function down(options: Options): Promise<void> {
  onInterrupt(() => fail(new HubferryError('INTERRUPTED', 'Interrupted; the server ends by itself.')));
  const { outcome, openRuns } = await stopEmbedded({ log: say });
  const stopped = outcome === 'stopped';
  if (options.json) printJson({ outcome: 'done', stopped, openRuns, error: null });
  else print(sentence(stopped, openRuns));
}

function sentence(stopped: boolean, openRuns: number | null): string {
  if (!stopped) return 'The embedded server is not running.';
  if (!openRuns) return 'Stopped.';
  return `Stopped. ${openRuns} open run${openRuns === 1 ? '' : 's'} will go on at the next start.`;
}
