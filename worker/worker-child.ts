import { type ChildProcess, spawn } from 'node:child_process';
import { HubferryError, isErrorCode } from '../registry/errors.js';
import { childExit } from './child-exit.js';
import type { RunningChild } from './kept-child.js';
import { lastLine, withLog } from './log-file.js';
import { SUPERVISED } from './supervisor-spec.js';
import { propertyOf, textOf } from './unknown.js';

/** Longer than the worker itself waits for the server; after this it hangs. */
const READY_TIMEOUT = 90_000;

/** Longer than the worker's own grace and force times. */
const STOP_TIMEOUT = 25_000;

export interface WorkerChildOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly logFile: string;
  readonly signal: AbortSignal;
}

/**
 * Starts a worker process as a child of the supervisor and returns when it says that it is ready.
 *
 * @throws HubferryError what the worker said was wrong, or EMBEDDED_FAILED
 */
export async function startWorkerChild(options: WorkerChildOptions): Promise<RunningChild> {
  const { command, logFile, signal } = options;
  const [program = '', ...args] = command;
  const child = withLog(logFile, (output) =>
    spawn(program, args, {
      stdio: ['ignore', output, output, 'ipc'],
      env: { ...process.env, [SUPERVISED]: '1' },
    }),
  );
  const ended = childExit(child);
  await ready(child, ended, signal, logFile);
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
  signal: AbortSignal,
  logFile: string,
): Promise<void> {
  let fault: HubferryError | undefined;
  const said = new Promise<'ready'>((resolve) => {
    child.on('message', (message) => {
      if (message === 'ready') resolve('ready');
      else fault = faultOf(message) ?? fault;
    });
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, READY_TIMEOUT);
  signal.addEventListener('abort', kill, { once: true });
  const how = await Promise.race([said, ended]);
  clearTimeout(timer);
  signal.removeEventListener('abort', kill);
  if (how === 'ready') return;
  const words = lastLine(logFile);
  throw (
    fault ??
    new HubferryError(
      'EMBEDDED_FAILED',
      `The embedded worker does not start (${how})${words ? `: ${words}` : ''}. Its log: ${logFile}`,
    )
  );
}

function faultOf(message: unknown): HubferryError | undefined {
  const failed = propertyOf(message, 'failed');
  const code = textOf(failed, 'code');
  const words = textOf(failed, 'message');
  return isErrorCode(code) && words !== undefined ? new HubferryError(code, words) : undefined;
}
