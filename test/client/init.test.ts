import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fromAnswers, fromFlags, initCommand } from '../../client/init.js';
import { firstConfig, loadConfig, variableOf, variablesOf } from '../../config/index.js';

const KEY = 'zm0qYOLPvh8tVpzG3fR1sXcB7kN5dJ2wQ9aE4uT6yHM=';
const HUB = `HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`;
const env = {
  OLD_HUB: HUB,
  NEW_HUB: HUB.replace('=h.', '=n.'),
  STORAGE: `AccountName=account;AccountKey=${KEY}`,
};

let folder: string;
let path: string;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-init-'));
  path = join(folder, 'hubferry.yaml');
  said = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const init = async (...args: string[]): Promise<void> =>
  void (await initCommand().parseAsync(['--config', path, ...args], { from: 'user' }));
const FLAGS = ['--hub', 'old', '--hub', 'new', '--read-only', 'old', '--storage', 'STORAGE'];

describe('init', () => {
  it('writes a file that loads, for its owner only, and says what to set', async () => {
    await init(...FLAGS);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const config = loadConfig({ path, env });
    expect([...config.hubs.values()].map(({ alias, readOnly }) => [alias, readOnly])).toEqual([
      ['old', true],
      ['new', false],
    ]);
    expect(config.temporal).toBeNull();
    expect(said).toContain(`Wrote ${path}.`);
    for (const name of Object.keys(env)) expect(said).toContain(`  export ${name}='`);
    for (const line of readFileSync(path, 'utf8').split('\n')) expect(line.length).toBeLessThanOrEqual(120);
    for (const line of said.split('\n').slice(1)) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('names everything under Microsoft Entra ID, and a Temporal server', async () => {
    const account = 'https://account.blob.core.windows.net';
    const hubs = ['--hub', 'old=O.azure-devices.net', '--hub', 'true=n.azure-devices.net:443'];
    await init(...hubs, '--storage', account, '--temporal', 'temporal.example:7233', '--namespace', 'fleet');
    const config = loadConfig({ path, env: {} });
    expect(
      [...config.hubs.values()].map(({ alias, host, connectionString }) => [alias, host, connectionString]),
    ).toEqual([
      ['old', 'o.azure-devices.net', null],
      ['true', 'n.azure-devices.net', null],
    ]);
    expect(config.storage).toMatchObject({ account, connectionString: null });
    expect(config.temporal).toEqual({ address: 'temporal.example:7233', namespace: 'fleet' });
    expect(said).not.toContain('export');
  });

  it('prints one object under --json', async () => {
    await init(...FLAGS, '--json');
    expect(JSON.parse(said)).toEqual({
      outcome: 'done',
      file: path,
      variables: ['OLD_HUB', 'NEW_HUB', 'STORAGE'],
      error: null,
    });
  });

  it('replaces a file only when it is told to', async () => {
    writeFileSync(path, 'mine', { mode: 0o644 });
    await expect(init(...FLAGS)).rejects.toMatchObject({ code: 'CONFIG_EXISTS' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    await init(...FLAGS, '--force');
    expect(loadConfig({ path, env }).hubs.size).toBe(2);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('without a terminal names the flags that are missing', async () => {
    await expect(init()).rejects.toMatchObject({
      code: 'USAGE',
      message: 'init has nobody to ask here; it needs --hub and --storage.',
    });
    await expect(init('--hub', 'old')).rejects.toMatchObject({
      message: expect.stringMatching(/needs --storage\.$/),
    });
  });

  it.each([
    [['--hub', `old=${HUB}`, '--storage', 'STORAGE'], 'USAGE', 'looks like a secret'],
    [['--hub', HUB, '--storage', 'STORAGE'], 'USAGE', 'looks like a secret'],
    [['--hub', 'old', '--storage', env.STORAGE], 'USAGE', 'looks like a secret'],
    [['--hub', 'old=a b', '--storage', 'STORAGE'], 'USAGE', 'neither the host name of a hub'],
    [['--hub', 'old', '--storage', 'http://x.net'], 'USAGE', 'neither the https address'],
    [['--hub', 'old', '--hub', 'old', '--storage', 'S'], 'USAGE', 'twice'],
    [['--hub', 'old', '--read-only', 'new', '--storage', 'S'], 'USAGE', 'no --hub of this alias'],
    [['--hub', 'old=S', '--storage', 'S'], 'USAGE', 'cannot hold'],
    [['--hub', 'a:b', '--storage', 'S'], 'CONFIG_INVALID', 'an alias has up to 64'],
    [['--hub', 'old', '--storage', 'S', '--temporal', 'nowhere'], 'CONFIG_INVALID', 'expected host:port'],
  ])('%j is refused, without a secret in its words', async (args, code, words) => {
    const error = await init(...args).then(
      () => null,
      (failure: unknown) => failure as { code: string; message: string },
    );
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(error?.message).not.toContain(KEY);
    expect(() => statSync(path)).toThrow('ENOENT');
  });
});

describe('questions', () => {
  const nothing = { hub: [], readOnly: [] };

  it('need no answer but Enter', async () => {
    const asked: string[] = [];
    const first = await fromAnswers(nothing, async (question, fallback) => {
      asked.push(question);
      return fallback;
    });
    expect(first).toEqual(fromFlags({ hub: ['old', 'new'], readOnly: ['old'], storage: 'STORAGE' }));
    for (const question of asked) expect(question.length).toBeLessThanOrEqual(80);
    expect(asked).toHaveLength(8);
  });

  it('are only about what no flag says', async () => {
    const asked: string[] = [];
    const first = await fromAnswers({ ...nothing, hub: ['a=b.c'] }, async (question, fallback) => {
      asked.push(question);
      return asked.length === 1 ? 'https://s.net' : fallback;
    });
    expect(asked).toHaveLength(2);
    expect(first.storage).toEqual({ address: 'https://s.net' });
  });
});

describe('a first configuration', () => {
  it('names variables that a shell takes', () => {
    expect(['old', 'eu-west.1', '1st'].map(variableOf)).toEqual(['OLD_HUB', 'EU_WEST_1_HUB', 'HUB_1ST_HUB']);
  });

  it('asks for each variable once', () => {
    const first = fromFlags({ hub: ['a=X', 'b=X'], readOnly: [], storage: 'Y' });
    expect(variablesOf(first).map(({ name }) => name)).toEqual(['X', 'Y']);
    expect(firstConfig(first)).toContain('connectionString: "${X}"');
  });
});
