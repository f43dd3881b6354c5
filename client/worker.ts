import { Command, InvalidArgumentError, Option } from 'commander';
import { METRICS_PLACE_WORDS, metricsAddress } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { VERSIONINGS, type Versioning } from '../worker/versioning.js';
import { fail } from './fail.js';
import { type FileOptions, withConfigOption } from './options.js';
import { configOf } from './session.js';

interface Flags extends FileOptions {
  readonly address?: string;
  readonly namespace?: string;
  readonly queue?: string;
  readonly slots?: number;
  readonly grace?: number;
  readonly sticky?: number;
  readonly wait?: number;
  readonly metricsPort?: string;
  readonly build?: string;
  readonly versioning?: Versioning;
}

const EXAMPLES = `
Examples:
  hubferry worker
  hubferry worker --slots 4
  hubferry worker --config prod.yaml --address temporal:7233`;

export function workerCommand(): Command {
  return withConfigOption(
    new Command('worker')
      .summary('run a worker for a Temporal server')
      .description(
        'Runs a worker for a Temporal server, and prints one line, "worker ready …", when it takes tasks. ' +
          'SIGTERM and SIGINT let running activities end (--grace); a second signal ends it at once. Any number ' +
          'of workers may run, on any machines; each looks up credentials by host name in its own configuration.',
      ),
  )
    .option('--json', 'print the ready line as a JSON object; what goes wrong stands on stderr only', false)
    .option('--address <host:port>', 'Temporal server (default: temporal.address of the configuration)')
    .option('--namespace <name>', 'Temporal namespace (default: temporal.namespace, or `default`)')
    .option('--queue <name>', 'task queue, for tests: runs are always put on the default one')
    .option('--slots <n>', 'heavy activities at a time (default: 2 to 4, by processors)', positive)
    .option('--grace <seconds>', 'how long running activities may go on after SIGTERM (default: 30)', seconds)
    .option(
      '--sticky <seconds>',
      'how soon the server gives a dead worker’s run to another (default: 10)',
      seconds,
    )
    .option('--wait <seconds>', 'how long to wait for the server (default: 120)', seconds)
    .option(
      '--metrics-port <[address:]port>',
      'where metrics are served (default: settings.metricsPort, or nowhere)',
      metricsPlace,
    )
    .option('--build <id>', 'what this build is called (default: its version and a hash of its code)')
    .addOption(
      new Option(
        '--versioning <how>',
        'runs stay with their build, or go over to the current one; see docs/upgrades.md (default: any worker takes any run)',
      ).choices(VERSIONINGS),
    )
    .addHelpText('after', EXAMPLES)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const config = configOf({ ...flags, set: [] });
  const address = flags.address ?? config.temporal?.address;
  if (address === undefined) {
    throw new HubferryError(
      'USAGE',
      `${config.path} names no Temporal server, and there is no --address.`,
      'Add `temporal: { address: host:7233 }`, or use --address. Without a server `hubferry up` starts its own.',
    );
  }
  // Loaded only here: the native part of Temporal's SDK is of no use to the other commands.
  const { runWorkerProcess } = await import('../worker/worker-process.js');
  await runWorkerProcess({
    config,
    address,
    namespace: flags.namespace ?? config.temporal?.namespace ?? 'default',
    ...(config.temporal?.access === undefined ? {} : { access: config.temporal.access }),
    json: flags.json,
    ...(flags.wait === undefined ? {} : { wait: flags.wait }),
    ...(flags.metricsPort === undefined ? {} : { metricsAddress: flags.metricsPort }),
    tuning: {
      ...(flags.queue === undefined ? {} : { taskQueue: flags.queue }),
      ...(flags.slots === undefined ? {} : { transferSlots: flags.slots }),
      ...(flags.grace === undefined ? {} : { shutdownGrace: flags.grace }),
      ...(flags.sticky === undefined ? {} : { stickyTimeout: flags.sticky }),
      ...(flags.build === undefined ? {} : { build: flags.build }),
      ...(flags.versioning === undefined ? {} : { versioning: flags.versioning }),
    },
  }).catch((error: unknown) => fail(error, { answered: true }));
  // Native handles may outlive the worker.
  process.exit();
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number of at least 1');
  return value;
}

/** A port alone is one of loopback. */
function metricsPlace(text: string): string {
  const { success, data } = metricsAddress.safeParse(text);
  if (success) return data;
  throw new InvalidArgumentError(METRICS_PLACE_WORDS);
}

/** Seconds on the command line, milliseconds within. */
function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('a number of seconds');
  return value * 1_000;
}
