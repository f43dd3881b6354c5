import { describe, expect, it } from 'vitest';
import { examples, readDifferences } from '../../report/differences.js';
import { plain } from '../../report/format.js';
import { flowsOf } from '../../report/ledger.js';
import { reportPage } from '../../report/page.js';
import { rateOf } from '../../report/timing.js';
import { emptyReport, type RunReport } from '../../workflows/messages.js';
import {
  differencesReport,
  drillReport,
  failedReport,
  followReport,
  HOSTILE,
  plannedReport,
  REPORTS,
  snapshotReport,
  verifiedReport,
} from '../support/reports.js';

const page = (report: RunReport): string => reportPage(report, { version: '0.1.0' });

const PAGES = Object.entries(REPORTS).map(([kind, { report, extras }]) => ({
  kind,
  text: reportPage(report, extras),
}));

/** What a reader sees of a page, in one line: no markup, no drawings. */
function words(text: string): string {
  return text
    .replace(/<head>.*<\/head>/s, '')
    .replaceAll(/<svg.*?<\/svg>/gs, '')
    .replaceAll(/<\/?(?:td|th|dt|dd|div|li)\b[^>]*>/g, ' ')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\s+/g, ' ');
}

/** The elements of a page, by name. */
const tags = (text: string): Set<string> =>
  new Set([...text.matchAll(/<([a-zA-Z][\w-]*)/g)].map(([, tag = '']) => tag));

/** All that pages are made of. */
const OURS =
  'html head meta title style body main header section figure figcaption h1 h2 h3 p ul li dl div dt dd span strong b i bdi code table caption thead tbody tr th td details summary svg g path rect text circle defs clipPath tspan'.split(
    ' ',
  );

