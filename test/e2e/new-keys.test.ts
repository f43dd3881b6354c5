import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { openRawStorage, openStorage } from '../../azure/storage.js';
import { refuseExisting, saveNewKeys, takeNewKeys } from '../../client/new-keys.js';
import { storageWithKeys } from '../../client/session.js';
import { type Config, loadConfig, storageOf } from '../../config/index.js';
import { emptyReport, NEW_KEYS_BLOB, newKeysContainer } from '../../workflows/messages.js';
import { storageOfFile } from '../support/services.js';
import { sharedServices, testRun } from '../support/stand.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));
const configOf = (name: string, more = ''): Config => {
  const path = join(folder, name);
  writeFileSync(
    path,
    `hubs: {}\nstorage: { connectionString: ${JSON.stringify(storageOfFile(sharedServices(inject)))} }\n${more}`,
  );
  return loadConfig({ path });
};
const config = configOf('hubferry.yaml');
const KEYS = `keys: { k1: "${Buffer.alloc(32, 1).toString('base64')}" }\nsettings: { keyId: k1 }\n`;
const sealing = configOf('sealing.yaml', KEYS);
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

it('sealed keys arrive as they are, and of damaged ones there is not half a file', async () => {
  const sealed = await storageWithKeys(sealing);
  const lines = LINES.repeat(2_000);
  const container = newKeysContainer(run);
  const fill = async (): Promise<void> => void (await sealed.writeText(container, NEW_KEYS_BLOB, lines));
  await fill();
  const raw = openRawStorage(storageOf(sealing));
  const bytes: Buffer[] = [];
  for await (const chunk of await raw.read(container, NEW_KEYS_BLOB)) bytes.push(chunk);
  const damaged = Buffer.concat(bytes);
  expect(damaged.includes('primaryKey')).toBe(false);
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  await raw.write(container, NEW_KEYS_BLOB, damaged, { contentType: 'application/vnd.hubferry.sealed' });

  const file = join(folder, 'sealed.jsonl');
  await expect(saveNewKeys(sealing, run, file)).rejects.toMatchObject({ code: 'SEAL_BROKEN' });
  expect(existsSync(file)).toBe(false);
  await fill();
  await expect(saveNewKeys(config, run, file)).rejects.toMatchObject({ code: 'KEY_UNKNOWN' });
  await saveNewKeys(sealing, run, file);
  expect(readFileSync(file, 'utf8')).toBe(lines);
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
