import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HubferryError } from '../../registry/errors.js';
import { ensureEmbedded } from '../../worker/embedded.js';
import { entryCommand } from '../../worker/entry.js';
import { prepareHome } from '../../worker/home.js';
import type { Lock } from '../../worker/lock.js';
import { isPortOpen } from '../../worker/port.js';
import { identify } from '../../worker/processes.js';
import { VERSION } from '../../worker/version.js';
import { until } from '../support/until.js';
import { EmbeddedStand, isGone } from './fixtures/embedded-stand.js';

let stand: EmbeddedStand;
beforeEach(() => {
  stand = new EmbeddedStand();
});
afterEach(async () => {
  await stand.remove();
});

describe('starting', () => {
  test('four commands at once share one supervisor, and a later one attaches', async () => {
    const starts = [1, 2, 3, 4].map(() => ensureEmbedded(stand.config, stand.options));
    const addresses = (await Promise.all(starts)).map((server) => server.address);
    expect(new Set(addresses).size).toBe(1);
    expect(stand.servers()).toHaveLength(1);

    const before = await stand.status();
    await ensureEmbedded(stand.config, stand.options);
    expect((await stand.status())?.pid).toBe(before?.pid);
  });

  test('a Ctrl-C at the command’s terminal does not reach it', async () => {
    const script = new URL('./fixtures/start-embedded.ts', import.meta.url).pathname;
    const [node, ...args] = entryCommand('./version');
    const command = [...args.slice(0, -1), script, JSON.stringify([stand.config, stand.options])];
    // A process group of its own stands for the terminal's foreground group.
    const cli = spawn(node, command, { detached: true, stdio: 'ignore' });
    const status = await until('the command has started it', async () => {
      const now = await stand.status();
      return now?.state === 'ready' ? now : null;
    });
    process.kill(-(cli.pid ?? 0), 'SIGINT');
    await until('the command is gone', () => isGone(cli.pid ?? null));
    expect(await stand.status()).toMatchObject({ pid: status.pid, state: 'ready' });
  });

  test('what the worker finds wrong with the configuration reaches the command, and nothing is left', async () => {
    const fault = { code: 'HUB_UNAUTHORIZED', message: 'no such policy', hint: 'Make one.' };
    const say = `process.send({ failed: ${JSON.stringify(fault)} }, () => process.exit(1))`;
    const failing = { ...stand.options, workerCommand: [process.execPath, '-e', say, '--'] };
    const start = ensureEmbedded(stand.config, failing);
    await expect(start).rejects.toMatchObject(fault);
    expect(stand.servers()).toEqual([]);
    expect(await stand.status()).toBeNull();
  });

  test('a worker that dies without a word is told with its log', async () => {
    const failing = {
      ...stand.options,
      workerCommand: [process.execPath, '-e', 'console.error("oh no")', '--'],
    };
    const error = await ensureEmbedded(stand.config, failing).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HubferryError);
    expect(error).toMatchObject({ code: 'EMBEDDED_FAILED' });
    expect(String(error)).toContain('oh no');
    expect(String(error)).toContain(stand.home.workerLog);
  });
});

