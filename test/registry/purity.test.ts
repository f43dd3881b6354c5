import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const room = new URL('../../registry/', import.meta.url);
const files = readdirSync(room).filter((name) => name.endsWith('.ts'));

test.each(files)('%s imports only files of its room, and node:crypto only in digest.ts', (name) => {
  const text = readFileSync(new URL(name, room), 'utf8');
  const imports = [...text.matchAll(/\bfrom '([^']+)'/g)].map(([, from]) => from);
  const foreign = imports.filter((from) => from?.startsWith('./') !== true);
  expect(foreign).toStrictEqual(name === 'digest.ts' ? ['node:crypto'] : []);
  expect(text).not.toMatch(/\bimport\(|\brequire\(/);
  // The workflow sandbox has neither; no workflow digests or reads a line.
  if (name !== 'digest.ts' && name !== 'scan-line.ts') expect(text).not.toMatch(/\b(?:Buffer|process)\b[.(]/);
});

test('nothing but digests of plans depends on digest.ts', () => {
  for (const name of files) {
    expect(readFileSync(new URL(name, room), 'utf8')).not.toContain("from './digest.js'");
  }
});
