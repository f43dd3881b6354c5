import { Command } from 'commander';
import { loadConfig } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { embeddedStatus, ensureEmbedded } from '../worker/embedded.js';
import { type CommonOptions, withCommonOptions } from './options.js';

const HELP = `
Other commands start it by themselves; \`up\` is for starting it beforehand. It
ends by \`hubferry down\`, or after ten minutes without use or open run. Files and
logs are under $HUBFERRY_HOME (default: your data folder).

Examples:
  $ hubferry up
  $ hubferry up --config staging.yaml --json
  $ HUBFERRY_HOME=/srv/hubferry hubferry up`;

/** `hubferry up`: starts the embedded server and worker. */
export function upCommand(): Command {
  return withCommonOptions(new Command('up'))
    .description('start the embedded Temporal server and worker')
    .addHelpText('after', HELP)
    .action(up);
}

async function up(options: CommonOptions): Promise<void> {
  const config = loadConfig({ ...(options.config ? { path: options.config } : {}), set: options.set });
  if (config.temporal !== null) {
    throw new HubferryError(
      'USAGE',
      `${config.path} names a Temporal server, ${config.temporal.address}: there is nothing to start here.`,
      'Start workers for it with `hubferry worker`, or leave `temporal:` out for the embedded server.',
    );
  }
  await ensureEmbedded(config, { log: (line) => void process.stderr.write(`${line}\n`) });
  const status = await embeddedStatus();
  if (status === null) throw new HubferryError('EMBEDDED_FAILED', 'The embedded server ended right away.');
  if (options.json) process.stdout.write(`${JSON.stringify(status)}\n`);
  else {
    process.stdout.write(
      `Up at ${status.address} with ${status.configPath} (supervisor ${status.pid}, files in ${status.home}).\n`,
    );
  }
}
