import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { compiledCommand } from '../support/compiled.js';

/** Prints which CommonJS packages are loaded with the verbs, however they were asked for. */
const SCRIPT = `import { createRequire } from 'node:module';
await import(process.argv[1]);
const paths = Object.keys(createRequire(process.argv[1]).cache);
console.log([...new Set(paths.map((path) => /node_modules.((?:@[^/\\\\]+.)?[^/\\\\]+)/.exec(path)?.[1]))].join());`;

it('takes no library of Temporal with it until one is needed: they are half of the time of a start', async () => {
  const [node, ...main] = compiledCommand('client/verbs');
  const [verbs = ''] = main.splice(-1);
  const { stdout } = await promisify(execFile)(node, [
    ...main,
    '--input-type=module',
    '--eval',
    SCRIPT,
    verbs,
  ]);
  // One file of it does sums with times.
  expect(stdout.match(/@temporalio.\w+/g)).toEqual(['@temporalio/common']);
  expect(stdout).toContain('commander');
});
