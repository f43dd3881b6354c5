import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HubOptions, type Simulator, startSimulator } from '../simulator/index.js';
import { type DevServer, startDevServer } from '../worker/dev-server.js';
import { entryCommand } from '../worker/entry.js';
import { findServer } from '../worker/server-binary.js';
import { type Azurite, startAzurite } from './azurite.js';

/** Two (or more) simulated hubs, blob storage and a Temporal server on loopback, with a configuration for them. */
export interface Stand {
  readonly folder: string;
  readonly configFile: string;
  /** Environment for a CLI or worker process of this stand. */
  readonly env: NodeJS.ProcessEnv;
  readonly simulator: Simulator;
  readonly azurite: Azurite;
  /** The Temporal server that runs now. */
  readonly temporal: DevServer;
  /** Kills the Temporal server with SIGKILL, and starts another on its database file and port. */
  restartTemporal(): Promise<void>;
  /** A `hubferry worker` process; resolves when it takes tasks. */
  worker(args?: readonly string[]): Promise<ChildProcess>;
  /** Any `hubferry` command as a child process. */
  cli(args: readonly string[], options?: { onErrorOutput?: (text: string) => void }): CliRun;
  /** All that the stand's `hubferry` processes wrote so far, to stdout and stderr. */
  output(): string;
  /** Ends every process that the stand started, and removes its folder. */
  close(): Promise<void>;
}

export interface CliRun {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export interface StandOptions {
  readonly hubs: readonly HubOptions[];
  readonly seed: number;
  /** Text of `settings:`, in YAML's flow style. */
  readonly settings: string;
  readonly say?: (line: string) => void;
  /** What to run as `hubferry`: by default the CLI beside this file, compiled or under tsx. */
  readonly command?: readonly [string, ...string[]];
  /** Added to the environment of all processes. */
  readonly env?: NodeJS.ProcessEnv;
  /** Puts something between everybody and the blob service: given its connection string, returns the one to use. */
  readonly storageThrough?: (connectionString: string) => Promise<string>;
}

/** What a stand has started so far. */
interface Running {
  readonly children: Set<ChildProcess>;
  azurite?: Azurite;
  simulator?: Simulator;
  temporal?: DevServer;
}

/** Starts everything on free loopback ports; if a part does not start, the others are stopped again. */
export async function openStand(options: StandOptions): Promise<Stand> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-stand-'));
  const running: Running = { children: new Set() };
  try {
    return await fill(folder, running, options);
  } catch (error) {
    await clear(folder, running);
    throw error;
  }
}

async function clear(folder: string, running: Running): Promise<void> {
  const { children, azurite, simulator, temporal } = running;
  const ends = [...children].map((child) => once(child, 'exit'));
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(ends);
  await Promise.all([temporal?.stop(), azurite?.stop(), simulator?.close()]);
  rmSync(folder, { recursive: true, force: true });
}

async function fill(folder: string, running: Running, options: StandOptions): Promise<Stand> {
  const say = options.say ?? (() => undefined);
  const startTemporal = async (port?: number): Promise<DevServer> =>
    startDevServer({
      binary: (await findServer({ log: say })).path,
      dbFile: join(folder, 'temporal.db'),
      logFile: join(folder, 'temporal.log'),
      fastTimers: true,
      ...(port === undefined ? {} : { port }),
    });
  const starting = [
    startAzurite().then((started) => (running.azurite = started)),
    startSimulator({ hubs: [...options.hubs], seed: options.seed, caDir: join(folder, 'ca') }).then(
      (started) => (running.simulator = started),
    ),
    startTemporal().then((started) => (running.temporal = started)),
  ] as const;
  // After a failure, too, every part is waited for: one that comes up later would not be stopped.
  await Promise.allSettled(starting);
  const [azurite, simulator, server] = await Promise.all(starting);
  let temporal = server;
  const storage = (await options.storageThrough?.(azurite.connectionString)) ?? azurite.connectionString;
  const configFile = join(folder, 'hubferry.yaml');
  const hubs = options.hubs.map(({ name }) => {
    const connection = JSON.stringify(simulator.hub(name).connectionString());
    return `  ${name}: { connectionString: ${connection} }`;
  });
  writeFileSync(
    configFile,
    [
      'hubs:',
      ...hubs,
      `storage: { connectionString: ${JSON.stringify(storage)} }`,
      `temporal: { address: "${temporal.address}", namespace: default }`,
      `settings: ${options.settings}`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: simulator.caFile,
    HUBFERRY_HOME: join(folder, 'home'),
    HUBFERRY_LOG_LEVEL: 'warn',
    ...options.env,
  };
  const { children } = running;
  const output: Buffer[] = [];
  const [command, ...before] = options.command ?? entryCommand('../client/main');
  const start = (args: readonly string[]): ChildProcess => {
    const child = spawn(command, [...before, ...args], { env, cwd: folder });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => output.push(data));
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };

  return {
    folder,
    configFile,
    env,
    simulator,
    azurite,
    get temporal() {
      return temporal;
    },
    restartTemporal: async () => {
      temporal.kill();
      await temporal.exited;
      temporal = await startTemporal(temporal.port);
      running.temporal = temporal;
    },
    output: () => Buffer.concat(output).toString(),
    worker: async (args = []) => {
      const child = start(['worker', '--config', configFile, ...args]);
      let said = '';
      child.stderr?.on('data', (data: Buffer) => {
        said += data.toString();
      });
      await new Promise<void>((resolve, reject) => {
        child.stdout?.on('data', (data: Buffer) => {
          if (data.toString().includes('worker ready')) resolve();
        });
        child.once('exit', () => reject(new Error(`The worker ended before it was ready: ${said}`)));
      });
      return child;
    },
    cli: (args, { onErrorOutput } = {}) => {
      const child = start(args);
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout?.on('data', (data: Buffer) => out.push(data));
      child.stderr?.on('data', (data: Buffer) => {
        err.push(data);
        onErrorOutput?.(data.toString());
      });
      const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
        child.once('close', (code) =>
          resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
        ),
      );
      return { child, ended };
    },
    close: () => clear(folder, running),
  };
}
