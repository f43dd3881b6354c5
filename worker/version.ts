import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { textOf } from './unknown.js';

/** Folder of hubferry's package.json: one level up in a checkout, two levels up from dist/. */
function findPackageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function readVersion(): string {
  const text = readFileSync(join(findPackageFolder(), 'package.json'), 'utf8');
  return textOf(JSON.parse(text), 'version') ?? '0.0.0';
}

/** hubferry's own version: what a running supervisor is compared with, and the first part of a worker's build id. */
export const VERSION = readVersion();
