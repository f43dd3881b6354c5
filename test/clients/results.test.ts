import { describe, expect, it } from 'vitest';
import { allPassed, notStarted, readResults, report } from './results.js';

/** Output of a script with so many operations that passed. */
function passes(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `ok operation ${i}`);
}

const failuresOf = (operations: ReturnType<typeof readResults>) =>
  operations.filter(({ why }) => why !== undefined);

describe("a client's output", () => {
  it('counts operations, and says why one failed', () => {
    const lines = ['1..31', ...passes(30), 'not ok devices - get: KeyError: it: is gone'];
    const operations = readResults(lines, 1);
    expect(operations).toHaveLength(31);
    expect(failuresOf(operations)).toEqual([{ name: 'devices - get', why: 'KeyError: it: is gone' }]);
  });

  it('passes over other lines', () => {
    expect(readResults(['1..30', 'a warning', ...passes(30)], 0)).toHaveLength(30);
  });

  it('fails when the script died half-way', () => {
    expect(failuresOf(readResults(['1..40', ...passes(35)], 0))).toEqual([
      { name: '(plan)', why: '35 of 40 operations reported' },
    ]);
    expect(failuresOf(readResults(['1..30', ...passes(30)], null))).toEqual([
      { name: '(script)', why: 'exit code null with 0 failed operations' },
    ]);
  });

  it('fails when a script does less than it must', () => {
    expect(failuresOf(readResults(['1..29', ...passes(29)], 0))).toEqual([
      { name: '(plan)', why: '29 operations planned, at least 30 expected' },
    ]);
    expect(failuresOf(readResults([], 1)).length).toBeGreaterThan(0);
  });

  it('becomes a table, and the reasons below it', () => {
    const operations = readResults(['1..30', ...passes(29), 'not ok last: why not'], 1);
    const results = [{ client: 'Python', versions: 'x 1', operations, seconds: 2.345 }];
    expect(report(results).split('\n')).toEqual([
      'client  versions  operations  passed  failed  seconds',
      'Python  x 1       30          29      1       2.3',
      '',
      'Python: last',
      '  why not',
      '',
    ]);
    expect(allPassed(results)).toBe(false);
  });

  it('is one failure when the client could not be started', () => {
    const result = notStarted('Java', new Error("'mvn' is not installed, or not on PATH"));
    expect(allPassed([result])).toBe(false);
    expect(report([result])).toContain("Java: (install)\n  'mvn' is not installed, or not on PATH");
  });
});
