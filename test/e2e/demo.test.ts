import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compiledCommand } from '../support/compiled.js';
import { until } from '../support/until.js';
import { type Started, start } from './packed.js';

const PATIENCE = 60_000;

/** Where the demo makes its folder. */
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-demo-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const demo = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Started =>
  start(compiledCommand('demo/main'), args, { cwd: folder, env: { ...process.env, TMPDIR: folder, ...env } });

/** Its end is the end of its output, which every process that it started shares: none is left behind. */
const folders = (): string[] => readdirSync(folder).filter((name) => name.startsWith('hubferry-'));

it(
  'a part that does not start leaves neither the others nor the folder behind',
  async () => {
    const { code, stderr } = await demo([], { TEMPORAL_CLI: join(folder, 'nowhere') }).ended;
    expect({ code, folders: folders() }).toEqual({ code: 1, folders: [] });
    expect(stderr).toContain('TEMPORAL_CLI names');
  },
  PATIENCE,
);

it(
  'a signal stops everything that runs',
  async () => {
    const started = demo(['--devices', '2000']);
    await until('a worker is ready', () => started.stdout().includes('is ready; migrating'), PATIENCE);
    expect(folders()).toHaveLength(1);
    started.child.kill('SIGTERM');
    const { code, stderr } = await started.ended;
    expect({ code, folders: folders() }).toEqual({ code: 143, folders: [] });
    expect(stderr).toContain('Stopped by SIGTERM.');
  },
  PATIENCE,
);

it.each([
  [['--devices', 'x'], '--devices must be a whole number from 1 up'],
  [['--seed', '-1'], "'--seed' argument"],
  [['--bogus'], "Unknown option '--bogus'"],
])('%s is wrong usage', async (args, words) => {
  const { code, stdout, stderr } = await demo(args).ended;
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(words);
  expect(stderr).toContain('Usage: npm run demo');
});
