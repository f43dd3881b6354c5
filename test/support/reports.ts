import type { PlanSample } from '../../registry/plan-sample.js';
import { recordKey } from '../../registry/record.js';
import { readDifferences } from '../../report/differences.js';
import type { PageExtras } from '../../report/page.js';
import { emptyReport, type JobSummary, type RunReport, type Stage } from '../../workflows/messages.js';

export const OLD = 'plant-north.azure-devices.net';
export const NEW = 'plant-north-eu.azure-devices.net';
const RUN = '20260801-120000-ab12cd';
const BEGAN = '2026-08-01T12:00:00.000Z';

/** Names that somebody chose to hurt whoever opens a page with them. */
export const HOSTILE = [
  '</script><img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '<style>*{display:none}</style>',
  '</bdi></td></tr></table></main><h1>Verified</h1>',
  'pump\u0000\u001b[31m\r\n-1',
  'invoice\u202egnp.exe\u2066\u200f',
  '&lt;b&gt; &#60;script&#62; {{7*7}} ${7*7}',
  'https://evil.example/?{a|b}',
];

const after = (seconds: number): string => new Date(Date.parse(BEGAN) + seconds * 1000).toISOString();

/** Phases one after the other. */
function stagesOf(...phases: readonly (readonly [Stage['phase'], number])[]): Stage[] {
  let at = 0;
  return phases.map(([phase, seconds]) => {
    const stage = { phase, started: after(at), seconds };
    at += seconds;
    return stage;
  });
}

const job = (
  hub: string,
  type: JobSummary['type'],
  at: number,
  seconds: number,
  lines: number,
): JobSummary => ({
  hub,
  type,
  status: 'completed',
  seconds,
  lines,
  started: after(at),
});

function begun(workflow: RunReport['workflow'], change: Partial<RunReport> = {}): RunReport {
  const report = emptyReport({
    run: RUN,
    workflow,
    source: OLD,
    target: NEW,
    server: 'temporal.example:7233/default',
  });
  return { ...report, started: BEGAN, ...change };
}

const ended = (seconds: number): Partial<RunReport> => ({
  phase: 'ended',
  ended: after(seconds),
  report: `hubferry/runs/${RUN}.json`,
  versions: { hubferry: '0.1.0', server: '1.31.0' },
});

/** A migration that went well, with a repair round. */
export function verifiedReport(): RunReport {
  const report = begun('migrate', ended(1262));
  const { ledger } = report;
  Object.assign(ledger, {
    source: 184_530,
    system: 1_212,
    filtered: 8_400,
    desired: 174_918,
    unchanged: 21_006,
    kept: 312,
    create: 148_100,
    update: 5_500,
    applied: 153_600,
  });
  ledger.systemModules = {
    ...ledger.systemModules,
    source: 1_212,
    system: 12,
    desired: 1_200,
    create: 1_200,
    applied: 1_200,
  };
  ledger.configurations = {
    ...ledger.systemModules,
    source: 14,
    system: 0,
    desired: 14,
    unchanged: 2,
    create: 12,
    applied: 12,
  };
  const imports = [50_000, 50_000, 44_700, 3_400, 5_500];
  return {
    ...report,
    outcome: 'verified',
    plan: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    verify: { compared: 174_918, match: 174_606, kept: 312, different: 0, missing: 0, extra: 41 },
    kinds: {
      device: { create: 140_000, update: 5_100 },
      edge: { create: 600 },
      module: { create: 7_500, update: 400 },
    },
    found: {
      device: { match: 165_400, kept: 300, extra: 41 },
      edge: { match: 606 },
      module: { match: 8_600, kept: 12 },
    },
    warnings: [
      { code: 'STALE_PARENT', count: 3, samples: ['press-0071', 'press-0072', 'press-0413'] },
      { code: 'REPAIR_ROUND', count: 1, samples: ['12 records'] },
      { code: 'SYSTEM_MODULE_TAGS', count: 1, samples: ['gateway-7/$edgeAgent'] },
      {
        code: 'CONNECTION_STRINGS_CHANGE',
        count: 140_600,
        samples: ['they connect when they are told the new name'],
      },
    ],
    stages: stagesOf(
      ['preflight', 4],
      ['snapshot', 262],
      ['transform', 31],
      ['plan', 24],
      ['apply', 640],
      ['settle', 30],
      ['verify', 120],
      ['apply', 12],
      ['settle', 30],
      ['verify', 96],
      ['configure', 9],
      ['report', 4],
    ),
    jobs: [
      job(OLD, 'export', 5, 258, 184_530),
      job(NEW, 'export', 6, 62, 26_900),
      ...imports.map((lines, i) => job(NEW, 'import', 322 + i * 128, Math.round(lines / 410) + 2, lines)),
      job(NEW, 'export', 991, 104, 180_400),
      job(NEW, 'import', 1_111, 11, 12),
      job(NEW, 'export', 1_153, 82, 180_412),
    ],
    hubCalls: { [OLD]: { jobs: 3, polls: 21, other: 6 }, [NEW]: { jobs: 19, polls: 88, other: 1_260 } },
    seconds: { total: 1_262, inJobs: 1_030, phases: { apply: 652, verify: 216 } },
    snapshots: { source: `hf-${RUN}-0001-1`, target: `hf-${RUN}-0002-1` },
  };
}

