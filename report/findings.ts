import { warningInfo } from '../registry/warnings.js';
import type { RunReport } from '../workflows/messages.js';
import { count } from './format.js';
import { type Html, html, marked, named } from './html.js';
import { roleOf, section, table, utc } from './parts.js';
import { partsOf } from './words.js';

/** Records that the target would not take, or did not take, with the reason. */
export function rejectedPart(report: RunReport): Html | null {
  const { rejected, ledger } = report;
  if (rejected.length === 0) return null;
  const all = [ledger, ...partsOf(report).map(([, part]) => part)].reduce(
    (sum, part) => sum + part.refused + part.rejected,
    0,
  );
  return section(
    'Refused and rejected',
    html`<p>Refused records are those that the target would not take, seen before anything was sent. Rejected ones the hub did not take. ${all > rejected.length ? `These are the first ${rejected.length} of ${count(all)}.` : ''}</p>`,
    table(
      'records that did not arrive',
      [{ name: 'record' }, { name: 'code' }, { name: 'reason' }],
      rejected.map(({ record, code, reason }) => [named(record), html`<code>${code}</code>`, reason]),
    ),
  );
}

/** What the run warns of: what it means, and what to do. */
export function warningsPart({ warnings }: RunReport): Html | null {
  if (warnings.length === 0) return null;
  return section('Warnings', html`<ul class="warnings">${warnings.map(warningItem)}</ul>`);
}

function warningItem({ code, count: times, samples }: RunReport['warnings'][number]): Html {
  const info = warningInfo(code);
  const next = info?.next === 'nothing' ? 'nothing to do' : info?.next;
  return html`
<li><h3><code>${code}</code> <span class="times">${count(times)}</span></h3>
${info === undefined ? null : html`<p>${marked(`${capital(info.meaning)}.`)}</p>`}
${next === undefined ? null : html`<p class="next"><strong>Next</strong> ${marked(`${capital(next)}.`)}</p>`}
${samples.length > 0 ? html`<ul class="names" aria-label="examples of ${code}">${samples.map((sample) => html`<li>${named(sample)}</li>`)}</ul>` : null}</li>`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What the run asked of each hub. */
export function callsPart(report: RunReport): Html | null {
  const calls = Object.entries(report.hubCalls);
  if (calls.length === 0) return null;
  return section(
    'Hub calls',
    table(
      'calls',
      [
        { name: 'hub' },
        { name: 'is' },
        { name: 'about jobs', number: true },
        { name: 'polls', number: true },
        { name: 'others', number: true },
      ],
      calls.map(([host, { jobs, polls, other }]) => {
        const role = roleOf(report, host);
        return [named(host), role === host ? '' : role, count(jobs), count(polls), count(other)];
      }),
    ),
  );
}

/** What made the run and this page, and what names its plan and its snapshots. */
export function factsPart(report: RunReport, page: { readonly version: string }): Html {
  const { run, workflow, started, ended, plan, snapshots, server, versions, differences } = report;
  const facts: readonly (readonly [string, string | null | undefined])[] = [
    ['run', run],
    ['verb', workflow],
    ['began', utc(started)],
    ['ended', ended === null ? 'not yet' : utc(ended)],
    ['plan, SHA-256', plan],
    ['source snapshot', snapshots.source],
    ['target snapshot', snapshots.target],
    ['report in storage', report.report],
    ['differences in storage', differences],
    ['ran by', versions && `hubferry ${versions.hubferry}`],
    ['Temporal server', server],
    ['Temporal version', versions?.server],
    ['page by', `hubferry ${page.version}`],
  ];
  return section(
    'Versions and hashes',
    html`<dl class="facts">${facts.map(([label, value]) =>
      value === null || value === undefined
        ? null
        : html`<div><dt>${label}</dt><dd>${named(value)}</dd></div>`,
    )}</dl>`,
  );
}
