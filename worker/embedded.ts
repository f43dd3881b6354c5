import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { childExit } from './child-exit.js';
import { connectClient } from './connection.js';
import { DEV_NAMESPACE, wantsFastTimers } from './dev-server.js';
import { entryCommand } from './entry.js';
import { errorOf } from './fault.js';
import { type Home, homeOf, lastUse, noteUse, prepareHome } from './home.js';
import { isHeld, type Lock, readLock } from './lock.js';
import { lastLine, logSize, withLog } from './log-file.js';
import { describeWork, isIdle, type OpenWork, openWork } from './open-work.js';
import { isPortOpen } from './port.js';
import { endProcess, findByArguments, isAlive, type ProcessId, send } from './processes.js';
import { findServer } from './server-binary.js';
import { END_IF_IDLE, type SupervisorSpec } from './supervisor-spec.js';
import { textOf } from './unknown.js';
import { VERSION } from './version.js';

/** Ten minutes: long enough for a coffee between two commands, short enough not to be forgotten. */
const IDLE = 10 * 60_000;

/** A first start on a busy machine: server 0.5 s, worker 2 s, from sources 4 s. A download comes before. */
const START_TIMEOUT = 90_000;

/** How long a living supervisor may take to bring a server back that died. */
const RECOVER_TIMEOUT = 30_000;

/** Longer than the worker's drain plus the server's end. */
const STOP_TIMEOUT = 45_000;

/** A command that attached needs this long to start its run; until then the server is not idle for others. */
const ATTACH_TIME = 1_500;

/** Pause between two looks at the lock, ms. */
const LOOK_PAUSE = 40;

/**
 * Seconds that running activities of the embedded worker get when it is stopped. They are repeated at the next start,
 * and the user waits at the terminal.
 */
const WORKER_GRACE = 5;

export interface EmbeddedOptions {
  /** Folder of its files (default $HUBFERRY_HOME, else the user's data folder). */
  readonly home?: string;
  /** Ends after so many ms without use, open run or schedule (default $HUBFERRY_IDLE_SECONDS, else ten minutes). */
  readonly idle?: number;
  /** Told about what takes time. */
  readonly log?: (line: string) => void;
  /** Timers of 10 ms instead of a second (default: $HUBFERRY_FAST_TIMERS). Tests and demo only. */
  readonly fastTimers?: boolean;
  /** For tests: the version we pretend to be, what starts the supervisor, and a stand-in for the worker's command. */
  readonly version?: string;
  readonly supervisorCommand?: readonly [string, ...string[]];
  readonly workerCommand?: readonly string[];
}

export interface EmbeddedServer {
  readonly address: string;
  readonly namespace: string;
}

/**
 * Attaches to the embedded server and worker of this configuration, and starts them where they do not run. Each call
 * counts as use and puts the idle end off, so call it again after a long wait for the user.
 *
 * @throws HubferryError OTHER_CONFIGURATION while runs of another configuration or version are open, SERVER_NOT_FOUND,
 *   EMBEDDED_FAILED, and what the worker finds wrong with the configuration
 */
export async function ensureEmbedded(
  { path, hash }: Pick<Config, 'path' | 'hash'>,
  options: EmbeddedOptions = {},
): Promise<EmbeddedServer> {
  const config = { path, hash: trusting(hash) };
  const home = homeOf(options.home);
  const log = options.log ?? (() => undefined);
  const version = options.version ?? VERSION;
  prepareHome(home);
  let deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    const lock = readLock(home);
    if (!isHeld(lock)) {
      const binary = await findServer({ log });
      log('starting the embedded server and worker …');
      deadline = Date.now() + START_TIMEOUT;
      const command = options.supervisorCommand ?? entryCommand('./supervisor-main');
      await launch(home, command, specOf(home, config, version, binary.path, options), deadline);
      continue;
    }
    if (lock.state !== 'ready') {
      await pause(LOOK_PAUSE);
      continue;
    }
    if (lock.config.hash !== config.hash || lock.version !== version) {
      await replace(home, config, lock, log);
      continue;
    }
    const server = await attach(home, lock);
    if (server) return server;
  }
  throw new HubferryError(
    'EMBEDDED_FAILED',
    `The embedded server is not ready after ${START_TIMEOUT / 1_000} s. Its log: ${home.supervisorLog}`,
    'Run `hubferry down`, then the command again.',
  );
}

/**
 * A configuration's hash together with what its worker would trust, and the proxies it would take: a worker has those
 * only when it starts, so with other ones another worker is needed.
 */
function trusting(hash: string): string {
  const file = process.env['NODE_EXTRA_CA_CERTS'];
  const proxies = Object.entries(process.env).filter(
    ([name, value]) => /^(?:https?|all|no)_proxy$/i.test(name) && value,
  );
  if (!file && proxies.length === 0) return hash;
  const trusted = createHash('sha256').update(hash);
  if (file && existsSync(file)) trusted.update(readFileSync(file));
  if (proxies.length > 0) trusted.update(JSON.stringify(proxies.toSorted(([a], [b]) => (a < b ? -1 : 1))));
  return trusted.digest('hex');
}