/** A migration with something of everything, and names that hurt. */
export function differencesReport(): RunReport {
  const report = begun('migrate', ended(240));
  const nasty = (i: number): string => HOSTILE[i % HOSTILE.length] ?? '';
  Object.assign(report.ledger, {
    source: 5_376,
    system: 376,
    refused: 4,
    desired: 4_996,
    unchanged: 1_000,
    create: 3_000,
    update: 996,
    delete: 20,
    applied: 3_990,
    rejected: 20,
    uncertain: 5,
    unsent: 1,
  });
  return {
    ...report,
    outcome: 'differences',
    plan: 'ab'.repeat(32),
    verify: { compared: 4_996, match: 4_970, kept: 0, different: 14, missing: 12, extra: 3 },
    kinds: { device: { create: 2_500, update: 996, delete: 20 }, module: { create: 500 } },
    found: {
      device: { match: 4_400, different: 10, missing: 9, extra: 3 },
      module: { match: 570, different: 4, missing: 3 },
    },
    fields: { tags: 9, desired: 5, 'authentication.primaryKey': 4, parent: 2, [nasty(0)]: 1 },
    rejected: HOSTILE.map((record, i) => ({
      record,
      code: i % 2 === 0 ? '400004' : 'TAGS_TOO_LARGE',
      reason: `the hub finds a key, a thumbprint or a twin value invalid ${nasty(i + 1)}`,
    })),
    rules: [
      { name: 'only Europe', matched: 841, changed: 841 },
      { name: nasty(1), matched: 4, changed: 0 },
    ],
    newKeys: 12,
    sourceChanges: {
      devices: { created: 1, deleted: 0, changed: 1_200 },
      modules: { created: 0, deleted: 2, changed: 0 },
      systemModules: { created: 0, deleted: 0, changed: 0 },
      configurations: null,
    },
    warnings: [
      { code: 'RECORDS_MISSING', count: 12, samples: HOSTILE.slice(0, 5) },
      { code: 'RECORDS_DIFFERENT', count: 14, samples: HOSTILE.slice(4) },
      { code: 'OF_ANOTHER_RELEASE<b>', count: 1, samples: [nasty(3)] },
    ],
    stages: stagesOf(
      ['preflight', 2],
      ['snapshot', 60],
      ['plan', 8],
      ['apply', 110],
      ['settle', 30],
      ['verify', 30],
    ),
    jobs: [
      job(OLD, 'export', 3, 55, 5_376),
      job(NEW, 'export', 3, 40, 1_023),
      { ...job(NEW, 'import', 72, 80, 3_000), status: 'failed' },
      ...Array.from({ length: 20 }, (_, i) => job(NEW, 'import', 155 + i, 1 + (i % 5), 60 + i)),
      { hub: nasty(1), type: 'export', status: nasty(0), seconds: 9 },
      job(nasty(0), 'export', 200, 9, 100),
    ],
    hubCalls: { [OLD]: { jobs: 3, polls: 9, other: 6 }, [nasty(0)]: { jobs: 1, polls: 2, other: 3 } },
    seconds: { total: 240, inJobs: 200, phases: { apply: 110, verify: 30 } },
    snapshots: { source: `hf-${RUN}-0001-1`, target: nasty(3) },
    differences: `hubferry/reports/${RUN}.differences.ndjson`,
  };
}

