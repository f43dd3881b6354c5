import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { reportText } from '../../client/print.js';
import { plain } from '../../report/format.js';
import { reportPage } from '../../report/page.js';
import type { RunReport } from '../../workflows/messages.js';
import { REPORTS } from '../support/reports.js';

/** Members of a report whose texts come from a registry, a hub or a user. */
const FROM_OUTSIDE = new Set(
  (
    'source target hub schedule record reason code message samples name before after failureReason undone ' +
    'field extra server'
  ).split(' '),
);

/** A copy in which every text from outside is another one. */
function infected(value: unknown, text: string, outside = false): unknown {
  if (typeof value === 'string') return outside ? text : value;
  if (Array.isArray(value)) return value.map((item) => infected(item, text, outside));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, infected(item, text, FROM_OUTSIDE.has(name))]),
  );
}

/** Texts of pieces that mean something to a terminal, a browser, a shell or a template, and of anything else. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom('\u001b[2J', '\u001b]0;x\u0007', '\r', '\n', '\u009b31m', '\u202e', '\u2028', '\u0000'),
      fc.constantFrom('<script>', '</script>', '"', "'", '<!--', '-->', ']]>', '&lt;', '<svg onload=x>', '`'),
      fc.constantFrom('{{7*7}}', '${x}', '$(x)', '%s', '{a|b}', '\ud800', '\udc00', 'javascript:x', '\\'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((pieces) => pieces.join(''));

const reports = Object.values(REPORTS).map(({ report, extras }) => ({
  report,
  extras,
  tags: new Set(tagsOf(reportPage(report, extras))),
}));

const SEEDED = { seed: 20_261_128 };

it('whatever a text from outside is, it steers no terminal', () => {
  fc.assert(
    fc.property(fc.constantFrom(...reports), hostile, ({ report }, text) => {
      const shown = reportText(infected(report, text) as RunReport);
      expect(shown.split('\n').filter((row) => plain(row) !== row)).toEqual([]);
    }),
    { ...SEEDED, numRuns: 100 },
  );
});

it('whatever a text from outside is, it marks up no page', () => {
  fc.assert(
    fc.property(fc.constantFrom(...reports), hostile, ({ report, extras, tags }, text) => {
      const page = reportPage(infected(report, text) as RunReport, extras);
      expect(page.split('\n').filter((row) => plain(row) !== row)).toEqual([]);
      // What is left are tags and the names of their attributes.
      const markup = page.replaceAll(/>[^<]*</g, '><').replaceAll(/"[^"]*"/g, '""');
      expect(markup).not.toMatch(/\son\w+\s*=|<!--/i);
      expect(tagsOf(page).filter((tag) => !tags.has(tag))).toEqual([]);
    }),
    { ...SEEDED, numRuns: 12 },
  );
});

function tagsOf(page: string): string[] {
  return [...page.matchAll(/<([a-zA-Z][\w-]*)/g)].map(([, tag = '']) => tag);
}
