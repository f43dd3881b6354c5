import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isErrorCode } from '../../registry/errors.js';
import { WARNINGS } from '../../registry/warnings.js';
import { ROOT, read, section } from './pages.js';

const SECTION = section(read('docs/reliability.md'), '## Faults of jobs');

/** The cells of the rows of its tables, by number of columns. */
function rows(columns: number): string[][] {
  return SECTION.split('\n')
    .filter((line) => line.startsWith('|') && !/^\|(?:---\|)+$/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter((cells) => cells.length === columns)
    .slice(1);
}

/** All tests. */
const TESTS = (readdirSync(`${ROOT}test`, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts'))
  .map((name) => read(`test/${name}`))
  .join('\n');

/** Whether a title of a test ends so. */
const isTitle = (words: string): boolean => words !== '' && TESTS.includes(`${words}',`);

describe('docs/reliability.md', () => {
  const faults = rows(5);
  const line = rows(3);

  it('names a code that exists for each fault of a job, and a job of the hub', () => {
    expect(faults.length).toBeGreaterThan(25);
    for (const [fault = '', job = '', , code = ''] of faults) {
      const [, name = ''] = /^`(\w+)`$/.exec(code) ?? [];
      expect(code === '' || isErrorCode(name) || Object.hasOwn(WARNINGS, name), fault).toBe(true);
      expect(['export', 'import', 'both'], fault).toContain(job);
    }
  });

  it('names a test for each of them', () => {
    const named = [...faults, ...line].map((cells) => cells.at(-1) ?? '');
    expect(line.length).toBeGreaterThan(4);
    expect(named.filter((title) => !isTitle(title))).toEqual([]);
  });
});
