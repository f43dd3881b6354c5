import { plain } from './format.js';

/** A piece of a page that is markup already. Only `html` and charts make any. */
export interface Html {
  readonly html: string;
}

/** What may stand in a template: markup as it is, texts and numbers escaped, null as nothing. */
export type Part = Html | string | number | null | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A text as it may stand between tags and in quoted attributes: nothing in it is markup, nothing steers. */
export function escaped(text: string): string {
  return plain(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** Markup from a template: whatever is put into it stays text, unless it is markup of ours. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: texts.map((text, i) => text + markup(parts[i] ?? null)).join('') };
}

function markup(part: Part): string {
  if (part === null) return '';
  if (typeof part === 'string') return escaped(part);
  if (typeof part === 'number') return String(part);
  return 'html' in part ? part.html : part.map(markup).join('');
}

/** Words of ours, in which code stands between backticks. */
export function marked(text: string): Html {
  return html`${text.split('`').map((piece, i) => (i % 2 === 0 ? piece : html`<code>${piece}</code>`))}`;
}

/** A name from a registry or a hub: its own direction of writing turns nothing around it. */
export function named(text: string): Html {
  return html`<bdi class="name">${text}</bdi>`;
}
