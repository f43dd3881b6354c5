import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { homeOf, lastUse, noteUse, prepareHome } from '../../worker/home.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hubferry-home-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('is the folder named, else HUBFERRY_HOME, else the user’s data folder', () => {
  const env = { HUBFERRY_HOME: '/srv/h', XDG_DATA_HOME: '/data', HOME: '/home/me' };
  expect(homeOf('/given', env).folder).toBe('/given');
  expect(homeOf(undefined, env).folder).toBe('/srv/h');
  expect(homeOf(undefined, { HOME: '' }).folder).toContain(userInfo().homedir);
  if (process.platform === 'darwin') return;
  expect(homeOf(undefined, { ...env, HUBFERRY_HOME: '' }).folder).toBe('/data/hubferry');
  expect(homeOf(undefined, { HOME: '/home/me' }).folder).toBe('/home/me/.local/share/hubferry');
});

test('a new or empty folder becomes its owner’s only; one with other things in it is left as it is', () => {
  prepareHome(homeOf(join(folder, 'a', 'new')));
  expect(modeOf(join(folder, 'a', 'new'))).toBe('700');
  mkdirSync(join(folder, 'empty'));
  chmodSync(join(folder, 'empty'), 0o755);
  prepareHome(homeOf(join(folder, 'empty')));
  expect(modeOf(join(folder, 'empty'))).toBe('700');
  chmodSync(folder, 0o755);
  prepareHome(homeOf(folder));
  expect(modeOf(folder)).toBe('755');
});

test('files of ours that somebody put there become their owner’s only; others are left as they are', () => {
  const home = homeOf(folder);
  const ours = [home.database, `${home.database}-wal`, home.lock, home.workerLog, `${home.workerLog}.1`];
  const other = join(folder, 'temporal.db.notes');
  for (const file of [...ours, other]) writeFileSync(file, '', { mode: 0o644 });
  prepareHome(home);
  expect(ours.map(modeOf)).toEqual(ours.map(() => '600'));
  expect(modeOf(other)).toBe('644');
});

test('a path that is no folder is told', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => prepareHome(homeOf(join(folder, 'file')))).toThrow('cannot be used');
});

test('noteUse keeps the time of the last use', () => {
  const home = homeOf(folder);
  expect(lastUse(home)).toBe(0);
  const before = Date.now();
  noteUse(home);
  expect(lastUse(home)).toBeGreaterThanOrEqual(before - 1);
  expect(existsSync(home.used)).toBe(true);
  expect(modeOf(home.used)).toBe('600');
});
