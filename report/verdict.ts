import type { Outcome, RunReport } from '../workflows/messages.js';
import { count, duration } from './format.js';
import { type Html, html, marked, named } from './html.js';
import { utc } from './parts.js';
import { comparisonOf, masked, mendingOf, partsOf, verdictOf, wayOn } from './words.js';

/** How good an outcome is; decides colour and sign, which never stand alone: the words say the same. */
const MOODS: Record<Outcome, 'good' | 'warn' | 'bad' | 'calm'> = {
  verified: 'good',
  done: 'good',
  planned: 'calm',
  running: 'calm',
  parked: 'warn',
  skipped: 'calm',
  cancelled: 'warn',
  differences: 'warn',
  failed: 'bad',
};

const SIGNS = {
  good: 'M5 12.5l4.5 4.5L19 7.5',
  warn: 'M12 6v7.5M12 17.5v.5',
  bad: 'M7 7l10 10M17 7L7 17',
  calm: 'M6 12h12',
} as const;

/** The verdict in one or two words, and the rest of it. */
export function headline(report: RunReport): { readonly title: string; readonly rest: string } {
  const words = verdictOf(report);
  const at = words.indexOf(': ');
  const title = capital(at < 0 ? words : words.slice(0, at));
  return { title, rest: at < 0 ? '' : `${capital(words.slice(at + 2))}.` };
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What a reader wants to know first: how it ended, between which hubs, what was compared, and what to do now. */
export function verdictPart(report: RunReport): Html {
  const { run, workflow, source, target, started, ended, outcome } = report;
  const { title, rest } = headline(report);
  const mood = MOODS[outcome] ?? 'calm';
  const compared = comparedWords(report);
  const next = nextStep(report);
  return html`
<header class="verdict ${mood}">
<p class="over">hubferry ${workflow} <span>run ${named(run)}</span></p>
<h1><svg class="sign" viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="12"/><path d="${SIGNS[mood]}"/></svg>${title}</h1>
${rest === '' ? null : html`<p class="lead">${rest}</p>`}
<p class="hubs">${named(source)}${target === null || target === source ? null : html` <span class="arrow" aria-hidden="true">→</span><span class="unseen">to</span> ${named(target)}`}</p>
${figures(report)}
${compared === null ? null : html`<p class="compared">${compared}</p>`}
${errorPart(report)}
${next === null ? null : html`<p class="next"><strong>Next</strong> ${marked(next)}</p>`}
<p class="when">Began ${utc(started)}${ended === null ? html`; it is not over yet` : html`, ended ${utc(ended)}`}.</p>
</header>`;
}

/** The counts that matter most, large. */
function figures({ verify, ledger, seconds, jobs }: RunReport): Html {
  const planned = ledger.create + ledger.update + ledger.delete;
  const counts: readonly (readonly [string, number, always: boolean])[] = verify
    ? [
        ['compared', verify.compared, true],
        ['match', verify.match, true],
        ['kept', verify.kept, false],
        ['different', verify.different, true],
        ['missing', verify.missing, true],
        ['extra', verify.extra, false],
      ]
    : [
        ['records read', ledger.source, false],
        ['changes planned', planned, false],
        ['applied', ledger.applied, false],
      ];
  const shown = counts
    .filter(([, n, always]) => always || n > 0)
    .map(([label, n]) => [label, count(n)] as const);
  const all = [
    ...shown,
    ...(jobs.length > 0 ? [['jobs', count(jobs.length)] as const] : []),
    ['time', duration(seconds.total * 1000)] as const,
  ];
  return html`<dl class="figures">${all.map(
    ([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

/** What was compared with what, as a sentence; null where nothing was. */
function comparedWords(report: RunReport): Html | null {
  const { verify, workflow, source, target } = report;
  if (verify === null) return null;
  const hub = target ?? source;
  const wanted =
    workflow === 'edit'
      ? html`the edits`
      : workflow === 'rollback'
        ? html`the snapshot from before the run`
        : html`what ${named(source)} holds`;
  const when = comparisonOf(report) === 'verify' ? '' : ', before any write';
  const parts = partsOf(report).map(([what, { desired }]) => `${count(desired)} ${what}`);
  const beside = parts.length === 0 ? '' : ` Beside them: ${parts.join(' and ')}, with ledgers of their own.`;
  return html`${count(verify.compared)} ${verify.compared === 1 ? 'record' : 'records'} of ${named(hub)} were compared with ${wanted}${when}: status, status reason, authentication, tags, desired properties, edge capability and parent.${beside}`;
}

function errorPart({ error }: RunReport): Html | null {
  if (error === null) return null;
  const { code, message, hint } = masked(error);
  return html`<div class="error"><p><code>${code}</code></p>${message
    .split('\n')
    .map((line) => html`<p>${line}</p>`)}<p class="next"><strong>Next</strong> ${marked(hint)}</p></div>`;
}

/** What to do now; null where nothing is to be done, or an error says it. */
function nextStep(report: RunReport): string | null {
  const { outcome, workflow, plan, parked, work } = report;
  const hash = plan?.slice(0, 16) ?? '';
  if (parked?.reason === 'approval')
    return `Look at the plan below, then approve it: \`${wayOn(report, parked)}\``;
  if (parked) return `${mendingOf(parked) ?? 'When it may go on'}: \`${wayOn(report, parked)}\``;
  if (outcome === 'planned' && workflow === 'plan' && work !== undefined)
    return `Look at the plan below, then carry it out: \`hubferry migrate SOURCE TARGET --plan ${hash}\``;
  if (outcome === 'cancelled') return 'The same command again sends only what is still missing.';
  if (outcome !== 'differences') return null;
  if (workflow === 'verify') return '`hubferry migrate` with `--existing overwrite` makes them equal.';
  if (workflow === 'drill') return 'Look below at what was missed, and where the time went.';
  if (workflow === 'rollback')
    return 'Decide on what is named below; the snapshot from before the run has it all.';
  return 'Mend what is named below, then run the same command again: it sends only what still differs.';
}