/** What is known of a running embedded server. */
export interface EmbeddedStatus extends EmbeddedServer {
  readonly state: Lock['state'];
  readonly home: string;
  readonly pid: number;
  readonly serverPid: number | null;
  readonly workerPid: number | null;
  readonly version: string;
  readonly configPath: string;
  readonly configHash: string;
  readonly started: string;
  /** Of Temporal's web UI on loopback; null where it is not served. */
  readonly ui: string | null;
  /** Null while the server does not answer. */
  readonly open: OpenWork | null;
}

/** Looks at the embedded server without starting or using it; null if none runs. */
export async function embeddedStatus(
  options: Pick<EmbeddedOptions, 'home'> = {},
): Promise<EmbeddedStatus | null> {
  const home = homeOf(options.home);
  const lock = readLock(home);
  if (!isHeld(lock)) return null;
  return {
    ...serverOf(lock),
    state: lock.state,
    home: home.folder,
    pid: lock.supervisor.pid,
    serverPid: lock.server?.pid ?? null,
    workerPid: lock.worker?.pid ?? null,
    version: lock.version,
    configPath: lock.config.path,
    configHash: lock.config.hash,
    started: lock.started,
    ui: lock.uiPort ? `http://127.0.0.1:${lock.uiPort}` : null,
    open: await askWork(lock),
  };
}

/**
 * Lets the running embedded server serve Temporal's web UI, until it is stopped: it is started again on its database, which
 * its runs survive like any other end of a server.
 *
 * @throws HubferryError EMBEDDED_FAILED
 */
export async function serveUi(options: Pick<EmbeddedOptions, 'home'> = {}): Promise<void> {
  const home = homeOf(options.home);
  closeSync(openSync(home.ui, 'a', 0o600));
  const lock = readLock(home);
  if (!isHeld(lock) || lock.uiPort) return;
  if (lock.server) send(lock.server, 'SIGTERM');
  const deadline = Date.now() + RECOVER_TIMEOUT;
  while (Date.now() < deadline) {
    const now = readLock(home);
    if (isHeld(now) && now.uiPort && now.port !== null && (await isPortOpen(now.port))) return;
    await pause(LOOK_PAUSE);
  }
  throw new HubferryError(
    'EMBEDDED_FAILED',
    `The web UI does not come up. The server’s log: ${home.serverLog}`,
  );
}

export interface EmbeddedStop {
  readonly outcome: 'stopped' | 'not running';
  /** Runs that go on at the next start; null if the server did not say. */
  readonly openRuns: number | null;
}

/** Ends supervisor, server and worker of a home folder, and what a crash left of them. Open runs wait in the database. */
export async function stopEmbedded(
  options: Pick<EmbeddedOptions, 'home' | 'log'> = {},
): Promise<EmbeddedStop> {
  const home = homeOf(options.home);
  const lock = readLock(home);
  const held = isHeld(lock);
  const work = held ? await askWork(lock) : null;
  if (held) {
    options.log?.(`stopping; running steps get ${WORKER_GRACE} s to end …`);
    await endProcess(lock.supervisor, STOP_TIMEOUT);
  }
  rmSync(home.ui, { force: true });
  const orphans = leftOvers(home, lock);
  await Promise.all(orphans.map((orphan) => endProcess(orphan, STOP_TIMEOUT)));
  // A supervisor that was killed leaves its lock, which still tells whose runs are open; a clean end has removed it.
  return held || orphans.length > 0
    ? { outcome: 'stopped', openRuns: work?.runs ?? null }
    : { outcome: 'not running', openRuns: null };
}

/** A supervisor of ours that is `ready`, once its port answers and it has seen that we use it. */
async function attach(home: Home, lock: Lock): Promise<EmbeddedServer | null> {
  const deadline = Date.now() + RECOVER_TIMEOUT;
  while (isAlive(lock.supervisor) && Date.now() < deadline) {
    // First the note, then the look: see Supervisor.endIfIdle.
    noteUse(home);
    const now = readLock(home);
    if (now?.id !== lock.id || now.state !== 'ready') return null;
    if (now.port !== null && (await isPortOpen(now.port))) return serverOf(now);
    await pause(LOOK_PAUSE);
  }
  if (!isAlive(lock.supervisor)) return null;
  throw new HubferryError(
    'EMBEDDED_FAILED',
    `The embedded server does not come back. Its log: ${home.serverLog}`,
    'Run `hubferry down`, then the command again.',
  );
}