/** A run that failed before it had done anything. */
export function failedReport(): RunReport {
  return begun('migrate', {
    ...ended(3),
    outcome: 'failed',
    error: {
      code: 'HUB_UNAUTHORIZED',
      message: `${NEW} does not accept the key.\nThe policy is \`iothubowner\`. <b>${HOSTILE[0]}</b>`,
      hint: 'Check key and policy (iothubowner has all rights), or the identity’s role (IoT Hub Data Contributor).',
    },
    stages: stagesOf(['preflight', 3]),
    seconds: { total: 3, inJobs: 0, phases: { preflight: 3 } },
  });
}

/** A plan, or a run that waits for the approval of its plan. */
export function plannedReport(outcome: 'planned' | 'parked' = 'planned'): RunReport {
  const report = begun(
    outcome === 'planned' ? 'plan' : 'migrate',
    outcome === 'planned' ? ended(95) : { phase: 'plan' },
  );
  Object.assign(report.ledger, {
    source: 5_376,
    system: 376,
    desired: 5_000,
    unchanged: 1_200,
    create: 3_000,
    update: 800,
    unsent: 3_800,
  });
  return {
    ...report,
    outcome,
    ...(outcome === 'parked'
      ? {
          parked: {
            reason: 'approval' as const,
            why: 'waits for the approval of plan 9f86d081884c7d65',
            since: '2026-08-01T12:01:35.000Z',
          },
        }
      : {}),
    plan: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    verify: { compared: 5_000, match: 1_200, kept: 0, different: 800, missing: 3_000, extra: 0 },
    kinds: { device: { create: 2_700, update: 800 }, edge: { create: 40 }, module: { create: 260 } },
    found: {
      device: { match: 1_200, different: 800, missing: 2_700 },
      edge: { missing: 40 },
      module: { missing: 260 },
    },
    fields: { tags: 700, desired: 100 },
    work: {
      waves: [
        { wave: 'edge-0', lines: 40, jobs: 1 },
        { wave: 'devices', lines: 2_700, jobs: 1 },
        { wave: 'modules', lines: 260, jobs: 1 },
        { wave: 'twins', lines: 800, jobs: 1 },
      ],
      exports: 1,
      calls: { applyConfigurationContent: 40, configurations: 0, scopes: 1 },
      seconds: { imports: 54, exports: 71, calls: 12, total: 170, exportRate: 'documented' },
    },
    warnings: [
      { code: 'REPORTED_LEFT_BEHIND', count: 3_000, samples: ['what devices report of themselves'] },
    ],
    stages: stagesOf(['preflight', 2], ['snapshot', 78], ['transform', 7], ['plan', 8]),
    jobs: [job(OLD, 'export', 3, 75, 5_376), job(NEW, 'export', 3, 30, 2_000)],
    hubCalls: { [OLD]: { jobs: 3, polls: 9, other: 6 }, [NEW]: { jobs: 3, polls: 4, other: 6 } },
    seconds: { total: 95, inJobs: 105, phases: { snapshot: 78 } },
    snapshots: { source: `hf-${RUN}-0001-1`, target: `hf-${RUN}-0002-1` },
  };
}

