import { type ChildProcess, spawn } from 'node:child_process';
import { HubferryError } from '../registry/errors.js';
import { childExit } from './child-exit.js';
import { errorOf } from './fault.js';
import type { RunningChild } from './kept-child.js';
import { lastLine, logSize, withLog } from './log-file.js';
import { SUPERVISED } from './supervisor-spec.js';
import { propertyOf } from './unknown.js';

/** How long the worker may wait for the server, seconds: it was just up, so this only bridges its own restart. */
const SERVER_WAIT = 60;

/** Longer than that and the worker's own start; after this it hangs. */
const READY_TIMEOUT = 90_000;

/** Longer than the worker's own grace and force times. */
const STOP_TIMEOUT = 25_000;

export interface WorkerChildOptions {
  /** Program and arguments; `--wait` is added. */
  readonly command: readonly string[];
  readonly logFile: string;
  /** Told as soon as the process is there, long before it is ready. */
  readonly onSpawn: (pid: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Starts a worker process as a child of the supervisor and returns when it says that it is ready.
 *
 * @throws HubferryError what the worker said was wrong, or EMBEDDED_FAILED
 */
export async function startWorkerChild(options: WorkerChildOptions): Promise<RunningChild> {
  const { command, logFile } = options;
  const [program = '', ...args] = command;
  const logStart = logSize(logFile);
  const child = withLog(logFile, (output) =>
    spawn(program, [...args, '--wait', String(SERVER_WAIT)], {
      stdio: ['ignore', output, output, 'ipc'],
      env: { ...process.env, [SUPERVISED]: '1' },
    }),
  );
  const ended = childExit(child);
  if (child.pid !== undefined) options.onSpawn(child.pid);
  await ready(child, ended, logStart, options);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    await ended;
    clearTimeout(timer);
  };
  return { pid: child.pid ?? 0, ended, stop };
}

async function ready(
  child: ChildProcess,
  ended: Promise<string>,
  logStart: number,
  { signal, logFile }: WorkerChildOptions,
): Promise<void> {
  let fault: HubferryError | undefined;
  const said = new Promise<'ready'>((resolve) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve('ready');
      else fault = errorOf(propertyOf(message, 'failed')) ?? fault;
    });
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, READY_TIMEOUT);
  signal.addEventListener('abort', kill, { once: true });
  const how = await Promise.race([said, ended]);
  clearTimeout(timer);
  signal.removeEventListener('abort', kill);
  if (how === 'ready') return;
  const words = lastLine(logFile, logStart);
  throw (
    fault ??
    new HubferryError(
      'EMBEDDED_FAILED',
      `The embedded worker does not start (${how})${words ? `: ${words}` : ''}. Its log: ${logFile}`,
    )
  );
}
