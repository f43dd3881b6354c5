import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ROOT, read } from './pages.js';
import { referencePages } from './reference.js';

const pages = referencePages();
const COMMAND = 'run: npm run docs:reference';

it('docs/reference has a page for every verb, and no other', () => {
  const there = readdirSync(`${ROOT}docs/reference`);
  expect(there.toSorted(), COMMAND).toEqual([...pages.keys()].toSorted());
});

it.each([...pages.keys()])('docs/reference/%s is what --help prints', (name) => {
  expect(read(`docs/reference/${name}`), COMMAND).toBe(pages.get(name));
});
