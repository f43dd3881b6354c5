import type { Work } from '../registry/estimate.js';
import type { PlanSample } from '../registry/plan-sample.js';
import { changesIn, kindsOf } from '../registry/source-changes.js';
import type { RunReport } from '../workflows/messages.js';
import { count, estimate } from './format.js';
import { type Html, html, marked, named } from './html.js';
import { section, table } from './parts.js';
import { KIND_NAMES, KINDS } from './words.js';

const numbers = (...names: readonly string[]) => names.map((name) => ({ name, number: true }));

/** What a run would send, or has sent, as it was planned; null for runs without a plan. */
export function planPart(report: RunReport, samples: readonly PlanSample[]): Html | null {
  const { kinds = {}, work, outcome, parked } = report;
  const changes = KINDS.flatMap((kind) => {
    const { create = 0, update = 0, delete: remove = 0 } = kinds[kind] ?? {};
    return create + update + remove === 0
      ? []
      : [[KIND_NAMES[kind], count(create), count(update), count(remove)]];
  });
  if (changes.length === 0 && samples.length === 0 && (work?.waves ?? []).length === 0) return null;
  const open = outcome === 'planned' || parked?.reason === 'approval';
  return section(
    'Plan',
    changes.length > 0
      ? table('changes', [{ name: 'kind' }, ...numbers('create', 'update', 'delete')], changes)
      : null,
    work === undefined ? null : workPart(work, open),
    samples.length > 0
      ? html`<h3>Some of the changes</h3><p>Two of each kind in each part of the registry at most. Keys are never shown.</p><ul class="samples">${samples.map(sample)}</ul>`
      : null,
  );
}

function workPart({ waves, exports, seconds }: Work, open: boolean): Html {
  const rate = seconds.exportRate === 'measured' ? ', exports at the rate of this run’s own' : '';
  return html`${
    waves.length > 0
      ? table(
          'lines and jobs, wave by wave',
          [{ name: 'wave' }, ...numbers('lines', 'jobs')],
          waves.map(({ wave, lines, jobs }) => [wave, count(lines), count(jobs)]),
        )
      : html`<p>Nothing is to be sent.</p>`
  }${
    open && waves.length > 0
      ? html`<p>With ${exports} ${exports === 1 ? 'export' : 'exports'} to prove it about <span class="whole">${estimate(seconds.total * 1000)}</span>, at documented rates${rate}.</p>`
      : null
  }`;
}

function sample({ change, kind, record, fields, more }: PlanSample): Html {
  const shown = (value: string | null): Html =>
    value === null ? html`<i>nothing</i>` : html`<bdi class="value">${value}</bdi>`;
  return html`<li><p><strong>${change}</strong> ${kind === 'edge' ? 'edge device' : kind} ${named(record)}</p><dl>${fields.map(
    ({ field, before, after }) =>
      html`<div><dt>${named(field)}</dt><dd>${
        change === 'create'
          ? shown(after)
          : change === 'delete'
            ? shown(before)
            : html`${shown(before)} <span aria-hidden="true">→</span><span class="unseen">becomes</span> ${shown(after)}`
      }</dd></div>`,
  )}</dl>${more > 0 ? html`<p>and ${count(more)} more</p>` : null}</li>`;
}

/** What rules did, keys that were made, and what happened on the source meanwhile: where there is any of it. */
export function besidePart({ rules = [], newKeys, sourceChanges, run }: RunReport): Html[] {
  const parts: Html[] = [];
  if (rules.length > 0)
    parts.push(
      section(
        'Rules',
        table(
          'records by rule',
          [{ name: 'rule' }, ...numbers('matched', 'changed')],
          rules.map((rule) => [named(rule.name), count(rule.matched), count(rule.changed)]),
        ),
      ),
    );
  if (newKeys !== undefined)
    parts.push(
      section(
        'New keys',
        html`<p>${count(newKeys)} records got new keys. Their devices have to be given them before they can connect. ${marked(`Where no command has saved them yet: \`hubferry status ${run} --keys-out FILE\``)}</p>`,
      ),
    );
  if (sourceChanges !== undefined) {
    const rows = kindsOf(sourceChanges).map(([kind, { created, deleted, changed }]) => [
      kind,
      ...[created, deleted, changed].map(count),
    ]);
    parts.push(
      section(
        'Source meanwhile',
        changesIn(sourceChanges) === 0
          ? html`<p>Nothing changed on the source since the run’s first snapshot of it.</p>`
          : table(
              'changes since the first snapshot',
              [{ name: 'kind' }, ...numbers('created', 'deleted', 'changed')],
              rows,
            ),
      ),
    );
  }
  return parts;
}
