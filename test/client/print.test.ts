import { describe, expect, it } from 'vitest';
import { errorLines, exitCodeOf, failureReport, reportText } from '../../client/print.js';
import type { PlanSample } from '../../registry/plan-sample.js';
import { recordKey } from '../../registry/record.js';
import { emptyReport, type Outcome, type RunReport } from '../../workflows/messages.js';

/** A run with something of everything. */
function fullReport(change: Partial<RunReport> = {}): RunReport {
  const empty = emptyReport({
    run: '20260801-120000-ab12cd',
    workflow: 'migrate',
    source: 'a-rather-long-name-of-a-hub.azure-devices.net',
    target: 'another-rather-long-name-of-a-hub.azure-devices.net',
  });
  return {
    ...empty,
    outcome: 'differences',
    phase: 'ended',
    plan: 'ab'.repeat(32),
    ledger: {
      ...empty.ledger,
      source: 1_234_567,
      system: 30,
      refused: 2,
      desired: 1_234_535,
      unchanged: 1_000_000,
      kept: 4,
      create: 234_531,
      applied: 234_529,
      rejected: 2,
    },
    verify: { compared: 1_234_535, match: 1_234_528, kept: 4, different: 1, missing: 2, extra: 9 },
    fields: { status: 1, 'authentication.primaryKey': 1, tags: 1, desired: 1, parent: 1, iotEdge: 1 },
    rejected: [{ record: 'pump\u001b[31m-1', code: 'KEYS_INVALID', reason: 'keys must be two, '.repeat(9) }],
    rules: [
      { name: 'fifty characters are the most that a name may have', matched: 1_000_000, changed: 999_999 },
      { name: 'rule 2', matched: 0, changed: 0 },
    ],
    newKeys: 1_234,
    sourceChanges: {
      devices: { created: 1, deleted: 0, changed: 1_200 },
      modules: { created: 0, deleted: 0, changed: 0 },
      systemModules: { created: 0, deleted: 0, changed: 0 },
      configurations: null,
    },
    warnings: [{ code: 'STALE_PARENT', count: 4, samples: ['a', 'b\r\nc', 'd'] }],
    jobs: [{ hub: 'x', type: 'import', status: 'completed', seconds: 2, lines: 5 }],
    hubCalls: { 'a-rather-long-name-of-a-hub.azure-devices.net': { jobs: 4, polls: 12, other: 3 } },
    seconds: { total: 125, inJobs: 100, phases: { verify: 3 } },
    snapshots: { source: 'hf-20260801-120000-ab12cd-0001-1', target: 'hf-20260801-120000-ab12cd-0002-1' },
    report: 'hubferry/runs/20260801-120000-ab12cd.json',
    ...change,
  };
}

