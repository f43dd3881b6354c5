import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { until } from '../support/until.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What is not packed, and large or made anew. */
const LEFT_OUT = new Set(['node_modules', 'dist', '.git']);

/** The package as a user installs it: packed, unpacked, with nothing but its production dependencies beside it. */
export interface Packed {
  /** Every file of the tarball. */
  readonly files: readonly string[];
  /** The unpacked package. */
  readonly folder: string;
  /** What the package's `bin` names. */
  readonly main: string;
}

const run = promisify(execFile);

/**
 * Packs a copy of the checkout, so that no build of somebody else is disturbed. One test file does it for all, in the
 * temporary folder of the global set-up, which is removed at its end.
 */
export async function packedPackage(): Promise<Packed> {
  const place = join(dirname(inject('workflowBundle')), 'packed');
  const result = join(place, 'result.json');
  try {
    mkdirSync(place);
  } catch {
    await until('another test file to pack', () => existsSync(result), 120_000);
    const { failed, packed } = JSON.parse(readFileSync(result, 'utf8')) as {
      failed?: string;
      packed?: Packed;
    };
    if (!packed) throw new Error(failed);
    return packed;
  }
  try {
    const packed = await pack(place);
    writeFileSync(`${result}.new`, JSON.stringify({ packed }));
    await run('mv', [`${result}.new`, result]);
    return packed;
  } catch (error) {
    writeFileSync(result, JSON.stringify({ failed: String(error) }));
    throw error;
  }
}

async function pack(place: string): Promise<Packed> {
  const copy = join(place, 'checkout');
  cpSync(ROOT, copy, {
    recursive: true,
    filter: (path) => !(LEFT_OUT.has(basename(path)) && relative(ROOT, path) === basename(path)),
  });
  return await packCopy(place, copy);
}

/**
 * The package of an earlier commit, with the dependencies of today.
 *
 * @param commit a whole or short hash. @throws with what is to be done where this clone does not have it
 */
export async function earlierPackage(commit: string): Promise<Packed> {
  const place = join(dirname(inject('workflowBundle')), `packed-${commit}`);
  const copy = join(place, 'checkout');
  mkdirSync(copy, { recursive: true });
  const archive = join(place, 'checkout.tar');
  try {
    await run('git', ['archive', '--output', archive, commit], { cwd: ROOT });
  } catch (error) {
    throw new Error(`This clone has no commit ${commit}: \`git fetch --unshallow\` brings it.`, {
      cause: error,
    });
  }
  await run('tar', ['-xf', archive, '-C', copy]);
  return await packCopy(place, copy);
}

async function packCopy(place: string, copy: string): Promise<Packed> {
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  await run('npm', ['pack', '--silent', '--pack-destination', place], { cwd: copy });
  const { name, version, bin } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    bin: Record<string, string>;
  };
  const tarball = join(place, `${name}-${version}.tgz`);
  const { stdout } = await run('tar', ['-tzf', tarball]);
  await run('tar', ['-xzf', tarball, '-C', place]);
  linkProductionDependencies(join(place, 'node_modules'));
  const folder = join(place, 'package');
  return {
    files: stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^package\//, '')),
    folder,
    main: join(folder, bin[name] ?? ''),
  };
}

/** What `npm install --omit=dev` would put there, by the lock file, so that a missing dependency shows. */
function linkProductionDependencies(folder: string): void {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev }] of Object.entries(packages)) {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? [];
    if (name === undefined || dev === true || !existsSync(join(ROOT, path))) continue;
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(join(ROOT, path), join(folder, name));
  }
}

/** How a command ended. */
export interface Ended {
  /** Null: by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
}

/** Where a command runs, and with what environment. */
export interface Surroundings {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Starts a program as a child process without a terminal. */
export function start(
  command: readonly [string, ...string[]],
  args: readonly string[],
  { cwd, env }: Surroundings,
): Started {
  const [program, ...before] = command;
  const child = spawn(program, [...before, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => out.push(data));
  child.stderr.on('data', (data: Buffer) => err.push(data));
  const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString();
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: text(out), stderr: text(err) }));
  });
  return { child, ended, stdout: () => text(out), stderr: () => text(err) };
}
