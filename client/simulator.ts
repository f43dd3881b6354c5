import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { HubferryError } from '../registry/errors.js';
import type { HubSettings, Simulator, SimulatorOptions } from '../simulator/index.js';
import { type Setting, type SettingName, settingTable } from '../simulator/settings.js';
import { print } from './print.js';
import { shellQuote } from './text.js';

interface Options extends Partial<HubSettings> {
  readonly hub?: string[];
  readonly port: number;
  readonly ownPorts: boolean;
  readonly adminPort?: number;
  readonly fleet?: { readonly hub: string; readonly records: number }[];
  readonly seed?: number;
  readonly identityStorage?: string;
  readonly caDir?: string;
  readonly keys?: string;
}

/** `hubferry simulator`: hubs on this machine until a signal ends them. */
export function simulatorCommand(): Command {
  const command = new Command('simulator')
    .summary('run simulated IoT hubs on this machine')
    .description('Runs simulated IoT hubs on this machine, for trying things and for tests.')
    .option('--hub <name>', 'a hub to serve; may be repeated', collect)
    .option('--port <port>', 'port of all hubs, as <name>.localhost:<port>; 0 = a free one', port, 8443)
    .option('--own-ports', 'also give each hub a free port of its own, as localhost:<port>', false)
    .option('--admin-port <port>', 'port of the admin API (counters, faults, dump); 0 = a free one', port)
    .option('--fleet <hub=records>', 'fill a hub with a generated fleet; may be repeated', collectFleet)
    .option('--seed <number>', 'the same keys and the same fleet at every start', count)
    .addOption(
      new Option(
        '--identity-storage <connection>',
        'storage account of identityBased jobs; better in the environment, for it holds a key',
      ).env('SIMULATOR_STORAGE'),
    )
    .option('--ca-dir <dir>', "folder of the certificate authority; default: in the user's data folder")
    .option('--keys <file>', 'write the connection strings to this file (mode 600) instead of showing them')
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  hubferry simulator --hub old --hub new --fleet old=5000 --seed 1\n' +
        '  hubferry simulator --hub a --port 0 --admin-port 0 --rate 200\n\n' +
        'docs/simulator.md says what is known about each setting.',
    )
    .action(run);
  for (const [name, setting] of settings()) command.addOption(settingOption(name, setting));
  return command;
}

/** The option of a setting, e.g. `--import-twin-part <how>`; commander turns it back into the setting's name. */
function settingOption(name: SettingName, setting: Setting): Option {
  const flag = `--${optionName(name)}`;
  if (setting.kind === 'number') {
    return new Option(`${flag} <${setting.unit}>`, `${setting.about} (default: ${setting.initial})`)
      .argParser(amount)
      .helpGroup(heading(setting));
  }
  if (setting.kind === 'flag') {
    return new Option(`${flag} <on|off>`, `${setting.about} (default: ${setting.initial ? 'on' : 'off'})`)
      .argParser(onOff)
      .helpGroup(heading(setting));
  }
  const [first, ...others] = setting.choices;
  return new Option(`${flag} <how>`, `${setting.about}: ${first} (default), ${others.join(', ')}`)
    .argParser((value) => oneOf(value, setting.choices))
    .helpGroup(heading(setting));
}

function heading({ group }: Setting): string {
  return `${group}, of every hub:`;
}

