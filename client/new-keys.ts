import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Config } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { NEW_KEYS_BLOB, newKeysContainer, type RunReport } from '../workflows/messages.js';
import { say } from './print.js';
import { storageWithKeys } from './session.js';
import { count } from './text.js';

/** The file that a run's new keys are saved in, unless another one is named. */
const fileOf = (run: string): string => `hubferry-keys-${run}.jsonl`;

/** A file for keys is never written over. @throws HubferryError USAGE */
export function refuseExisting(file: string | undefined): void {
  if (file !== undefined && existsSync(file))
    throw new HubferryError('USAGE', `${file} exists already.`, 'Name a file that is not there yet.');
}

/**
 * Saves the keys that a run made in a file that only its owner can read, and deletes them from storage.
 *
 * @throws HubferryError KEYS_NOT_FOUND where there are none, or none any more; KEYS_NOT_SAVED, then they stay where they are
 */
export async function saveNewKeys(config: Config, run: string, file = fileOf(run)): Promise<string> {
  const storage = await storageWithKeys(config);
  const container = newKeysContainer(run);
  if (!(await storage.containerExists(container)))
    throw new HubferryError('KEYS_NOT_FOUND', `Run ${run} made no keys, or they were fetched already.`);
  const chunks = await storage.read(container, NEW_KEYS_BLOB);
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'wx', 0o600);
    for await (const chunk of chunks) await handle.write(chunk);
    await handle.sync();
  } catch (error) {
    // Half a file would be taken for a whole one.
    if (handle !== undefined) await rm(file, { force: true });
    if (error instanceof HubferryError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new HubferryError('KEYS_NOT_SAVED', `The new keys cannot be saved in ${file} (${code}).`);
  } finally {
    await handle?.close();
  }
  await storage.deleteContainer(container);
  return file;
}

/** At the end of a run: saves the keys it made, or says how to come by them. @returns whether nothing is left to do. */
export async function takeNewKeys(
  config: Config,
  { run, newKeys = 0 }: RunReport,
  file: string | undefined,
): Promise<boolean> {
  if (newKeys === 0) return true;
  try {
    say(
      `The keys of ${count(newKeys)} records were made anew; they are in ${await saveNewKeys(config, run, file)}`,
    );
    return true;
  } catch (error) {
    if (!(error instanceof HubferryError)) throw error;
    say(`${error.code}: ${error.message}\nFetch them with: hubferry status ${run} --keys-out FILE`);
    return false;
  }
}
