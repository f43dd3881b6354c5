import type { RunReport } from '../workflows/messages.js';
import { type Html, html, type Part } from './html.js';

/** Of jobs and stages this many are shown at most. */
export const MOST_SHOWN = 500;

/** Tables with more rows are folded away until somebody opens them. */
const FOLDED_FROM = 40;

/** One part of a page, with its heading. */
export function section(title: string, ...body: readonly Part[]): Html {
  const id = title.toLowerCase().replaceAll(/\W+/g, '-');
  return html`
<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
<div class="body">${body}</div>
</section>`;
}

/** A column of a table; numbers are aligned to the right. */
export interface Column {
  readonly name: string;
  readonly number?: boolean;
}

/** Tables with more columns, or with texts, are no tables on a narrow screen: each row is a paragraph there. */
const COLUMNS_THERE = 5;

/** A table, of which the first cell of a row says what the row is about. */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Part[])[]): Html {
  const cell = (part: Part, i: number): Html => {
    const align = columns[i]?.number ? ' class="number"' : '';
    return i === 0
      ? html`<th scope="row">${part}</th>`
      : html`<td${{ html: align }} data-name="${columns[i]?.name ?? ''}">${part}</td>`;
  };
  const texts = columns.filter(({ number }) => !number).length;
  const wide = columns.length > COLUMNS_THERE || texts > 2;
  const drawn = html`
<table class="${wide ? 'wide-one' : 'plain'}">
<caption>${caption}</caption>
<thead><tr>${columns.map(({ name, number }) =>
    number ? html`<th scope="col" class="number">${name}</th>` : html`<th scope="col">${name}</th>`,
  )}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody>
</table>`;
  if (rows.length <= FOLDED_FROM) return drawn;
  return html`<details><summary>${caption}: ${rows.length} rows</summary>${drawn}</details>`;
}

/** What a hub is to a run, in a word. */
export function roleOf({ source, target }: Pick<RunReport, 'source' | 'target'>, host: string): string {
  return host === target ? 'target' : host === source ? 'source' : host;
}

/** "2026-08-01 12:00:00 UTC"; a text that is no time stays as it is. */
export function utc(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
