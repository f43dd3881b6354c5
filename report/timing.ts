import type { JobSummary, RunReport, Stage } from '../workflows/messages.js';
import { barChart, type Span, type Tone, timeChart } from './charts.js';
import { count, duration } from './format.js';
import { type Html, html, type Part } from './html.js';
import { MOST_SHOWN, roleOf, section, table } from './parts.js';

/** Phases in which a run waits, or only writes things down. */
const isQuiet = ({ phase }: Stage): boolean => phase === 'settle' || phase === 'report';

/** When what happened, and how long it took. */
export function timelinePart(report: RunReport): Html | null {
  const { stages = [], jobs, seconds, started } = report;
  const begin = Date.parse(started);
  const since = (iso: string): number => Math.max(0, (Date.parse(iso) - begin) / 1000);
  const shownStages = stages.slice(0, MOST_SHOWN);
  const shownJobs = jobs.slice(0, MOST_SHOWN);
  const spans: Span[] = [
    ...shownStages.map((stage) => ({
      row: stage.phase,
      tone: isQuiet(stage) ? ('calm' as const) : ('accent' as const),
      from: since(stage.started),
      seconds: stage.seconds,
    })),
    ...shownJobs.flatMap((job) =>
      job.started === undefined
        ? []
        : [{ row: rowOf(report, job), tone: toneOf(job), from: since(job.started), seconds: job.seconds }],
    ),
  ].filter(({ from, seconds: took }) => Number.isFinite(from + took));
  const total = Math.max(seconds.total, ...spans.map(({ from, seconds: took }) => from + took));
  const phases = Object.entries(seconds.phases).filter(([phase]) => phase !== 'ended');
  if (spans.length === 0 && phases.length === 0) return null;
  const words = `Timeline of ${duration(total * 1000)}: ${shownStages.length} stages and ${shownJobs.length} jobs; the tables below say when each began and how long it took.`;
  return section(
    'Timeline',
    spans.length < 2 || total === 0
      ? null
      : html`<figure>${timeChart(words, spans, total)}<figcaption>${key('accent', 'at work')}${shownStages.some(isQuiet) ? key('calm', 'waiting, or writing it down') : null}${legend(shownJobs)}</figcaption></figure>`,
    shownStages.length > 0
      ? table(
          'stages',
          [{ name: 'stage' }, { name: 'began after', number: true }, { name: 'took', number: true }],
          shownStages.map(({ phase, started: at, seconds: took }) => [
            phase,
            duration(since(at) * 1000),
            duration(took * 1000),
          ]),
        )
      : table(
          'stages',
          [{ name: 'stage' }, { name: 'took', number: true }],
          phases.map(([phase, took]) => [phase, duration(took * 1000)]),
        ),
    cut('stages', stages.length),
  );
}

/** How fast the hubs worked. */
export function throughputPart(report: RunReport): Html | null {
  const { jobs } = report;
  if (jobs.length === 0) return null;
  const shown = jobs.slice(0, MOST_SHOWN);
  const begin = Date.parse(report.started);
  const bars = shown.flatMap((job, i) => {
    const rate = rateOf(job);
    const name = `${i + 1} ${rowOf(report, job)}`;
    return rate === null ? [] : [{ name, number: i + 1, value: rate, tone: toneOf(job) }];
  });
  const rates = bars.map(({ name, value }) => `${name} ${count(value)}`).slice(0, 20);
  const words = `Records a second of ${bars.length} jobs: ${rates.join(', ')}${bars.length > 20 ? ' and so on' : ''}.`;
  return section(
    'Throughput',
    html`<p>The hubs’ jobs took ${duration(report.seconds.inJobs * 1000)} of ${duration(report.seconds.total * 1000)} in all; jobs of different hubs run at the same time.</p>`,
    bars.length < 2
      ? null
      : html`<figure>${barChart(words, bars)}<figcaption>Records a second, job by job. ${legend(shown)}</figcaption></figure>`,
    table(
      'jobs',
      [
        { name: 'job' },
        { name: 'status' },
        { name: 'began after', number: true },
        { name: 'took', number: true },
        { name: 'records', number: true },
        { name: 'a second', number: true },
      ],
      shown.map((job, i): Part[] => {
        const rate = rateOf(job);
        const at = job.started === undefined ? Number.NaN : Date.parse(job.started) - begin;
        return [
          `${i + 1} ${rowOf(report, job)}`,
          job.status,
          Number.isNaN(at) ? '–' : duration(Math.max(0, at)),
          duration(job.seconds * 1000),
          job.lines === undefined ? '–' : count(job.lines),
          rate === null ? '–' : count(rate),
        ];
      }),
    ),
    cut('jobs', jobs.length),
  );
}

const cut = (what: string, all: number): Html | null =>
  all > MOST_SHOWN ? html`<p>The first ${MOST_SHOWN} of ${count(all)} ${what}.</p>` : null;

const rowOf = (report: RunReport, { hub, type }: JobSummary): string => `${roleOf(report, hub)} ${type}`;

function toneOf({ status, type }: JobSummary): Tone {
  if (status !== 'completed') return 'bad';
  return type === 'import' ? 'good' : 'second';
}

const key = (tone: Tone, meaning: string): Html =>
  html`<span class="key"><span class="swatch ${tone}"></span>${meaning}</span> `;

/** What the colours of jobs mean, of those that there are. */
function legend(jobs: readonly JobSummary[]): Html {
  const tones = new Set(jobs.map(toneOf));
  return html`${LEGEND.map(([tone, meaning]) => (tones.has(tone) ? key(tone, meaning) : null))}`;
}

const LEGEND: readonly (readonly [Tone, string])[] = [
  ['second', 'export job'],
  ['good', 'import job'],
  ['bad', 'job that did not complete'],
];

/** Records a second, whole; null where nobody knows, or there were none. */
export function rateOf({ lines, seconds }: JobSummary): number | null {
  return lines && seconds > 0 ? Math.round(lines / seconds) : null;
}
