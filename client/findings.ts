import type { Finding } from '../activities/check.js';
import { fold, joined, plain } from './text.js';

/** A row of the table, and what was asked. */
interface Row {
  readonly result: string;
  readonly check: string;
  readonly said: string;
  readonly hint: string | null;
}

const HEAD = { result: '', check: 'check', said: 'what came of it' };

/**
 * What a check found as a table for a person: a block for each subject, a row for each check, below a failed one what to
 * do, and how many failed.
 *
 * @param nameOf what a subject is called at the head of its block
 * @param width columns
 */
export function findingsText(
  findings: readonly Finding[],
  nameOf: (subject: string) => string,
  width: number,
): string {
  const rows = findings.map(({ ok, warning, check, detail, hint }): Row => {
    const result = ok ? (warning === undefined ? 'ok' : 'WARNING') : 'FAILED';
    return { result, check, said: plain(detail), hint };
  });
  const widest = (cells: readonly string[]): number => Math.max(...cells.map(({ length }) => length));
  const results = widest(['FAILED', ...rows.map(({ result }) => result)]);
  const checks = widest([HEAD.check, ...rows.map(({ check }) => check)]);
  const start = (result: string, check: string): string =>
    `  ${result.padEnd(results)}  ${check.padEnd(checks)}  `;
  const lines = [`${start(HEAD.result, HEAD.check)}${HEAD.said}`];
  let subject = '';
  for (const [place, { result, check, said, hint }] of rows.entries()) {
    const { subject: own = '' } = findings[place] ?? {};
    if (own !== subject) lines.push(...fold(nameOf(own), width));
    subject = own;
    const first = start(result, check);
    lines.push(...fold(`${first}${said}`, width, first.length - 2));
    if (hint !== null) lines.push(...fold(`${' '.repeat(first.length)}${hint}`, width, 0));
  }
  return joined([...lines, '', ...fold(summary(findings, nameOf), width)]);
}

function summary(findings: readonly Finding[], nameOf: (subject: string) => string): string {
  const failed = findings.filter(({ ok }) => !ok);
  const warned = findings.filter(({ warning }) => warning !== undefined).length;
  const minded = warned === 0 ? '' : ` ${warned} of them with a warning.`;
  if (failed.length === 0) return `All ${findings.length} checks passed.${minded}`;
  const places = failed.map(({ check, subject }) => `${check} (${nameOf(subject)})`);
  return `${failed.length} of ${findings.length} checks failed: ${places.join(', ')}.`;
}