describe.each(PAGES)('the page of a $kind run', ({ text }) => {
  it('needs no network and runs nothing', () => {
    // A name may look like an address; nothing that a browser would follow does.
    const markup = text.replaceAll(/>[^<]*</g, '><');
    expect(markup).not.toMatch(/https?:|url\(|@import|javascript:/i);
    expect(text).not.toMatch(/<script|<link|<iframe|<img|<a\b|<form|<base/i);
    expect(markup).not.toMatch(/<[^>]*\son\w+=/i);
    expect(text).toContain(
      `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`,
    );
  });

  it('is made of our elements only', () => {
    expect([...tags(text)].filter((tag) => !OURS.includes(tag))).toEqual([]);
  });

  it('holds no character that steers', () => {
    expect(text.split('\n').filter((line) => plain(line) !== line)).toEqual([]);
  });

  it('says of every drawing what it shows', () => {
    const drawings = text.match(/<div class="chart"[^>]*>/g) ?? [];
    expect(drawings.filter((tag) => !/ role="img" aria-label="[^"]{20,}"/.test(tag))).toEqual([]);
  });
});

describe('names that somebody chose to hurt', () => {
  const { text } = PAGES.find(({ kind }) => kind === 'differences') ?? { text: '' };

  it.each(HOSTILE)('%j stays text', (hostile) => {
    if (/[<>]/.test(hostile)) expect(text).not.toContain(hostile);
    const shown = words(text)
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&amp;', '&');
    const seen = hostile
      .replace('\u0000\u001b[31m\r\n', '\\x00\\x1b[31m\\x0d\\x0a')
      .replace('\u202egnp.exe\u2066\u200f', '\\u202egnp.exe\\u2066\\u200f');
    expect(shown).toContain(seen);
  });

  it('do not end a heading, a table or the page', () => {
    expect(text.match(/<h1>/g)).toHaveLength(1);
    expect(text.match(/<\/main>/g)).toHaveLength(1);
    expect(text.match(/<table/g)?.length).toBe(text.match(/<\/table>/g)?.length);
  });
});

describe('the verdict comes first', () => {
  it.each<[RunReport, string]>([
    [verifiedReport(), 'Verified Every record arrived, compared field by field, 312 kept as they were'],
    [differencesReport(), 'Not all is as in the source 14 different, 12 missing, 4 refused, 20 rejected.'],
    [failedReport(), 'Failed plant-north'],
    [plannedReport(), 'Planned Nothing was written.'],
    [plannedReport('parked'), 'Parked It waits for the approval of plan 9f86d081884c7d65 (plan).'],
    [snapshotReport(), 'Done plant-north'],
    [
      { ...verifiedReport(), workflow: 'rollback' },
      'Verified All is as before the run, compared field by field',
    ],
    [{ ...verifiedReport(), outcome: 'cancelled' }, 'Cancelled plant-north'],
    [{ ...verifiedReport(), outcome: 'running', phase: 'apply', ended: null }, 'Running (apply) plant-north'],
    [{ ...verifiedReport(), outcome: 'skipped' }, 'Skipped It was not started.'],
  ])('%#', (report, verdict) => {
    expect(words(page(report)).trimStart()).toMatch(
      new RegExp(`^hubferry ${report.workflow} run \\S+ ${verdict.replaceAll(/[().]/g, '\\$&')}`),
    );
  });

  it('and what a drill has measured', () => {
    const text = words(page(drillReport()));
    expect(text).toMatch(/hubferry drill run \S+ Not passed .*1 objective missed\./);
    expect(text).toContain('recovery time, until proven 42 min 0 s 30 min 0 s missed');
    expect(text).toContain('age of the snapshot 23 h 53 min 24 h 0 min met');
    expect(text).toContain('The scratch hub is empty again.');
  });

  it('and the passes of a run that followed its source', () => {
    const text = words(page(followReport()));
    expect(text).toMatch(/Cancelled .*[Cc]ut back, nobody approved it in time/);
    expect(text).toContain('2 2026-08-01 15:00:00 UTC 120 20 3 1 h 30 min verified');
    expect(text).toContain('Run 20260801-173000-ab12cd has enabled 160,000 of them again');
  });

  it('with what was compared, and what to do next', () => {
    expect(words(page(verifiedReport()))).toContain(
      '174,918 records of plant-north-eu.azure-devices.net were compared with what plant-north.azure-devices.net holds',
    );
    expect(words(page(plannedReport('parked')))).toContain(
      'approve it: hubferry approve 20260801-120000-ab12cd 9f86d081884c7d65',
    );
    expect(words(page(failedReport()))).toContain('HUB_UNAUTHORIZED');
  });

  it('without secrets that somebody typed in the wrong place', () => {
    const key = Buffer.alloc(32, 'k!').toString('base64');
    const report = failedReport();
    const message = `SharedAccessKey=${key} is no hub`;
    expect(page({ ...report, error: { code: 'USAGE', message, hint: key } })).not.toContain(key.slice(0, 12));
  });
});

describe('the ledger', () => {
  it('stands in a table, number by number', () => {
    const text = words(page(differencesReport()));
    expect(text).toContain('source 5,376 =system 376 +filtered 0 +refused 4 +desired 4,996');
    expect(text).toContain('desired 4,996 =unchanged 1,000 +kept 0 +create 3,000 +update 996');
    expect(text).toContain('planned 4,016 =create 3,000 +update 996 +delete 20');
    expect(text).toContain('planned 4,016 =applied 3,990 +rejected 20 +uncertain 5 +unsent 1');
    expect(text).toContain('compared 4,996 =match 4,970 +kept 0 +different 14 +missing 12');
  });

  it('says where it does not add up', () => {
    const report = differencesReport();
    report.ledger.applied = 1;
    expect(words(page(report))).toContain('planned 4,016 ≠applied 1');
  });

  it('as flows gives each count once, and what flows into a node flows out of it', () => {
    const { ledger } = differencesReport();
    const { nodes, flows } = flowsOf(ledger);
    const sum = (end: 'from' | 'to', name: string): number =>
      flows.filter((flow) => flow[end] === name).reduce((total, flow) => total + flow.count, 0);
    for (const { name, count } of nodes)
      for (const end of ['from', 'to'] as const) expect([0, count]).toContain(sum(end, name));
    const counts = Object.fromEntries(nodes.map(({ name, count }) => [name, count]));
    expect(counts).toMatchObject({
      source: 5_376,
      desired: 4_996,
      planned: 4_016,
      applied: 3_990,
      unsent: 1,
    });
    expect(counts['filtered']).toBeUndefined();
  });

  it('as flows needs no sum in between where all changes end in the same way', () => {
    const { nodes, flows } = flowsOf(verifiedReport().ledger);
    expect(nodes.map(({ name }) => name)).not.toContain('planned');
    expect(flows).toContainEqual({ from: 'update', to: 'applied', count: 5_500 });
  });
});

describe('drawings', () => {
  const drawn = (report: RunReport): number => page(report).match(/<div class="chart"/g)?.length ?? 0;

  it('are there where there is something to draw', () => {
    expect(drawn(verifiedReport())).toBe(3);
    expect(drawn(failedReport())).toBe(0);
    expect(drawn(snapshotReport())).toBe(1);
    expect(drawn(emptyReport({ run: 'r', workflow: 'migrate', source: 'a', target: 'b' }))).toBe(0);
  });

  it('are left out of reports of 0.1, which know no times', () => {
    const report = verifiedReport();
    delete report.stages;
    report.jobs = report.jobs.map(({ started: _started, ...job }) => job);
    expect(page(report)).not.toContain('aria-label="Timeline');
    expect(words(page(report))).toContain('apply 10 min 52 s');
  });

  it('have their numbers in tables', () => {
    const report = verifiedReport();
    const text = words(page(report));
    for (const job of report.jobs) expect(text).toContain(rateOf(job)?.toLocaleString('en-US'));
    for (const { phase } of report.stages ?? []) expect(text).toContain(phase);
  });

  it('stay bounded however many jobs there were', () => {
    const report = verifiedReport();
    const [job] = report.jobs;
    if (job) report.jobs = Array.from({ length: 3_000 }, () => job);
    const text = page(report);
    expect(words(text)).toContain('The first 500 of 3,000 jobs.');
    expect(text.length).toBeLessThan(1_000_000);
  });
});

describe('differences', () => {
  it('are read as far as they are whole', () => {
    const head = '{"record":"a","difference":"missing"}\n[1]\nnull\n{"record":3}\n{"record":"b","diff';
    expect(readDifferences(head)).toEqual([{ record: 'a', difference: 'missing', fields: [], code: null }]);
  });

  it('are shown by a few of each kind and field', () => {
    const line = (record: string, difference: string, fields: readonly string[]) => ({
      record,
      difference,
      fields,
      code: null,
    });
    const lines = [
      ...Array.from({ length: 9 }, (_, i) => line(`t${i}`, 'different', ['tags'])),
      line('both', 'different', ['tags', 'status']),
      ...Array.from({ length: 9 }, (_, i) => line(`m${i}`, 'missing', [])),
    ];
    expect(examples(lines).map(({ record }) => record)).toEqual(['t0', 't1', 't2', 'both', 'm0', 'm1', 'm2']);
  });
});

it('warnings say what they mean and what to do; one of another release stands alone', () => {
  const text = words(page(verifiedReport()));
  expect(text).toContain('STALE_PARENT 3 The source names a parent');
  expect(text).toContain('Next Give it a parent on the target where it needs one.');
  expect(text).toContain('REPAIR_ROUND 1');
  expect(words(page(differencesReport()))).toMatch(/OF_ANOTHER_RELEASE&lt;b&gt; 1 &lt;style/);
});
