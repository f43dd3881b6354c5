import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../registry/errors.js';
import { isRefusalCode } from '../../registry/refusal.js';
import { WARNINGS } from '../../registry/warnings.js';
import { read, section, sources } from './pages.js';

const PAGE = read('docs/errors.md');

/** The codes in the first column of a section's tables. */
function listed(heading: string): string[] {
  return [...section(PAGE, heading).matchAll(/^\| `(\w+)` \|/gm)].map(([, code = '']) => code);
}

describe('docs/errors.md', () => {
  it('lists every error with its exit code, and whether it is tried again', () => {
    const rows = [...PAGE.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \|/gm)];
    const told = rows.map(([, code = '', exit, again]) => [
      code,
      { exit: Number(exit), retryable: again === 'yes' },
    ]);
    const known = Object.entries(ERRORS).map(([code, { exit, retryable }]) => [code, { exit, retryable }]);
    expect(told.length).toBe(new Set(rows.map(([, code]) => code)).size);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(known));
  });

  it('lists every error that lets a run rest', () => {
    const rows = section(PAGE, '## Faults that let a run rest').match(/^\| `.*? \|/gm) ?? [];
    const told = rows.flatMap((row) => [...row.matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => code));
    const known = Object.entries(ERRORS).flatMap(([code, { parks }]) => (parks ? [code] : []));
    expect(told.toSorted()).toEqual(known.toSorted());
  });

  it('lists every refusal', () => {
    const codes = [...read('registry/refusal.ts').matchAll(/^ {2}([A-Z_]+):/gm)].map(([, code = '']) => code);
    expect(codes.every(isRefusalCode)).toBe(true);
    expect(listed('## Refusals').toSorted()).toEqual(codes.toSorted());
  });

  it('lists rejections that the code knows', () => {
    const texts = sources(['registry', 'activities']).map(({ text }) => text);
    const unknown = listed('## Rejections').filter((code) => !texts.some((text) => text.includes(code)));
    expect(unknown).toEqual([]);
  });

  it('lists every warning that a run or a check gives, in the words of reports', () => {
    const used = sources(['workflows', 'activities']).flatMap(({ text }) =>
      [...text.matchAll(/(?:\.warn\(|warning:)\s*'([A-Z_]+)'/g)].map(([, code = '']) => code),
    );
    expect(used.length).toBeGreaterThan(0);
    expect(Object.keys(WARNINGS).toSorted()).toEqual([...new Set(used)].toSorted());
    const rows = section(PAGE, '## Warnings').match(/^\| `.*$/gm);
    const known = Object.entries(WARNINGS).map(
      ([code, { meaning, next }]) => `| \`${code}\` | ${meaning} | ${next} |`,
    );
    expect(rows).toEqual(known);
  });
});
