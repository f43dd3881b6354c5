import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Home, homeOf, prepareHome } from '../../worker/home.js';
import { isHeld, isStill, readLock, releaseLock, rewriteLock, takeLock } from '../../worker/lock.js';
import { identify, type ProcessId } from '../../worker/processes.js';

const alive = identify(process.pid) ?? { pid: process.pid, born: null };
const dead: ProcessId = { pid: 2 ** 22 - 7, born: 'long ago' };
const facts = { supervisor: alive, version: '1', config: { path: '/a.yaml', hash: 'a' } };

let home: Home;
beforeEach(() => {
  home = homeOf(mkdtempSync(join(tmpdir(), 'hubferry-lock-')));
  prepareHome(home);
});
afterEach(() => {
  rmSync(home.folder, { recursive: true });
});

async function take(change: Partial<typeof facts> = {}) {
  const taking = await takeLock(home, { ...facts, ...change });
  if (!taking.taken) throw new Error('it is taken');
  return taking;
}

describe('takeLock', () => {
  test('one of twenty gets a free one', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => takeLock(home, facts)));
    expect(all.filter((taking) => taking.taken)).toHaveLength(1);
  });

  test('one of twenty gets that of a dead process, and learns what it said', async () => {
    const { lock } = await take({ supervisor: dead });
    rewriteLock(home, { ...lock, state: 'ready', port: 7000 });
    const all = await Promise.all(Array.from({ length: 20 }, () => takeLock(home, facts)));
    const [winner, ...others] = all.flatMap((taking) => (taking.taken ? [taking] : []));
    expect(others).toEqual([]);
    expect(winner?.former).toMatchObject({ supervisor: dead, port: 7000 });
    expect(winner?.lock).toMatchObject({ state: 'starting', port: 7000 });
  });

  test('a pid that was born at another time is another process', async () => {
    await take({ supervisor: { pid: process.pid, born: 'another time' } });
    expect(isHeld(readLock(home))).toBe(false);
    await take();
    expect(isHeld(readLock(home))).toBe(true);
  });

  test('a stopped one holds nothing, even if its process lives', async () => {
    const { lock } = await take();
    await releaseLock(home, lock, { ...lock, state: 'stopped' });
    expect(isHeld(readLock(home))).toBe(false);
    expect((await take()).former?.state).toBe('stopped');
  });

  test.each([
    ['the past', -60_000],
    ['the future, since the clock was set back', 3_600_000],
  ])('a guard that a crash left is passed after a while: from %s', async (_when, offset) => {
    const guard = `${home.lock}.guard`;
    writeFileSync(guard, '');
    const made = new Date(Date.now() + offset);
    utimesSync(guard, made, made);
    await take();
    expect(readdirSync(home.folder)).toEqual(['server.json']);
  });
});

test('one who lost the lock neither changes nor removes it', async () => {
  const { lock: lost } = await take({ supervisor: dead });
  const { lock } = await take();
  rewriteLock(home, { ...lost, state: 'ready' });
  await releaseLock(home, lost, null);
  expect(isStill(home, lost)).toBe(false);
  expect(readLock(home)).toEqual(lock);
});

test('the file is for its owner only and complete at any time', async () => {
  const { lock } = await take();
  expect(statSync(home.lock).mode & 0o777).toBe(0o600);
  rewriteLock(home, { ...lock, state: 'ready' });
  expect(readdirSync(home.folder)).toEqual(['server.json']);
});

test.each([
  '',
  '{ "state": "rea',
  '[]',
  '{}',
  JSON.stringify({ ...facts, state: 'odd', id: 'x' }),
  JSON.stringify({ ...facts, state: 'ready', id: 'x', supervisor: { pid: -1 } }),
  JSON.stringify({ ...facts, state: 'ready', id: 'x', config: {} }),
])('what is no lock is read as none: %s', async (text) => {
  writeFileSync(home.lock, text);
  expect(readLock(home)).toBeNull();
  await take();
});
