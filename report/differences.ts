import type { RunReport } from '../workflows/messages.js';
import { count } from './format.js';
import { type Html, html, named } from './html.js';
import { section, table } from './parts.js';
import { KIND_NAMES, KINDS } from './words.js';

/** A line of the file of differences: no content, only what about a record, and the names of its fields. */
export interface DifferenceLine {
  readonly record: string;
  readonly difference: string;
  readonly fields: readonly string[];
  readonly code: string | null;
}

/** Examples of each kind of difference and of each field. */
const EACH = 3;

/** Examples that are shown at most. */
const MOST = 40;

/** What stands at the beginning of a file of differences; what is cut or damaged is left out. */
export function readDifferences(head: string): DifferenceLine[] {
  return head.split('\n').flatMap((line) => {
    const read = parsed(line);
    return read === null ? [] : [read];
  });
}

function parsed(line: string): DifferenceLine | null {
  try {
    const { record, difference, fields, code } = JSON.parse(line) as Partial<Record<string, unknown>>;
    if (typeof record !== 'string' || typeof difference !== 'string') return null;
    const names = Array.isArray(fields) ? fields.filter((field) => typeof field === 'string') : [];
    return { record, difference, fields: names, code: typeof code === 'string' ? code : null };
  } catch {
    return null;
  }
}

/** The first few of each kind, and of each field that differs, in their order. */
export function examples(lines: readonly DifferenceLine[]): DifferenceLine[] {
  const shown = new Map<string, number>();
  return lines
    .filter(({ difference, fields }) => {
      const about = fields.length === 0 ? [difference] : fields.map((field) => `${difference} ${field}`);
      const wanted = about.some((what) => (shown.get(what) ?? 0) < EACH);
      if (wanted) for (const what of about) shown.set(what, (shown.get(what) ?? 0) + 1);
      return wanted;
    })
    .slice(0, MOST);
}

const FOUND = ['match', 'kept', 'different', 'missing', 'extra'] as const;

/** What does not match: by kind of record, by field, and by example. */
export function differencesPart(report: RunReport, lines: readonly DifferenceLine[]): Html | null {
  const { found = {}, fields, differences } = report;
  const kinds = KINDS.flatMap((kind) => {
    const counts = FOUND.map((what) => found[kind]?.[what] ?? 0);
    return counts.every((n) => n === 0) ? [] : [[KIND_NAMES[kind], ...counts.map(count)]];
  });
  const differing = Object.entries(fields).toSorted(([, a], [, b]) => b - a);
  const most = Math.max(1, ...differing.map(([, n]) => n));
  const shown = examples(lines);
  const open = differing.length > 0 || shown.length > 0;
  if (!open && kinds.length === 0) return null;
  return section(
    'Differences',
    open ? null : html`<p>None is left.</p>`,
    kinds.length > 0
      ? table(
          'records by kind',
          [{ name: 'kind' }, ...FOUND.map((what) => ({ name: what, number: true }))],
          kinds,
        )
      : null,
    differing.length > 0
      ? table(
          'different records by field',
          [{ name: 'field' }, { name: 'records', number: true }, { name: 'share' }],
          differing.map(([field, n]) => [named(field), count(n), bar(n / most)]),
        )
      : null,
    shown.length > 0
      ? html`${table(
          'examples',
          [{ name: 'record' }, { name: 'what' }, { name: 'fields' }],
          shown.map(({ record, difference, fields: which, code }) => [
            named(record),
            difference,
            which.length > 0 ? which.join(', ') : (code ?? ''),
          ]),
        )}<p>Keys are only said to differ.${differences === undefined ? null : html` The whole list, record by record, is in storage: ${named(differences)}`}</p>`
      : null,
  );
}

function bar(share: number): Html {
  const width = Math.max(1, Math.round(share * 100)) || 1;
  return html`<span class="bar"><span style="width:${width}%"></span></span>`;
}