/** Another version or configuration gives way when it is idle. */
async function replace(
  home: Home,
  config: Pick<Config, 'path' | 'hash'>,
  lock: Lock,
  log: (line: string) => void,
): Promise<void> {
  const work = await askWork(lock);
  if (work !== null && !isIdle(work)) throw otherConfiguration(home, config, lock, work);
  const sinceUse = Date.now() - lastUse(home);
  if (work === null || sinceUse < ATTACH_TIME) {
    await pause(work === null ? LOOK_PAUSE : Math.max(LOOK_PAUSE, ATTACH_TIME - sinceUse));
    return;
  }
  log(`replacing the idle embedded server of ${lock.config.path} …`);
  // The supervisor itself decides, so that a run which starts just now is not cut off.
  send(lock.supervisor, END_IF_IDLE);
  const deadline = Date.now() + STOP_TIMEOUT;
  let ending = false;
  while (isAlive(lock.supervisor) && Date.now() < deadline) {
    const state = readLock(home)?.state;
    if (ending && state === 'ready') return; // it was not idle after all
    ending ||= state === 'ending';
    await pause(LOOK_PAUSE);
  }
}

function otherConfiguration(
  home: Home,
  config: Pick<Config, 'path' | 'hash'>,
  lock: Lock,
  work: OpenWork,
): HubferryError {
  const server = `The embedded server in ${home.folder} (hubferry ${lock.version})`;
  const edited = lock.config.path === resolve(config.path) && lock.config.hash !== config.hash;
  const started = edited
    ? `was started with an earlier content of ${lock.config.path} (or other NODE_EXTRA_CA_CERTS or proxies)`
    : `runs with ${lock.config.path}`;
  return new HubferryError('OTHER_CONFIGURATION', `${server} ${started} and has ${describeWork(work)}.`);
}

function serverOf(lock: Lock): EmbeddedServer {
  return { address: `127.0.0.1:${lock.port}`, namespace: DEV_NAMESPACE };
}

async function askWork(lock: Lock): Promise<OpenWork | null> {
  if (lock.port === null || !(await isPortOpen(lock.port))) return null;
  try {
    const { connection, client } = await connectClient(serverOf(lock));
    try {
      return await connection.withDeadline(Date.now() + 5_000, () => openWork(client));
    } finally {
      await connection.close();
    }
  } catch {
    return null;
  }
}

function leftOvers(home: Home, lock: Lock | null): ProcessId[] {
  const children = [lock?.server, lock?.worker].filter(
    (child): child is ProcessId => !!child && child.born !== null && isAlive(child),
  );
  return [...children, ...findByArguments('--db-filename', home.database)];
}

function specOf(
  home: Home,
  config: Pick<Config, 'path' | 'hash'>,
  version: string,
  binary: string,
  options: EmbeddedOptions,
): SupervisorSpec {
  const seconds = Number(process.env['HUBFERRY_IDLE_SECONDS']);
  const path = resolve(config.path);
  const worker = entryCommand('../client/main').concat(
    'worker',
    '--config',
    path,
    '--grace',
    `${WORKER_GRACE}`,
  );
  return {
    home: home.folder,
    binary,
    version,
    config: { path, hash: config.hash },
    idle: options.idle ?? (seconds > 0 ? seconds * 1_000 : IDLE),
    fastTimers: options.fastTimers ?? wantsFastTimers(process.env),
    worker: options.workerCommand ?? worker,
  };
}

/**
 * Starts a supervisor and returns when it is ready, when another one was first, or at the deadline (ms since 1970), to
 * look again.
 */
async function launch(
  home: Home,
  [program, ...args]: readonly [string, ...string[]],
  spec: SupervisorSpec,
  deadline: number,
): Promise<void> {
  const logStart = logSize(home.supervisorLog);
  const child = withLog(home.supervisorLog, (output) =>
    spawn(program, [...args, JSON.stringify(spec)], {
      // In a session of its own: neither Ctrl-C nor the end of the terminal reaches it.
      detached: true,
      stdio: ['ignore', output, output, 'ipc'],
      // Not the user's folder, which it would keep from being removed or unmounted.
      cwd: home.folder,
      env: portableEnvironment(),
    }),
  );
  const news = await firstNews(child, deadline);
  if (child.connected) child.disconnect();
  child.unref();
  const kind = textOf(news, 'kind');
  if (kind === 'ready' || kind === 'taken' || kind === 'none yet') return;
  const words = lastLine(home.supervisorLog, logStart) ?? 'it said nothing';
  throw (
    errorOf(news) ??
    new HubferryError(
      'EMBEDDED_FAILED',
      `The embedded supervisor does not start: ${words}. Its log: ${home.supervisorLog}`,
    )
  );
}

/** What the supervisor says first; undefined if it ends without a word. */
async function firstNews(child: ChildProcess, deadline: number): Promise<unknown> {
  const news = new Promise<unknown>((resolveNews) => {
    child.once('message', (message) => resolveNews(message));
  });
  const timer = new AbortController();
  const late = pause(deadline - Date.now(), { kind: 'none yet' }, { signal: timer.signal }).catch(
    () => undefined,
  );
  try {
    return await Promise.race([news, childExit(child).then(() => undefined), late]);
  } finally {
    timer.abort();
  }
}

/** Our environment, readable from another working directory. */
function portableEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: trust } = process.env;
  return trust ? { ...process.env, NODE_EXTRA_CA_CERTS: resolve(trust) } : process.env;
}
