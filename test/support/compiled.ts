import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The last file that `npm run build` writes. */
const LAST_BUILT = join(ROOT, 'dist/worker/workflow-bundle.js');

/** Folders of the sources that processes are started from. */
const SOURCES = [
  'activities',
  'azure',
  'client',
  'config',
  'demo',
  'registry',
  'report',
  'simulator',
  'worker',
];

/** Times of change are compared once in a process. */
let current: boolean | undefined;

/** The workflows' bundle that `npm run build` made, unless a source was changed since. */
export function builtBundle(): string | null {
  current ??= isCurrent();
  return current ? LAST_BUILT : null;
}

/**
 * Command line of a module of ours, such as `client/main`: compiled, as `npm test` has built it just before, since a
 * start from the sources takes seconds of the processor. Where a source was changed since, it runs from the sources.
 */
export function compiledCommand(module: string): [string, ...string[]] {
  current ??= isCurrent();
  return current
    ? [process.execPath, join(ROOT, 'dist', `${module}.js`)]
    : [process.execPath, '--import', tsx(), join(ROOT, `${module}.ts`)];
}

const tsx = (): string => pathToFileURL(fileURLToPath(import.meta.resolve('tsx'))).href;

function isCurrent(): boolean {
  const built = statSync(LAST_BUILT, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return [...SOURCES, 'workflows'].every((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).every(
      (file) => statSync(join(ROOT, folder, file)).mtimeMs <= built,
    ),
  );
}
