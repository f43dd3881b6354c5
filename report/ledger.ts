import type { Ledger } from '../registry/ledger.js';
import type { RunReport } from '../workflows/messages.js';
import { type Flow, type FlowNode, flowChart, isWidened, type Tone } from './charts.js';
import { count } from './format.js';
import { type Html, html } from './html.js';
import { section } from './parts.js';
import { comparisonOf, type Equation, ledgerRows, partsOf, VERIFY_TERMS } from './words.js';

const TONES: Readonly<Record<string, Tone>> = {
  source: 'accent',
  desired: 'accent',
  create: 'accent',
  update: 'second',
  delete: 'bad',
  planned: 'accent',
  unchanged: 'good',
  applied: 'good',
  kept: 'warn',
  uncertain: 'warn',
  refused: 'bad',
  rejected: 'bad',
};

/** What became of the records: as a diagram, and as equations. */
export function ledgerPart(report: RunReport): Html | null {
  const { ledger, verify, workflow, outcome } = report;
  // Nothing was counted yet; an empty hub that was moved to its end is another matter.
  if (ledger.source === 0 && verify === null && outcome !== 'verified' && outcome !== 'done') return null;
  const { nodes, flows } = flowsOf(ledger);
  const told = flows.map(({ from, to, count: n }) => `${from} to ${to} ${count(n)}`);
  const drawn =
    workflow === 'snapshot' || flows.length < 2
      ? null
      : html`<figure>${flowChart(`Flow of records: ${told.join(', ')}.`, nodes, flows)}${isWidened(flows) ? html`<figcaption>Very small flows are drawn wider than they are; the numbers are exact.</figcaption>` : null}</figure>`;
  const compared: readonly Equation[] = verify ? [['compared', verify.compared, verify, VERIFY_TERMS]] : [];
  // Those that the plan deletes are in its ledger.
  const extra = verify ? verify.extra - (comparisonOf(report) === 'verify' ? 0 : ledger.delete) : 0;
  return section(
    'Ledger',
    html`<p>Every record that was read is accounted for.</p>`,
    drawn,
    equations('records', [...ledgerRows({ workflow, ledger }), ...compared]),
    extra > 0
      ? html`<p class="note">${count(extra)} ${extra === 1 ? 'record is' : 'records are'} only on the target, and left alone.</p>`
      : null,
    partsOf(report).map(([what, part]) => equations(what, ledgerRows({ workflow, ledger: part }))),
  );
}

/** Sums and what they are made of. */
function equations(what: string, rows: readonly Equation[]): Html {
  return html`
<table class="equations">
<caption>${what}</caption>
<thead><tr><th scope="col">count</th><th scope="col" class="number">sum</th><th scope="col">is made of</th></tr></thead>
<tbody>
${rows.map(([sum, total, counts, terms]) => {
  const values = counts as Readonly<Record<string, number>>;
  const added = terms.reduce((all, term) => all + (values[term] ?? 0), 0);
  return html`<tr><th scope="row">${sum}</th><td class="number">${count(total)}</td><td>${terms.map(
    (term, i) => {
      const sign = i > 0 ? '+' : added === total ? '=' : '≠';
      const n = values[term] ?? 0;
      return html`<span class="term${n === 0 ? ' none' : ''}"><span class="sign">${sign}</span>${term} <b>${count(n)}</b></span> `;
    },
  )}</td></tr>\n`;
})}</tbody>
</table>`;
}

/** The ledger as flows, without what there is none of. */
export function flowsOf(ledger: Ledger): { nodes: FlowNode[]; flows: Flow[] } {
  const changes = present(ledger, ['create', 'update', 'delete']);
  const ends = present(ledger, ['applied', 'rejected', 'uncertain', 'unsent']);
  // How each kind of change ended is only known where there is one kind of change, or one end.
  const joined = changes.length > 1 && ends.length > 1;
  const planned = changes.reduce((sum, [, n]) => sum + n, 0);
  const flows = [
    ...out('source', present(ledger, ['desired', 'system', 'filtered', 'refused'])),
    ...out('desired', present(ledger, ['create', 'update', 'unchanged', 'kept'])),
    ...(joined
      ? [...changes.map(([from, n]) => ({ from, to: 'planned', count: n })), ...out('planned', ends)]
      : changes.flatMap(([from, n]) =>
          ends.map(([to, end]) => ({ from, to, count: changes.length > 1 ? n : end })),
        )),
  ];
  const names = [...new Set(flows.flatMap(({ from, to }) => [from, to]))];
  const countOf = (name: string): number => (name === 'planned' ? planned : ledger[name as keyof Ledger]);
  const nodes = names.map((name) => ({
    name,
    count: countOf(name),
    tone: TONES[name] ?? 'calm',
    depth: depthOf(name, joined),
  }));
  return { nodes, flows };
}

const COLUMNS: readonly (readonly string[])[] = [
  ['source'],
  ['desired', 'system', 'filtered', 'refused'],
  ['create', 'update', 'delete', 'unchanged', 'kept'],
];

function depthOf(name: string, joined: boolean): number {
  const column = COLUMNS.findIndex((names) => names.includes(name));
  if (column >= 0) return column;
  return name === 'planned' || !joined ? COLUMNS.length : COLUMNS.length + 1;
}

const present = (ledger: Ledger, names: readonly (keyof Ledger)[]): (readonly [string, number])[] =>
  names.flatMap((name) => (ledger[name] > 0 ? [[name, ledger[name]] as const] : []));

const out = (from: string, to: readonly (readonly [string, number])[]): Flow[] =>
  to.map(([name, n]) => ({ from, to: name, count: n }));