describe('a lock file that nobody holds', () => {
  const lockOf = (change: Partial<Lock>): Lock => ({
    state: 'ready',
    id: 'left behind',
    supervisor: { pid: 2 ** 22 - 7, born: 'long ago' },
    version: VERSION,
    config: stand.config,
    started: '',
    port: null,
    uiPort: null,
    server: null,
    worker: null,
    ...change,
  });
  const leave = (text: string): void => {
    prepareHome(stand.home);
    writeFileSync(stand.home.lock, text);
  };

  test('of a dead process is taken over by one of two commands at once', async () => {
    leave(JSON.stringify(lockOf({ port: 1 })));
    const starts = [1, 2].map(() => ensureEmbedded(stand.config, stand.options));
    const addresses = (await Promise.all(starts)).map((server) => server.address);
    expect(new Set(addresses).size).toBe(1);
    expect(stand.servers()).toHaveLength(1);
  });

  test('of a pid that another process has now is taken over, and that process is left alone', async () => {
    const supervisor = { pid: process.pid, born: 'another time' };
    leave(JSON.stringify(lockOf({ supervisor, server: supervisor, worker: supervisor })));
    await ensureEmbedded(stand.config, stand.options);
    expect((await stand.status())?.pid).not.toBe(process.pid);
  });

  test('that cannot be read is taken over', async () => {
    leave('{ "state": "rea');
    await ensureEmbedded(stand.config, stand.options);
    expect((await stand.status())?.state).toBe('ready');
  });

  test('whose server still runs: the orphan is ended, its port and its runs are kept', async () => {
    await ensureEmbedded(stand.config, stand.options);
    await stand.openRun();
    const before = await stand.status();
    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until('the supervisor is gone', () => isGone(before?.pid ?? null));
    expect(isGone(before?.serverPid ?? null)).toBe(false);
    await until('its worker left by itself', () => isGone(before?.workerPid ?? null));

    const { address } = await ensureEmbedded(stand.config, stand.options);
    expect(address).toBe(before?.address);
    expect(isGone(before?.serverPid ?? null)).toBe(true);
    expect(stand.servers()).toHaveLength(1);
    expect((await stand.status())?.open).toMatchObject({ runs: 1 });
  });
});

test('a worker whose supervisor dies while it starts is found by the next command', async () => {
  // It never gets ready, and does not notice the death.
  const hanging = [process.execPath, '-e', 'setInterval(() => undefined, 1e6)', '--'];
  const first = ensureEmbedded(stand.config, { ...stand.options, workerCommand: hanging }).catch(
    () => undefined,
  );
  const before = await until('the lock names the worker', async () => {
    const now = await stand.status();
    return now?.workerPid ? now : null;
  });
  expect(before.state).toBe('starting');
  process.kill(before.pid, 'SIGKILL');
  await first;
  await ensureEmbedded(stand.config, stand.options);
  expect(isGone(before.workerPid)).toBe(true);
});

test('a lock that cannot be written for a while costs nothing', async () => {
  await ensureEmbedded(stand.config, { ...stand.options, idle: 1_000 });
  await stand.openRun();
  const before = await stand.status();
  // Stands for a full disk: the new text of the lock is written there first.
  const draft = `${stand.home.lock}.${before?.pid}`;
  mkdirSync(draft);
  process.kill(before?.workerPid ?? 0, 'SIGKILL');
  await until('the fault is in the log', () =>
    readFileSync(stand.home.supervisorLog, 'utf8').includes('the lock file cannot be written'),
  );
  rmdirSync(draft);
  const after = await until('the lock names the new worker', async () => {
    const now = await stand.status();
    return now?.workerPid === before?.workerPid ? null : now;
  });
  expect(after.pid).toBe(before?.pid);
  expect(isGone(after.workerPid)).toBe(false);
});

describe('a child that dies', () => {
  test('server: comes back on the same port, and a command waits for it', async () => {
    await ensureEmbedded(stand.config, stand.options);
    const before = await stand.status();
    process.kill(before?.serverPid ?? 0, 'SIGKILL');
    await until('the server is gone', () => isGone(before?.serverPid ?? null));

    const { address } = await ensureEmbedded(stand.config, stand.options);
    expect(address).toBe(before?.address);
    const after = await until('the lock names the new server', async () => {
      const now = await stand.status();
      return now?.serverPid === before?.serverPid ? null : now;
    });
    expect(after.pid).toBe(before?.pid);
    expect(await isPortOpen(Number(address.split(':')[1]))).toBe(true);
  });

  test('worker: is started again', async () => {
    await ensureEmbedded(stand.config, stand.options);
    const before = await stand.status();
    process.kill(before?.workerPid ?? 0, 'SIGKILL');
    const after = await until('another worker', async () => {
      const now = await stand.status();
      return now?.workerPid === before?.workerPid ? null : now;
    });
    expect(after.pid).toBe(before?.pid);
    expect(identify(after.workerPid ?? 0)).not.toBeNull();
  });
});
