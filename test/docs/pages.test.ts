import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { reportText } from '../../client/print.js';
import { loadConfig } from '../../config/index.js';
import { emptyReport } from '../../workflows/messages.js';
import { allOptions, complaint, wordsOf } from './cli.js';
import { blocks, codeLines, inlineCode, pages, ROOMS, ROOT, read } from './pages.js';

const PAGES = pages().map((path) => ({ path, text: read(path) }));

/** Options of other programs that the pages name. */
const FOREIGN_OPTIONS = ['--replace'];

/** Command lines of hubferry in a page: of its code, and in backticks. VERB stands for any verb. */
function commandLines(text: string): string[] {
  // A backslash joins lines, and what a shell does with the output is no argument.
  const lines = codeLines(text)
    .join('\n')
    .replaceAll(/ \\\n */g, ' ')
    .replaceAll(/ > \S+$/gm, '')
    .split('\n');
  const inCode = lines.flatMap((line) => {
    const [, command] =
      /^(?:\$ )?(?:\w+=\S* )*(?:hubferry|docker compose run --rm cli) (.+)$/.exec(line) ?? [];
    return command === undefined ? [] : [command];
  });
  const inText = inlineCode(text).flatMap((code) => (code.startsWith('hubferry ') ? [code.slice(9)] : []));
  return [...inCode, ...inText].filter((line) => !line.startsWith('VERB'));
}

describe.each(PAGES)('$path', ({ path, text }) => {
  it('shows only commands that the program takes', () => {
    const wrong = commandLines(text).flatMap((line) => {
      const problem = complaint(wordsOf(line));
      return problem === null ? [] : [`hubferry ${line}: ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  it('names only options that exist', () => {
    const known = new Set([...allOptions(), ...FOREIGN_OPTIONS]);
    const named = inlineCode(text).flatMap((code) => /^--?[a-z][a-z-]*/.exec(code)?.[0] ?? []);
    expect(named.filter((option) => !known.has(option))).toEqual([]);
  });

  it('names only scripts, files and links that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm run (?:--silent )?([a-z:-]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);

    const places = new RegExp(`^(?:${[...ROOMS, 'test', 'docs', 'docker'].join('|')})/[\\w./-]*$`);
    const files = inlineCode(text).filter((code) => places.test(code));
    expect(files.filter((file) => !existsSync(`${ROOT}${file}`))).toEqual([]);

    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(
      ([, to = '', anchor]) => ({
        file: to === '' ? path : normalize(join(dirname(path), to)),
        anchor,
      }),
    );
    expect(links.filter(({ file }) => !existsSync(`${ROOT}${file}`))).toEqual([]);
    const lost = links.filter(({ file, anchor }) => anchor !== undefined && !anchors(file).includes(anchor));
    expect(lost).toEqual([]);
  });

  it('names only what is in the file it names', () => {
    const named = text.matchAll(/`(\w+)`(?:(?:,| and) `(\w+)`)? in `([\w/.-]+\.ts)`/g);
    const lost = [...named].flatMap(([, first = '', second, file = '']) =>
      [first, second ?? first]
        .filter((name) => !read(file).includes(name))
        .map((name) => `${name} in ${file}`),
    );
    expect(lost).toEqual([]);
  });

  it('fits: code in 80 columns, text in 120, and nothing of the machine it was written on', () => {
    expect(codeLines(text).filter((line) => line.length > 80)).toEqual([]);
    const prose = text.split('\n').filter((line) => line.length > 120 && !line.startsWith('|'));
    expect(prose).toEqual([]);
    expect(text).not.toMatch(/\/(?:work|root|tmp|home)\//);
  });
});

/** The anchors that GitHub gives to a page's headings. */
function anchors(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('README', () => {
  const text = read('README.md');
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-docs-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('shows configurations that load', () => {
    const [smallest = '', temporal = ''] = blocks(text, 'yaml');
    const key = Buffer.alloc(32, 7).toString('base64');
    const env = {
      OLD_HUB: `HostName=a.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`,
      NEW_HUB: `HostName=b.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`,
      STORAGE: `DefaultEndpointsProtocol=https;AccountName=account;AccountKey=${key}`,
    };
    const load = (yaml: string) => {
      const path = join(folder, 'hubferry.yaml');
      writeFileSync(path, yaml);
      return loadConfig({ path, env });
    };
    expect([...load(smallest).hubs.keys()]).toEqual(['old', 'new']);
    expect(load(`${smallest}${temporal}`).temporal?.address).toBe('temporal.example:7233');
    for (const name of Object.keys(env)) expect(text).toContain(`export ${name}=`);
  });

  it('shows the result of the demo as it is printed', () => {
    const shown = codeLines(text);
    const first = shown.findIndex((line) => line.startsWith('verified:'));
    const last = shown.findIndex((line) => /^ +compared/.test(line));
    const sample = shown.slice(first, last + 1).filter((line) => line !== '');
    const counted = (name: string): number => {
      const [, digits = ''] = new RegExp(`${name} ([\\d,]+)`).exec(sample.join('\n')) ?? [];
      return Number(digits.replaceAll(',', ''));
    };
    const [system, desired] = [counted('system'), counted('create')];
    const report = emptyReport({ run: '', workflow: 'migrate', source: 'old', target: 'new' });
    report.outcome = 'verified';
    Object.assign(report.ledger, {
      source: system + desired,
      system,
      desired,
      create: desired,
      applied: desired,
    });
    report.verify = { compared: desired, match: desired, kept: 0, different: 0, missing: 0, extra: 0 };
    report.seconds.phases.verify = 1;
    const printed = reportText(report)
      .split('\n')
      .filter((line) => line !== '');
    const start = printed.findIndex((line) => line.includes('verified:'));
    expect(sample.length).toBeGreaterThan(5);
    expect(sample.map((line) => `  ${line}`)).toEqual(printed.slice(start, start + sample.length));
  });

  it('shows checks by their names', () => {
    const names = [...text.matchAll(/^ +ok +(\w+(?: \w+)*?)(?: {2,}|$)/gm)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(3);
    const code = read('activities/check.ts') + read('client/check.ts');
    expect(names.filter((name) => !code.includes(`'${name}'`))).toEqual([]);
  });

  it('lists the exit codes', () => {
    const codes = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => code);
    expect(codes).toEqual(['0', '1', '2', '3', '4', '130']);
  });
});

describe('docs/identity.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-docs-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('shows configurations that load', () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const env = {
      NEW_HUB_IDENTITY:
        '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i',
      NEW_HUB: `HostName=b.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${key}`,
      STORAGE: `DefaultEndpointsProtocol=https;AccountName=account;AccountKey=${key}`,
    };
    const configs = blocks(read('docs/identity.md'), 'yaml').map((yaml) => {
      const path = join(folder, 'hubferry.yaml');
      writeFileSync(path, yaml);
      return loadConfig({ path, env });
    });
    expect(configs.map(({ hubs }) => hubs.get('old')?.connectionString)).toEqual([null, null, null, null]);
    expect(configs.map(({ hubs }) => hubs.get('old')?.identity)).toEqual([
      undefined,
      undefined,
      'system',
      undefined,
    ]);
    const account = 'https://account.blob.core.windows.net';
    expect(configs.map(({ storage }) => storage?.account)).toEqual([
      account,
      account,
      account,
      `${account}/hubferry-data`,
    ]);
  });
});