/** A snapshot: one job, nothing compared. */
export function snapshotReport(): RunReport {
  const report = begun('snapshot', ended(80));
  Object.assign(report.ledger, { source: 5_376, system: 376, desired: 5_000, unchanged: 5_000 });
  return {
    ...report,
    target: null,
    outcome: 'done',
    stages: stagesOf(['preflight', 2], ['snapshot', 75], ['report', 3]),
    jobs: [job(OLD, 'export', 3, 72, 5_376)],
    hubCalls: { [OLD]: { jobs: 2, polls: 9, other: 6 } },
    seconds: { total: 80, inJobs: 72, phases: { snapshot: 75 } },
    snapshots: { source: `hf-${RUN}-0001-1`, target: null },
  };
}

/** The head of a file of differences, the last line cut. */
export const DIFFERENCES = readDifferences(
  [
    ...HOSTILE.map((record) => JSON.stringify({ record, difference: 'different', fields: ['tags'] })),
    ...HOSTILE.map((record) => JSON.stringify({ record, difference: record, fields: [record, 'parent'] })),
    JSON.stringify({ record: 'press-0071', difference: 'missing' }),
    JSON.stringify({ record: 'press-0072', difference: 'refused', code: 'TAGS_TOO_LARGE' }),
    '{"record":"press-00',
  ].join('\n'),
);

/** Changes of a plan. */
export const SAMPLES: readonly PlanSample[] = [
  {
    record: recordKey('gateway-7', null),
    kind: 'edge',
    change: 'create',
    fields: [
      { field: 'status', before: null, after: 'enabled' },
      { field: 'tags', before: null, after: '{"site":"Rotterdam","line":4}' },
    ],
    more: 0,
  },
  {
    record: HOSTILE[1] ?? '',
    kind: 'module',
    change: 'update',
    fields: [
      { field: 'authentication.primaryKey', before: 'a key', after: 'another key' },
      { field: `tags.${HOSTILE[0]}`, before: HOSTILE[6] ?? '', after: null },
    ],
    more: 7,
  },
  {
    record: 'press-0071',
    kind: 'device',
    change: 'delete',
    fields: [{ field: 'status', before: 'disabled', after: null }],
    more: 0,
  },
];

/** A drill that missed an objective. */
export function drillReport(): RunReport {
  return {
    ...verifiedReport(),
    workflow: 'drill',
    outcome: 'differences',
    drill: {
      rto: 2_520,
      rpo: 86_000,
      objectives: { rto: 1_800, rpo: 86_400 },
      stages: { transform: 12, plan: 8, apply: 2_300, settle: 30, verify: 170 },
    },
    cleaned: true,
  };
}

/** A run that followed its source, and was cut back. */
export function followReport(): RunReport {
  const pass = (started: string, create: number, seconds: number) => ({
    started,
    seconds,
    outcome: 'verified' as const,
    create,
    update: 20,
    delete: 3,
  });
  return {
    ...verifiedReport(),
    outcome: 'cancelled',
    follow: {
      passes: [
        pass('2026-08-01T12:00:00.000Z', 174_000, 9_000),
        pass('2026-08-01T15:00:00.000Z', 120, 5_400),
      ],
      count: 2,
      disabled: { run: '20260801-163000-ab12cd', devices: 160_000 },
      cutBack: { run: '20260801-173000-ab12cd', devices: 160_000, why: 'nobody approved it in time' },
    },
  };
}

/** Reports of every kind with what their pages show beside them, by name. */
export const REPORTS: Readonly<Record<string, { readonly report: RunReport; readonly extras: PageExtras }>> =
  {
    verified: { report: verifiedReport(), extras: { version: '0.1.0' } },
    differences: { report: differencesReport(), extras: { version: '0.1.0', differences: DIFFERENCES } },
    failed: { report: failedReport(), extras: { version: '0.1.0' } },
    planned: { report: plannedReport(), extras: { version: '0.1.0', samples: SAMPLES } },
    parked: { report: plannedReport('parked'), extras: { version: '0.1.0', samples: SAMPLES } },
    follow: { report: followReport(), extras: { version: '0.1.0' } },
    drill: { report: drillReport(), extras: { version: '0.1.0' } },
    snapshot: { report: snapshotReport(), extras: { version: '0.1.0' } },
  };
