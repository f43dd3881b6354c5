import { Command } from 'commander';
import { HubferryError } from '../registry/errors.js';
import { embeddedStatus, ensureEmbedded, serveUi } from '../worker/embedded.js';
import { fail } from './fail.js';
import { onInterrupt } from './interrupt.js';
import { type FileOptions, withFileOptions } from './options.js';
import { print, printJson, say } from './print.js';
import { configOf } from './session.js';

const HELP = `
Examples:
  hubferry up
  hubferry up --ui
  hubferry up --config staging.yaml --json
  HUBFERRY_HOME=/srv/hubferry hubferry up`;

export function upCommand(): Command {
  return withFileOptions(
    new Command('up')
      .summary('start the embedded Temporal server and worker')
      .description(
        'Starts the embedded Temporal server and worker; other commands do so by themselves. They end by ' +
          '`hubferry down`, or after ten minutes without use or open run. Files and logs are under ' +
          '$HUBFERRY_HOME (default: your data folder).',
      ),
  )
    .option('--ui', 'serve Temporal’s web UI on loopback, too, until `hubferry down`', false)
    .addHelpText('after', HELP)
    .action(up);
}

async function up(options: FileOptions & { readonly ui: boolean }): Promise<void> {
  const config = configOf({ ...options, set: [] });
  if (config.temporal !== null) {
    throw new HubferryError(
      'USAGE',
      `${config.path} names a Temporal server, ${config.temporal.address}: there is nothing to start here.`,
      'Start workers for it with `hubferry worker`, or leave `temporal:` out for the embedded server.',
    );
  }
  onInterrupt(() =>
    fail(
      new HubferryError(
        'INTERRUPTED',
        'Interrupted; the server may start all the same.',
        '`hubferry down` ends it.',
      ),
    ),
  );
  await ensureEmbedded(config, { log: say });
  if (options.ui) await serveUi();
  const status = await embeddedStatus();
  if (status === null) throw new HubferryError('EMBEDDED_FAILED', 'The embedded server ended right away.');
  if (options.json) printJson({ outcome: 'done', ...status, error: null });
  else {
    print(
      `Up at ${status.address} with ${status.configPath} (supervisor ${status.pid}, files in ${status.home}).`,
    );
    if (status.ui !== null) print(`Web UI: ${status.ui}`);
  }
}
