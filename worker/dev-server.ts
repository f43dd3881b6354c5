import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HubferryError } from '../registry/errors.js';
import { ATTRIBUTES } from '../workflows/attributes.js';
import { bareEnvironment } from './bare-environment.js';
import { lastLine, logSize, withLog } from './log-file.js';
import { freePort, isPortFree, isPortOpen } from './port.js';

export type SearchAttributeType = 'Keyword' | 'KeywordList' | 'Text' | 'Int' | 'Double' | 'Bool' | 'Datetime';

/**
 * The search attributes of hubferry's runs. All must be registered: one that is not fails the start of a run, or its
 * workflow task for ever. They are stored in clear, so never an id of a device.
 */
export const SEARCH_ATTRIBUTES: Readonly<Record<string, SearchAttributeType>> = Object.fromEntries(
  ATTRIBUTES.map((name) => [name, 'Keyword']),
);

/** The namespace that a development server makes by itself. */
export const DEV_NAMESPACE = 'default';

/** Normally up in 0.1 to 0.5 s; a busy machine may take long. */
const START_TIMEOUT = 30_000;

/** It normally ends within 1.1 s of SIGTERM. */
const STOP_TIMEOUT = 10_000;

/** Whether $HUBFERRY_FAST_TIMERS is switched on. */
export function wantsFastTimers(env: NodeJS.ProcessEnv): boolean {
  return !['', '0', 'false', 'no', 'off'].includes((env['HUBFERRY_FAST_TIMERS'] ?? '').toLowerCase());
}

/** How often another free port is tried when somebody else took the one that was free. */
const PORT_TRIES = 5;

export interface DevServerOptions {
  /** Path of the Temporal CLI, from `findServer`. */
  readonly binary: string;
  /** Where its state lives; without it, in memory. Never two servers on one file: they corrupt each other's work. */
  readonly dbFile?: string;
  /** Where its output goes (appended); without it, a temporary file that is removed at the end. */
  readonly logFile?: string;
  /** Loopback port; without it a free one, chosen again if somebody else takes it. */
  readonly port?: number;
  /** Timers fire within 10 ms instead of at least a second late. For tests and the demo only. */
  readonly fastTimers?: boolean;
  /** In a process group of its own, so that a Ctrl-C of the terminal does not reach it, and not ended with us. */
  readonly detached?: boolean;
  /** Also serves Temporal's web UI on a free loopback port. */
  readonly ui?: boolean;
  readonly extraArgs?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface DevServer {
  readonly pid: number;
  readonly port: number;
  /** `127.0.0.1:port` */
  readonly address: string;
  /** Of the web UI, if asked for. */
  readonly uiPort: number | null;
  /** Resolves when the process is gone, whoever ended it. */
  readonly exited: Promise<Exit>;
  /** Ends it with SIGTERM, after 10 s with SIGKILL. */
  stop(): Promise<void>;
  /** SIGKILL, for crash tests. */
  kill(): void;
}

/**
 * Starts a Temporal development server on loopback and returns when it answers.
 *
 * @throws HubferryError EMBEDDED_FAILED if it does not come up, with its last words and its log
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort());
    if (options.port !== undefined && !(await isPortFree(port))) {
      throw new HubferryError(
        'EMBEDDED_FAILED',
        `Port ${port} on 127.0.0.1 is taken.`,
        'Choose another port.',
      );
    }
    const attempt = await startOn(port, options);
    if ('server' in attempt) return attempt.server;
    const portWasTaken = /address already in use/i.test(attempt.words);
    if (options.port !== undefined || !portWasTaken || tries === PORT_TRIES) {
      throw new HubferryError('EMBEDDED_FAILED', `The Temporal server does not start: ${attempt.words}.`);
    }
  }
}

type Attempt = { readonly server: DevServer } | { readonly words: string };

async function startOn(port: number, options: DevServerOptions): Promise<Attempt> {
  const ownLog = options.logFile === undefined;
  const logFile = options.logFile ?? join(mkdtempSync(join(tmpdir(), 'hubferry-server-')), 'server.log');
  const uiPort = options.ui ? await freePort() : null;
  const logStart = logSize(logFile);
  // A file, not a pipe: with pipes the server dies with whoever started it.
  const child = withLog(logFile, (output) =>
    spawn(options.binary, serverArguments(port, uiPort, options), {
      stdio: ['ignore', output, output],
      detached: options.detached ?? false,
      env: bareEnvironment(process.env),
    }),
  );
  const state = watchExit(child);
  // Without this a crash of ours would leave it behind; a detached one is meant to stay.
  const removeLog = (): void => {
    if (ownLog) rmSync(dirname(logFile), { recursive: true, force: true });
  };
  const endWithUs = (): void => {
    child.kill('SIGKILL');
    removeLog();
  };
  if (options.detached) child.unref();
  else process.once('exit', endWithUs);
  void state.exited.then(() => process.off('exit', endWithUs));

  const deadline = Date.now() + START_TIMEOUT;
  while (!state.gone && !(await isPortOpen(port))) {
    if (Date.now() > deadline) child.kill('SIGKILL');
    await pause(20);
  }
  if (state.gone || child.pid === undefined) {
    await state.exited;
    const words = state.problem ?? lastLine(logFile, logStart) ?? 'it said nothing';
    removeLog();
    return { words: ownLog ? words : `${words} (log: ${logFile})` };
  }
  const stop = async (): Promise<void> => {
    if (!state.gone) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    await state.exited;
    clearTimeout(timer);
  };
  void state.exited.then(removeLog);
  return {
    server: {
      pid: child.pid,
      port,
      address: `127.0.0.1:${port}`,
      uiPort,
      exited: state.exited,
      stop,
      kill: () => void child.kill('SIGKILL'),
    },
  };
}

/**
 * The server looks for new tasks 20 times a second and shard, and a development server has one shard: after a short burst
 * every step of every workflow waits 40 to 50 ms. With this limit a migration of 120 records takes 1.8 s instead of 4.9.
 */
const BRISK = ['transfer', 'timer', 'visibility'].map((queue) => `history.${queue}ProcessorMaxPollRPS=1000`);

function serverArguments(port: number, uiPort: number | null, options: DevServerOptions): string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'warn'];
  if (uiPort === null) args.push('--headless');
  else args.push('--ui-port', String(uiPort));
  if (options.dbFile !== undefined) args.push('--db-filename', options.dbFile);
  for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) {
    args.push('--search-attribute', `${name}=${type}`);
  }
  for (const setting of BRISK) args.push('--dynamic-config-value', setting);
  // Must be a quoted duration: a bare number is taken without a word and every timer hangs.
  if (options.fastTimers) args.push('--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"');
  return [...args, ...(options.extraArgs ?? [])];
}

interface ExitState {
  gone: boolean;
  /** Why it could not even be started. */
  problem: string | undefined;
  readonly exited: Promise<Exit>;
}

function watchExit(child: ChildProcess): ExitState {
  const state: { gone: boolean; problem: string | undefined } = { gone: false, problem: undefined };
  const exited = new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      if (child.pid !== undefined) return; // a signal that could not be sent
      state.gone = true;
      state.problem = error.message;
      resolve({ code: null, signal: null });
    });
    child.once('exit', (code, signal) => {
      state.gone = true;
      resolve({ code, signal });
    });
  });
  return Object.assign(state, { exited });
}
