import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { endProcess, findByArguments, identify, isAlive, type ProcessId } from '../../worker/processes.js';
import { until } from '../support/until.js';

const started: number[] = [];
afterEach(() => {
  for (const pid of started.splice(0)) if (identify(pid)) process.kill(pid, 'SIGKILL');
});

async function start(code: string, ...args: string[]): Promise<ProcessId> {
  const child = spawn(
    process.execPath,
    ['-e', `${code}; console.log('up'); setInterval(() => 0, 1e6)`, ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(child.stdout, 'data');
  started.push(child.pid ?? 0);
  const known = identify(child.pid ?? 0);
  if (known === null) throw new Error('it did not start');
  return known;
}

test('a process is told from one that had its pid before', () => {
  const self = identify(process.pid);
  expect(self?.born).toBeTruthy();
  expect(isAlive({ pid: process.pid, born: self?.born ?? null })).toBe(true);
  expect(isAlive({ pid: process.pid, born: 'another time' })).toBe(false);
  expect(identify(2 ** 22 - 7)).toBeNull();
});

test('endProcess ends with SIGTERM, and with SIGKILL what does not listen', async () => {
  const willing = await start('0');
  await endProcess(willing, 10_000);
  expect(isAlive(willing)).toBe(false);

  const stubborn = await start(`process.on('SIGTERM', () => 0)`);
  await endProcess(stubborn, 100);
  expect(isAlive(stubborn)).toBe(false);
});

test('endProcess gives up on a process that no signal ends', async () => {
  const strangers = await start('0');
  const kill = vi.spyOn(process, 'kill').mockImplementation((_pid, signal) => {
    if (signal === 0) return true;
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  });
  try {
    const ending = endProcess(strangers, 20, 20);
    await expect(ending).rejects.toMatchObject({ code: 'EMBEDDED_FAILED' });
    await expect(ending).rejects.toThrow(`Process ${strangers.pid} `);
  } finally {
    kill.mockRestore();
  }
});

test('endProcess leaves a process alone that only has the pid', async () => {
  const child = await start('0');
  await endProcess({ pid: child.pid, born: 'another time' }, 0);
  expect(isAlive(child)).toBe(true);
});

test('a zombie counts as dead', async () => {
  // The shell that starts it never collects it.
  const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started.push(shell.pid ?? 0);
  const [output] = await once(shell.stdout, 'data');
  await until('it is dead', () => identify(Number(String(output))) === null);
});

test('findByArguments finds neighbours on a command line, blanks included', async () => {
  const path = `/tmp/a folder/${process.pid}.db`;
  const child = await start('0', '--', '--db-filename', path);
  expect(findByArguments('--db-filename', path)).toEqual([child]);
  expect(findByArguments('--db-filename', `${path}-journal`)).toEqual([]);
  expect(findByArguments(path, '--db-filename')).toEqual([]);
});
