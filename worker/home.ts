import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { HubferryError } from '../registry/errors.js';
import { messageOf, textOf } from './unknown.js';

/** The files of embedded mode. */
export interface Home {
  readonly folder: string;
  /** Who runs here: see lock.ts. */
  readonly lock: string;
  /** Its time says when a command last used the server. */
  readonly used: string;
  /** Is there while the server is to serve Temporal's web UI. */
  readonly ui: string;
  readonly database: string;
  readonly serverLog: string;
  readonly workerLog: string;
  readonly supervisorLog: string;
}

/** `folder`, else $HUBFERRY_HOME, else the user's data folder. */
export function homeOf(folder?: string, env: NodeJS.ProcessEnv = process.env): Home {
  const path = resolve(folder ?? (env['HUBFERRY_HOME'] || dataFolder(env)));
  return {
    folder: path,
    lock: join(path, 'server.json'),
    used: join(path, 'used'),
    ui: join(path, 'ui'),
    database: join(path, 'temporal.db'),
    serverLog: join(path, 'server.log'),
    workerLog: join(path, 'worker.log'),
    supervisorLog: join(path, 'supervisor.log'),
  };
}

function dataFolder(env: NodeJS.ProcessEnv): string {
  const user = userFolder(env);
  return process.platform === 'darwin'
    ? join(user, 'Library', 'Application Support', 'hubferry')
    : join(env['XDG_DATA_HOME'] || join(user, '.local', 'share'), 'hubferry');
}

/** The user's own folder; an empty HOME counts as none, since paths would then depend on the working directory. */
export function userFolder(env: NodeJS.ProcessEnv): string {
  return env['HOME'] || userInfo().homedir;
}

/**
 * Makes the folder, for nobody but its owner: histories and logs name hubs and devices. A folder that already holds
 * other things is left as it is; our files in it are for their owner only in any case.
 *
 * @throws HubferryError EMBEDDED_FAILED
 */
export function prepareHome(home: Home): void {
  try {
    mkdirSync(home.folder, { recursive: true, mode: 0o700 });
    if (readdirSync(home.folder).length === 0) chmodSync(home.folder, 0o700);
    accessSync(home.folder, constants.W_OK);
    for (const file of filesOf(home)) tighten(file);
  } catch (error) {
    const reason = textOf(error, 'code') ?? messageOf(error);
    throw new HubferryError(
      'EMBEDDED_FAILED',
      `The folder ${home.folder} cannot be used (${reason}).`,
      'Set HUBFERRY_HOME to a folder of yours.',
    );
  }
}

/** Our files, with what stands beside them: SQLite's journals, and the former log (see log-file.ts). */
function filesOf(home: Home): string[] {
  const files = Object.values<string>({ ...home }).filter((path) => path !== home.folder);
  return files.flatMap((file) => ['', '-wal', '-shm', '-journal', '.1'].map((end) => `${file}${end}`));
}

/** Ours are made for their owner only; one that was put there otherwise, from a backup for example, becomes so. */
function tighten(file: string): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) !== 0) chmodSync(file, 0o600);
}

/** Notes that a command uses the server now. */
export function noteUse(home: Home): void {
  closeSync(openSync(home.used, 'a', 0o600));
  const now = new Date();
  utimesSync(home.used, now, now);
}

/** When a command last used the server, ms since 1970; 0 for never. */
export function lastUse(home: Home): number {
  return statSync(home.used, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
