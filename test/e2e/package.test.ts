import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, type Packed, packedPackage, start } from './packed.js';

let packed: Packed;
let folder: string;
beforeAll(async () => {
  packed = await packedPackage();
  folder = mkdtempSync(join(tmpdir(), 'hubferry-e2e-'));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hubferry = (...args: readonly string[]): Promise<Ended> =>
  start([process.execPath, packed.main], args, { cwd: folder, env: process.env }).ended;

describe('the package', () => {
  it('holds what a user needs', () => {
    expect(packed.files).toEqual(
      expect.arrayContaining([
        'package.json',
        'README.md',
        'LICENSE',
        'hubferry.example.yaml',
        'dist/client/main.js',
        'dist/worker/supervisor-main.js',
        'dist/worker/workflow-bundle.js',
        'dist/worker/workflow-bundle-sealed.js',
        'dist/worker/sealed-failures.cjs',
        'dist/hubferry.schema.json',
        'dist/hubferry.rules.schema.json',
      ]),
    );
  });

  it('holds no sources, no tests and nothing of a developer’s machine', () => {
    const extra = packed.files.filter(
      (file) =>
        /(^|\/)(test|bench|node_modules|\.ci)\//.test(file) || /(\.test\.|[^d]\.ts$|\.env$)/.test(file),
    );
    expect(extra).toEqual([]);
    const top = new Set(packed.files.map((file) => file.split('/')[0]));
    expect(top).toEqual(
      new Set([
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'dist',
        'docs',
        'hubferry.example.yaml',
        'package.json',
      ]),
    );
  });

  it('holds the pages that its README names', () => {
    const readme = readFileSync(join(packed.folder, 'README.md'), 'utf8');
    const named = [...readme.matchAll(/\]\((docs\/[^)#]+)/g)].map(([, path = '']) => path);
    expect(named.length).toBeGreaterThan(3);
    const there = (path: string): boolean => packed.files.some((file) => file.startsWith(path));
    expect(named.filter((path) => !there(path))).toEqual([]);
  });

  it('has a bin that runs under its own name', async () => {
    // What npm does when it installs a package.
    const bin = join(folder, 'hubferry');
    symlinkSync(packed.main, bin);
    chmodSync(packed.main, 0o755);
    const { version } = JSON.parse(readFileSync(join(packed.folder, 'package.json'), 'utf8')) as {
      version: string;
    };
    const ended = await start([bin], ['--version'], { cwd: folder, env: process.env }).ended;
    expect(ended).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

const VERBS = [
  'migrate',
  'plan',
  'verify',
  'snapshot',
  'check',
  'status',
  'list',
  'report',
  'up',
  'down',
  'worker',
  'simulator',
];

describe('help', () => {
  it('names every verb, with examples and exit codes', async () => {
    const { code, stdout } = await hubferry('--help');
    expect(code).toBe(0);
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ {2}${verb} `, 'm'));
    expect(stdout).toContain('Examples:');
    expect(stdout).toMatch(/Exit codes: 0 .* 1 .* 2 /);
    expect(tooWide(stdout)).toEqual([]);
  });

  it.each(VERBS)('of %s says what it does, with an example, 80 columns wide', async (verb) => {
    const { code, stdout, stderr } = await hubferry(verb, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: hubferry ${verb}`);
    expect(stdout).toMatch(new RegExp(`Examples?:\\n(.*\\n)*.*hubferry ${verb}`));
    expect(stdout).not.toMatch(/default: (false|\[\])/);
    expect(tooWide(stdout)).toEqual([]);
  });
});

const tooWide = (text: string): string[] => text.split('\n').filter((line) => line.length > 80);

describe('wrong usage', () => {
  it.each([
    ['no verb', [], /Usage: hubferry/],
    ['an unknown verb', ['bogus'], /unknown command 'bogus'/],
    ['an unknown option', ['migrate', 'a', 'b', '--bogus'], /unknown option '--bogus'/],
    ['a missing argument', ['migrate', 'a'], /missing required argument 'target'/],
    ['one argument too many', ['plan', 'a', 'b', 'c'], /too many arguments/],
    ['a value that is not a choice', ['plan', 'a', 'b', '--existing', 'x'], /Allowed choices are fail, skip/],
  ])('is exit 2: %s', async (_what, args, words) => {
    const { code, stdout, stderr } = await hubferry(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(words);
  });

  it('is one JSON object under --json', async () => {
    const { code, stdout } = await hubferry('migrate', 'a', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      run: null,
      workflow: 'migrate',
      outcome: 'failed',
      ledger: { source: 0 },
      error: {
        code: 'USAGE',
        message: "missing required argument 'target'",
        hint: expect.stringContaining('--help'),
      },
    });
  });
});
