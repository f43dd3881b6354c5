import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUNDLE_FILE, sealedBundleOf } from './bundling.js';
import { VERSION } from './version.js';

/** All that a worker runs, beside its dependencies, which a version pins. */
const FOLDERS = ['activities', 'azure', 'config', 'registry', 'report', 'worker', 'workflows'];

/** Digits of the hash that are shown: enough to tell builds of one version apart. */
const DIGITS = 12;

/**
 * What a worker's build is called unless it is given a name: the version, and a hash of the code beside this file. It is
 * the same on every machine that has the same package; a checkout under tsx has another one.
 *
 * Not the hash of a bundle of the workflows, which Temporal takes by default: that depends on the folder it was made in.
 */
export function buildId(): string {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
  );
  const hash = createHash('sha256');
  const bundles = [BUNDLE_FILE, sealedBundleOf(BUNDLE_FILE)];
  const isCode = (file: string): boolean =>
    /(?<!\.d)\.c?[jt]s$/.test(file) && !bundles.includes(join(root, file));
  for (const file of files.filter(isCode).toSorted())
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  return `${VERSION}+${hash.digest('hex').slice(0, DIGITS)}`;
}
