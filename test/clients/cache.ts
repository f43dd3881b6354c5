import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where clients are installed: outside the repository, so that it survives `npm ci` and a fresh clone. */
export const cacheFolder = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'hubferry',
  'clients',
);

/**
 * A folder that is filled once per state of what it is made of: a second run finds it and does not fill it again.
 * @param name what the folder's name begins with.
 * @param parts files by path, and other text, that the content depends on.
 * @param fill may leave anything behind when it fails: the next run begins anew.
 * @returns the folder, and whether it was there.
 */
export async function filledFolder(
  name: string,
  parts: { readonly files: readonly string[]; readonly text: string },
  fill: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string; readonly reused: boolean }> {
  const hash = createHash('sha256').update(parts.text);
  for (const file of parts.files) hash.update(readFileSync(file));
  const folder = join(cacheFolder, `${name}-${hash.digest('hex').slice(0, 12)}`);
  const stamp = join(folder, 'complete');
  if (existsSync(stamp)) return { folder, reused: true };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await fill(folder);
  writeFileSync(`${stamp}.new`, '');
  renameSync(`${stamp}.new`, stamp);
  return { folder, reused: false };
}