/** `importTwinPart` → `import-twin-part` */
export function optionName(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function settings(): [SettingName, Setting][] {
  return Object.entries(settingTable) as [SettingName, Setting][];
}

async function run(options: Options): Promise<void> {
  const { hub: hubs = [], fleet = [] } = options;
  const names = hubs.map((name) => name.toLowerCase());
  if (names.length === 0)
    throw new HubferryError('USAGE', '--hub is missing: name at least one hub to serve.');
  for (const { hub } of fleet) {
    if (!names.includes(hub)) throw new HubferryError('USAGE', `--fleet ${hub}=…: there is no --hub ${hub}.`);
  }
  // Loaded only here: no other command needs it.
  const { generateFleet, startSimulator } = await import('../simulator/index.js');
  const simulator = await startSimulator(simulatorOptions(hubs, options)).catch((error: unknown) => {
    throw explained(error);
  });
  for (const { hub, records } of fleet) {
    simulator.hub(hub).load(generateFleet({ devices: records, seed: options.seed ?? 1 }));
  }
  // Before the last line is printed: whoever waits for "ready" may send the signal at once.
  const signal = untilSignal();
  announce(simulator, options);
  await signal;
  await simulator.close();
}

function simulatorOptions(names: readonly string[], options: Options): SimulatorOptions {
  const { identityStorage, ownPorts, seed, caDir } = options;
  const given = Object.fromEntries(
    settings().flatMap(([name]) => (options[name] === undefined ? [] : [[name, options[name]]])),
  ) as Partial<HubSettings>;
  return {
    hubs: names.map((name) => ({
      name,
      ...given,
      ...(identityStorage === undefined ? {} : { identityStorage }),
      ...(ownPorts ? { ownPort: 0 } : {}),
    })),
    port: options.port,
    adminPort: options.adminPort ?? false,
    ...(seed === undefined ? {} : { seed }),
    ...(caDir === undefined ? {} : { caDir: path.resolve(caDir) }),
  };
}

/** What only the start shows: hub names that cannot be, and ports that somebody else has. */
function explained(error: unknown): unknown {
  if (error instanceof TypeError) {
    const option = error.message.startsWith('identityStorage') ? '--identity-storage' : '--hub';
    return new HubferryError('USAGE', `${option}: ${error.message}.`);
  }
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    const hint = 'Choose another with --port or --admin-port, or 0 for a free one.';
    return new HubferryError('USAGE', `The simulator cannot start: ${error.message}.`, hint);
  }
  return error;
}

function announce(simulator: Simulator, options: Options): void {
  const strings = simulator.hubs.map((hub) => ({
    name: hub.name,
    connection: hub.connectionString('iothubowner', options.ownPorts),
  }));
  const lines: string[] = [];
  if (options.keys === undefined) {
    for (const { name, connection } of strings) lines.push(`hub ${name}: ${connection}`);
  } else {
    const text = strings.map(({ name, connection }) => `${name}: ${JSON.stringify(connection)}\n`).join('');
    writeFileSync(options.keys, text, { mode: 0o600 });
    chmodSync(options.keys, 0o600); // it may have been there
    for (const hub of simulator.hubs) lines.push(`hub ${hub.name}: ${hub.hostName}`);
    lines.push(`connection strings: ${options.keys}`);
  }
  if (simulator.adminPort !== undefined) lines.push(`admin: http://127.0.0.1:${simulator.adminPort}`);
  lines.push(
    `CA: ${simulator.caFile}`,
    `export NODE_EXTRA_CA_CERTS=${shellQuote(simulator.caFile)}`,
    'ready',
  );
  print(lines.join('\n'));
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function collectFleet(value: string, before: Options['fleet'] = []): Options['fleet'] {
  const match = /^([A-Za-z0-9-]+)=(\d+)$/.exec(value);
  if (match?.[1] === undefined) throw new InvalidArgumentError('It must be <hub>=<number of records>.');
  return [...before, { hub: match[1].toLowerCase(), records: Number(match[2]) }];
}

function port(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 65_535)
    throw new InvalidArgumentError('It must be a port, 0 to 65535.');
  return number;
}

function count(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number)) {
    throw new InvalidArgumentError('It must be a whole number from 0 up.');
  }
  return number;
}

function amount(value: string): number {
  const number = Number(value);
  if (/^\d+(?:\.\d+)?$/.test(value) && number < 1e15) return number;
  throw new InvalidArgumentError('It must be a number from 0 up.');
}

function onOff(value: string): boolean {
  if (value !== 'on' && value !== 'off') throw new InvalidArgumentError('It must be on or off.');
  return value === 'on';
}

function oneOf(value: string, choices: readonly string[]): string {
  if (!choices.includes(value)) throw new InvalidArgumentError(`It must be one of ${choices.join(', ')}.`);
  return value;
}