describe('the report as text', () => {
  const text = reportText(fullReport());

  it('says the verdict first, with what is open', () => {
    expect(text.split('\n').slice(0, 6).join('\n')).toContain(
      'not all is as in the source: 1 different, 2 missing, 2 refused, 2 rejected',
    );
  });

  it('writes the ledger as equations', () => {
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'desired 1,234,535 = unchanged 1,000,000 + kept 4 + create 234,531 + update 0',
    );
  });

  it('says what each rule did, and where new keys are', () => {
    expect(text).toMatch(/^ {4}rule 2 +0 +0$/m);
    expect(text).toContain('new keys 1,234');
    expect(text).toContain('--keys-out');
  });

  it('says what changed on the source meanwhile', () => {
    expect(text).toMatch(/^ {2}source meanwhile +created +deleted +changed$/m);
    expect(text).toMatch(/^ {4}devices +1 +0 +1,200$/m);
    expect(text).not.toMatch(/^ {4}modules +0/m);
    const nothing = { created: 0, deleted: 0, changed: 0 };
    const sourceChanges = {
      devices: nothing,
      modules: nothing,
      systemModules: nothing,
      configurations: null,
    };
    expect(reportText(fullReport({ sourceChanges }))).toContain('nothing changed since its first snapshot');
  });

  it('keeps within 80 columns', () => {
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('lets no name from a registry steer the terminal', () => {
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(text).toContain('pump\\x1b[31m-1');
  });

  it('of a run that failed before anything was counted has no ledger', () => {
    const error = { code: 'HUB_UNREACHABLE' as const, message: 'x does not answer.', hint: 'Look.' };
    const failed = reportText({
      ...emptyReport({ run: 'r', workflow: 'plan', source: 'a', target: 'b' }),
      outcome: 'failed',
      error,
    });
    expect(failed).not.toContain('ledger');
    expect(failed).toContain('HUB_UNREACHABLE: x does not answer.');
  });
});

it('of a run that a schedule did not start says why, and what a schedule removed', () => {
  const skipped = reportText({
    ...emptyReport({ run: 'r', workflow: 'migrate', source: 'a', target: 'b', schedule: 'nightly\u001b' }),
    outcome: 'skipped',
    error: { code: 'TARGET_BUSY', message: 'Run q wrote to b.', hint: 'Wait.' },
  });
  expect(skipped).toContain('run r · migrate · schedule nightly\\x1b');
  expect(skipped).toContain('TARGET_BUSY: Run q wrote to b.');
  expect(skipped).not.toContain('ledger');
  expect(reportText(fullReport({ retention: { removed: 1_200, kept: 14 } }))).toContain(
    'snapshots of its schedule: 1,200 removed, 14 kept',
  );
});

it('an error is code, words and hint, line by line', () => {
  const error = { code: 'CONFIG_INVALID' as const, message: 'two faults:\nline 1\nline 2', hint: 'Mend.' };
  expect(errorLines(error, 40)).toEqual(['CONFIG_INVALID: two faults:', '  line 1', '  line 2', '  Mend.']);
});

it('says how many records were kept with the verdict that all is well', () => {
  const kept = fullReport({ outcome: 'verified' });
  expect(reportText(kept, 120)).toContain(
    'verified: every record arrived, compared field by field, 4 kept as they were on the target',
  );
});

it('configurations have a ledger of their own, and the verdict says what of them is open', () => {
  const report = fullReport();
  report.ledger = { ...emptyReport({ run: 'r', workflow: 'migrate', source: 'a', target: 'b' }).ledger };
  report.ledger.configurations = {
    ...report.ledger,
    source: 5,
    refused: 1,
    desired: 4,
    create: 4,
    applied: 2,
    rejected: 2,
  };
  const warnings = [{ code: 'CONFIGURATIONS_MISSING', count: 2, samples: ['a', 'b'] }];
  const text = reportText({ ...report, verify: null, warnings }, 100);
  expect(text).toContain('not all is as in the source: 2 configurations, 1 configurations refused');
  expect(text.replaceAll(/\s+/g, ' ')).toContain(
    'configurations source 5 = system 0 + filtered 0 + refused 1 + desired 4 desired 4 = unchanged 0',
  );
  expect(text).toContain('refused or rejected, the first 1 of 3');
});

it('system modules have one, too, where there is something to carry', () => {
  const report = fullReport();
  const { systemModules } = report.ledger;
  expect(reportText(report)).not.toContain('system modules');
  report.ledger.systemModules = { ...systemModules, source: 9, system: 4, desired: 5, create: 5, applied: 4 };
  report.warnings = [{ code: 'SYSTEM_MODULES_DIFFERENT', count: 1, samples: ['gw/$edgeAgent'] }];
  const text = reportText(report, 100).replaceAll(/\s+/g, ' ');
  expect(text).toContain('2 rejected, 1 system modules');
  expect(text).toContain('system modules source 9 = system 4 + filtered 0 + refused 0 + desired 5');
});

it('a report of 0.1, which only counted configurations, is shown without them', () => {
  const report = fullReport();
  const old = { ...report.ledger, configurations: { source: 3, moved: 0 }, systemModules: { source: 2 } };
  expect(reportText({ ...report, ledger: old as never })).not.toContain('configurations');
});

it('an error shows no secret, wherever it was typed', () => {
  const secret = Buffer.alloc(32, 7).toString('base64');
  const message = `there is no hub "HostName=a;SharedAccessKey=${secret}"`;
  const lines = errorLines({ code: 'HUB_UNKNOWN', message, hint: `not ${secret}` }, 80).join('\n');
  expect(lines).not.toContain(secret);
  expect(lines).toContain('SharedAccessKey=***');
});

it('a failure before there is a run has the members of a report', () => {
  const error = { code: 'USAGE' as const, message: 'm', hint: 'h' };
  const report = emptyReport({ run: '', workflow: 'migrate', source: '', target: null });
  expect(Object.keys(failureReport('migrate', error))).toEqual(Object.keys(report));
  expect(failureReport('down', error)).toEqual({ outcome: 'failed', error });
});

it.each<[Outcome, number]>([
  ['verified', 0],
  ['planned', 0],
  ['done', 0],
  ['running', 0],
  ['failed', 1],
  ['differences', 3],
  ['parked', 3],
  ['cancelled', 4],
])('%s exits with %i', (outcome, code) => expect(exitCodeOf({ outcome })).toBe(code));

it('names what a rollback left alone, and what it does not undo', () => {
  const what = { run: 'r', workflow: 'rollback', source: 'run:q', target: 'new' } as const;
  const report: RunReport = {
    ...emptyReport(what),
    outcome: 'differences',
    warnings: [
      { code: 'CHANGED_SINCE_RUN', count: 2, samples: ['a', 'b'] },
      { code: 'NOT_UNDONE', count: 1, samples: ['configuration c'] },
    ],
  };
  expect(reportText(report)).toContain('not all is as before the run: 2 changed since the run, 1 not undone');
});

it('shows a plan that waits: kinds of changes, some of them field by field, and how to go on', () => {
  const report: RunReport = {
    ...emptyReport({ run: 'r', workflow: 'migrate', source: 'a', target: 'b' }),
    outcome: 'parked',
    parked: { reason: 'approval', why: 'waits for the approval of plan 0123456789abcdef', since: '' },
    plan: '0123456789abcdef0123',
    kinds: { edge: { create: 1200 }, module: { update: 3, delete: 1 } },
    warnings: [{ code: 'CONNECTION_STRINGS_CHANGE', count: 2, samples: ['they connect when told'] }],
  };
  const samples: PlanSample[] = [
    {
      record: recordKey('gw', null),
      kind: 'edge',
      change: 'create',
      fields: [{ field: 'status', before: null, after: 'enabled' }],
      more: 0,
    },
    {
      record: recordKey('gw', '\u001bm'),
      kind: 'module',
      change: 'update',
      fields: [
        { field: 'authentication.primaryKey', before: 'a key', after: 'another key' },
        { field: 'tags.\u001ba', before: '1', after: null },
      ],
      more: 7,
    },
  ];
  const text = reportText(report, 80, samples);
  expect(text).toMatch(
    / {2}changes +create +update +delete\n {4}edge devices +1,200 +0 +0\n {4}modules +0 +3 +1/,
  );
  expect(text).toContain(
    [
      '  such as',
      '    create edge device gw',
      '      status: enabled',
      '    update module gw/\\x1bm',
      '      authentication.primaryKey: a key → another key',
      '      tags.\\x1ba: 1 → (none)',
      '      and 7 more',
    ].join('\n'),
  );
  expect(text).toContain('  to go on: hubferry approve r 0123456789abcdef');
  expect(text).toContain('    CONNECTION_STRINGS_CHANGE 2\n      they connect when told');
});

it('says what does not match by kind of record', () => {
  const report = fullReport({
    found: { device: { match: 9, different: 1200, missing: 1 }, edge: { match: 2 }, module: { extra: 3 } },
  });
  expect(reportText(report, 100)).toContain(
    '    by kind: devices different 1,200, missing 1; modules extra 3\n',
  );
});
