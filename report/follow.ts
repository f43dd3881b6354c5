import type { RunReport } from '../workflows/messages.js';
import { count, duration } from './format.js';
import { type Html, html } from './html.js';
import { section, table, utc } from './parts.js';

/** The passes of a run that follows its source, and what it did to it; null for other runs. */
export function followPart({ follow }: RunReport): Html | null {
  if (follow === undefined) return null;
  const { passes, count: all, disabled, cutBack } = follow;
  const first = all - passes.length + 1;
  const numbers = ['create', 'update', 'delete'].map((name) => ({ name, number: true }));
  return section(
    'Passes',
    table(
      all > passes.length ? `the last ${count(passes.length)} of ${count(all)} passes` : 'passes',
      [{ name: 'pass' }, { name: 'began' }, ...numbers, { name: 'time', number: true }, { name: 'outcome' }],
      passes.map((pass, i) => [
        `${first + i}`,
        utc(pass.started),
        count(pass.create),
        count(pass.update),
        count(pass.delete),
        duration(pass.seconds * 1000),
        pass.outcome,
      ]),
    ),
    disabled === undefined
      ? null
      : html`<p>Run <code>${disabled.run}</code> has disabled ${count(disabled.devices)} devices of the source for the cut-over.</p>`,
    cutBack === undefined
      ? null
      : html`<p>Run <code>${cutBack.run}</code> has enabled ${count(cutBack.devices)} of them again: ${cutBack.why}.</p>`,
  );
}
