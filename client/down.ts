import { Command } from 'commander';
import { stopEmbedded } from '../worker/embedded.js';

const HELP = `
What runs is found in $HUBFERRY_HOME (default: your data folder), so no
configuration is needed. Open runs are not lost: they go on when a command
starts the server again.

Examples:
  $ hubferry down
  $ hubferry down --json`;

interface Options {
  readonly json: boolean;
}

/** `hubferry down`: ends the embedded server and worker. */
export function downCommand(): Command {
  return new Command('down')
    .description('stop the embedded Temporal server and worker')
    .option('-c, --config <file>', 'not needed; taken because other commands have it')
    .option('--json', 'print one JSON object at the end, and nothing else, on stdout', false)
    .addHelpText('after', HELP)
    .action(down);
}

async function down(options: Options): Promise<void> {
  const result = await stopEmbedded({ log: (line) => void process.stderr.write(`${line}\n`) });
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${sentence(result.outcome, result.openRuns)}\n`);
}

function sentence(outcome: 'stopped' | 'not running', openRuns: number | null): string {
  if (outcome === 'not running') return 'The embedded server is not running.';
  if (!openRuns) return 'Stopped.';
  return `Stopped. ${openRuns} open run${openRuns === 1 ? '' : 's'} will go on at the next start.`;
}
