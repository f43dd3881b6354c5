import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Sources run under tsx (tests, development) or compiled in dist/: the same relative layout, another suffix. */
const fromSource = import.meta.url.endsWith('.ts');

/**
 * Path of a sibling module, e.g. `../workflows/index`, as it stands beside this file: `.ts` or `.js`.
 *
 * @param kind `c`: one of CommonJS, `.cts` or `.cjs`
 */
export function modulePath(relative: string, kind: '' | 'c' = ''): string {
  return fileURLToPath(new URL(`${relative}.${kind}${fromSource ? 'ts' : 'js'}`, import.meta.url));
}

/** Command line that runs a module of ours in a process of its own, from any working directory. */
export function entryCommand(relative: string): [string, ...string[]] {
  // tsx is named by its file: a bare name would be looked up from the child's working directory.
  const loader = fromSource
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href]
    : [];
  return [process.execPath, ...loader, modulePath(relative)];
}
