import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { openStorage } from '../../azure/storage.js';
import { refuseExisting, saveNewKeys, takeNewKeys } from '../../client/new-keys.js';
import { type Config, loadConfig, storageOf } from '../../config/index.js';
import { emptyReport, NEW_KEYS_BLOB, newKeysContainer } from '../../workflows/messages.js';
import { storageOfFile } from '../support/services.js';
import { sharedServices, testRun } from '../support/stand.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));
const config = ((): Config => {
  const path = join(folder, 'hubferry.yaml');
  writeFileSync(
    path,
    `hubs: {}\nstorage: { connectionString: ${JSON.stringify(storageOfFile(sharedServices(inject)))} }\n`,
  );
  return loadConfig({ path });
})();
const storage = openStorage(storageOf(config));

const LINES = '{"deviceId":"a","primaryKey":"p","secondaryKey":"s"}\n';
let run: string;
let said: string;
beforeEach(async () => {
  run = testRun();
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((said += String(text)), true));
  await storage.createContainer(newKeysContainer(run));
  await storage.writeText(newKeysContainer(run), NEW_KEYS_BLOB, LINES);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await storage.deleteContainer(newKeysContainer(run));
});

const report = () => ({
  ...emptyReport({ run, workflow: 'migrate', source: 'a', target: 'b' }),
  newKeys: 1,
});

it('keys are saved for their owner only, and deleted from storage', async () => {
  const file = join(folder, 'keys.jsonl');
  expect(await takeNewKeys(config, report(), file)).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe(LINES);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await storage.containerExists(newKeysContainer(run))).toBe(false);
  expect(said).toContain(file);
  await expect(saveNewKeys(config, run, join(folder, 'again'))).rejects.toMatchObject({
    code: 'KEYS_NOT_FOUND',
  });
});

it('a file is never written over, and keys that cannot be saved stay', async () => {
  const file = join(folder, 'taken.jsonl');
  writeFileSync(file, 'mine');
  expect(() => refuseExisting(file)).toThrow('exists already');
  for (const place of [file, join(folder, 'nowhere', 'keys')]) {
    expect(await takeNewKeys(config, report(), place)).toBe(false);
    expect(await storage.readText(newKeysContainer(run), NEW_KEYS_BLOB)).toBe(LINES);
  }
  expect(readFileSync(file, 'utf8')).toBe('mine');
  expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  expect(said).toContain(`hubferry status ${run} --keys-out FILE`);
});

it('a run without new keys has nothing to save', async () => {
  const { newKeys: _none, ...without } = report();
  expect(await takeNewKeys(config, without, undefined)).toBe(true);
  expect(said).toBe('');
});
