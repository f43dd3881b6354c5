import type { Work } from '../registry/estimate.js';
import { isMissed } from '../registry/objective.js';
import type { PlanSample } from '../registry/plan-sample.js';
import type { ProbeAnswer } from '../registry/probe.js';
import { changesIn, kindsOf, type SourceChanges } from '../registry/source-changes.js';
import type { Found, Kinds } from '../registry/totals.js';
import {
  comparisonOf,
  type Equation,
  KIND_NAMES,
  KINDS,
  ledgerRows,
  masked,
  mendingOf,
  partsOf,
  type RunError,
  VERIFY_TERMS,
  verdictOf,
  wayOn,
} from '../report/words.js';
import {
  type DrillResult,
  emptyReport,
  type Following,
  type Outcome,
  RUN_VERBS,
  type RunReport,
} from '../workflows/messages.js';
import { count, duration, estimate, fold, joined, plain, plainJson, table, typed } from './text.js';

const bySchedule = ({ schedule }: RunReport): string =>
  schedule === undefined ? '' : ` · schedule ${plain(schedule)}`;

/**
 * The report of a run as text for a person, `width` columns wide where it can be.
 *
 * @param samples changes of a plan that waits for a decision.
 */
export function reportText(report: RunReport, width = 80, samples: readonly PlanSample[] = []): string {
  const { ledger, verify, error } = report;
  const lines = [
    ...fold(`run ${report.run} · ${report.workflow}${bySchedule(report)}`, width),
    ...fold(`  ${plain(report.source)}${report.target ? ` → ${plain(report.target)}` : ''}`, width),
    '',
    ...fold(`  ${verdictOf(report)}`, width),
    '',
  ];
  if (error) lines.push(...errorLines(error, width - 2).map((line) => `  ${line}`), '');
  // Nothing was counted yet, or ever is; an empty hub that was moved to its end is another matter.
  const counts = !['running', 'failed', 'skipped'].includes(report.outcome) && report.workflow !== 'probe';
  const uncounted = ledger.source === 0 && !counts;
  if (!uncounted) lines.push('  ledger', ...equations(ledgerRows(report), width));
  for (const [name, part] of partsOf(report))
    lines.push(`  ${name}`, ...equations(ledgerRows({ workflow: report.workflow, ledger: part }), width));
  if (verify) {
    const { compared } = verify;
    lines.push(
      `  ${comparisonOf(report)}`,
      ...equations([['compared', compared, verify, VERIFY_TERMS]], width),
    );
    // Those that the plan deletes are in its ledger.
    const left = verify.extra - (comparisonOf(report) === 'verify' ? 0 : ledger.delete);
    if (left > 0) lines.push(`    extra ${count(left)} (only on the target, left alone)`);
    lines.push(...foundLines(report.found ?? {}, width));
    const fields = Object.entries(report.fields).map(([name, n]) => `${name} ${count(n)}`);
    if (fields.length > 0) lines.push(...fold(`    differing fields: ${fields.join(', ')}`, width));
  }
  if (report.outcome === 'planned' || report.parked?.reason === 'approval') {
    if (report.kinds) lines.push(...kindLines(report.kinds));
    if (report.work) lines.push(...workLines(report.work, width));
    if (samples.length > 0) lines.push(...sampleLines(samples, width));
  }
  if (report.follow) lines.push(...followLines(report.follow, width));
  if (report.drill) lines.push(...drillLines(report.drill, width));
  if (report.cleaned !== undefined)
    lines.push(`  scratch hub ${report.cleaned ? 'empty again' : 'not empty: see NOT_CLEANED'}`);
  if (report.probe) lines.push(...probeLines(report.probe, width));
  if (report.rules && report.rules.length > 0) lines.push(...ruleLines(report.rules));
  if (report.sourceChanges) lines.push(...sourceLines(report.sourceChanges));
  if (report.newKeys !== undefined) lines.push(...newKeysLines(report.run, report.newKeys, width));
  if (report.rejected.length > 0) {
    const all = [ledger, ...partsOf(report).map(([, part]) => part)].reduce(
      (sum, { refused, rejected }) => sum + refused + rejected,
      0,
    );
    const few = all > report.rejected.length ? `, the first ${report.rejected.length} of ${count(all)}` : '';
    lines.push(`  refused or rejected${few}`);
    for (const { record, code, reason } of report.rejected) {
      lines.push(`    ${plain(record)}`, ...fold(`      ${plain(code)}: ${plain(reason)}`, width));
    }
  }
  if (report.warnings.length > 0) lines.push('  warnings');
  for (const { code, count: times, samples: named } of report.warnings) {
    const shown = named.slice(0, 3);
    // One sample of many is no example, but says what it is about.
    const few = shown.length > 1 && times > shown.length;
    lines.push(`    ${code} ${count(times)}${few ? ', such as' : ''}`);
    for (const sample of shown) lines.push(...fold(`      ${plain(sample)}`, width));
  }
  lines.push(...callLines(report));
  if (report.plan) lines.push(`  plan ${report.plan.slice(0, 16)}`);
  if (report.snapshots.source) lines.push(`  source snapshot ${report.snapshots.source}`);
  if (report.snapshots.target) lines.push(`  target snapshot ${report.snapshots.target}`);
  if (report.retention) {
    const { removed, kept } = report.retention;
    lines.push(`  snapshots of its schedule: ${count(removed)} removed, ${count(kept)} kept`);
  }
  if (report.report) lines.push(`  report ${report.report}`, `  as a page: hubferry report ${report.run}`);
  if (report.differences) lines.push(...fold(`  differences ${report.differences}`, width));
  for (const [host, rate] of Object.entries(report.rates ?? {}))
    lines.push(...fold(`  throttled ${host}, ${rate} a second`, width));
  if (report.parked) {
    const mending = mendingOf(report.parked);
    if (mending !== null) lines.push(...fold(`  what to do: ${mending}`, width, 4));
    lines.push(...fold(`  to go on: ${wayOn(report, report.parked)}`, width, 4));
  }
  return joined(lines);
}

/** What a probe asked, what the hub answered, and what hubferry takes for granted. */
function probeLines(answers: readonly ProbeAnswer[], width: number): string[] {
  const widest = Math.max(...answers.map(({ question }) => question.length));
  return [
    '  what the hub answers, and what hubferry assumes',
    ...answers.flatMap(({ question, answer, assumed }) => {
      const first = `    ${question.padEnd(widest)}  `;
      return [
        ...fold(`${first}${plain(answer)}`, width, first.length - 4),
        ...fold(`${' '.repeat(first.length)}assumed: ${assumed}`, width, 0),
      ];
    }),
  ];
}

/** The changes of a plan, by kind of record. */
function kindLines(kinds: Kinds): string[] {
  const rows = KINDS.flatMap((kind) => {
    const { create = 0, update = 0, delete: remove = 0 } = kinds[kind] ?? {};
    if (create + update + remove === 0) return [];
    return [[`    ${KIND_NAMES[kind]}`, ...[create, update, remove].map(count)]];
  });
  if (rows.length === 0) return [];
  return table([['  changes', 'create', 'update', 'delete'], ...rows], [1, 2, 3]);
}

/** What does not match, by kind of record. */
function foundLines(found: Found, width: number): string[] {
  const kinds = KINDS.flatMap((kind) => {
    const open = Object.entries(found[kind] ?? {}).filter(([name]) => name !== 'match');
    const counts = open.map(([name, n]) => `${name} ${count(n)}`);
    return counts.length === 0 ? [] : [`${KIND_NAMES[kind]} ${counts.join(', ')}`];
  });
  return kinds.length === 0 ? [] : fold(`    by kind: ${kinds.join('; ')}`, width);
}

/** Some changes of a plan, field by field. */
function sampleLines(samples: readonly PlanSample[], width: number): string[] {
  const shown = (value: string | null): string => (value === null ? '(none)' : plain(value));
  return [
    '  such as',
    ...samples.flatMap(({ change, kind, record, fields, more }) => [
      ...fold(`    ${change} ${kind === 'edge' ? 'edge device' : kind} ${plain(record)}`, width),
      ...fields.flatMap(({ field, before, after }) => {
        const values =
          change === 'create'
            ? shown(after)
            : change === 'delete'
              ? shown(before)
              : `${shown(before)} → ${shown(after)}`;
        return fold(`      ${plain(field)}: ${values}`, width, 4);
      }),
      ...(more > 0 ? [`      and ${count(more)} more`] : []),
    ]),
  ];
}

/** What a plan sends, wave by wave, and how long that may take. */
function workLines({ waves, exports, calls, seconds }: Work, width: number): string[] {
  const rows = waves.map(({ wave, lines, jobs }) => [`    ${wave}`, count(lines), count(jobs)]);
  const said = Object.entries({
    applyConfigurationContent: calls.applyConfigurationContent,
    'about configurations': calls.configurations,
    'queries of scopes': calls.scopes,
  }).flatMap(([name, n]) => (n > 0 ? [`${count(n)} ${name}`] : []));
  const times = Object.entries({ imports: seconds.imports, exports: seconds.exports, calls: seconds.calls })
    .filter(([, time]) => time > 0)
    .map(([name, time]) => `${name} ${estimate(time * 1000)}`);
  const rate = seconds.exportRate === 'measured' ? ', exports at the rate of this run’s own' : '';
  return [
    ...(rows.length > 0
      ? table([['  to be sent', 'lines', 'jobs'], ...rows], [1, 2])
      : ['  nothing to be sent']),
    ...(exports > 0 ? [`    and ${exports} ${exports === 1 ? 'export' : 'exports'} to prove it`] : []),
    ...(said.length > 0 ? fold(`    calls: ${said.join(', ')}`, width) : []),
    ...(times.length > 0
      ? fold(
          `    about ${estimate(seconds.total * 1000)} (${times.join(', ')}; at documented rates${rate})`,
          width,
        )
      : []),
  ];
}

function equations(rows: readonly Equation[], width: number): string[] {
  const sums = table(
    rows.map(([name, sum]) => [`    ${name}`, count(sum)]),
    [1],
  );
  return rows.flatMap(([, , counts, terms], i) => {
    const values = counts as Readonly<Record<string, number>>;
    const sum = sums[i] ?? '';
    const added = terms.map((name) => `${name} ${count(values[name] ?? 0)}`);
    return fold(`${sum} = ${added.join(' + ')}`, width, sum.length - 1);
  });
}

/** The passes of a run that follows its source, and what it did to it. */
function followLines({ passes, count: all, disabled, cutBack }: Following, width: number): string[] {
  const shown = passes.slice(-10);
  const first = all - shown.length + 1;
  const rows = shown.map(({ create, update, delete: remove, seconds, outcome }, i) => [
    `    ${first + i}`,
    ...[create, update, remove].map(count),
    duration(seconds * 1000),
    outcome,
  ]);
  return [
    ...table([['  pass', 'create', 'update', 'delete', 'time', 'outcome'], ...rows], [1, 2, 3, 4]),
    ...(disabled
      ? fold(`  source disabled by run ${disabled.run}, ${count(disabled.devices)} devices`, width)
      : []),
    ...(cutBack
      ? fold(
          `  enabled again by run ${cutBack.run}, ${count(cutBack.devices)} devices: ${cutBack.why}`,
          width,
        )
      : []),
  ];
}

/** What a drill has measured, against what it was to reach. */
function drillLines({ rto, rpo, objectives, stages }: DrillResult, width: number): string[] {
  const line = (name: string, measured: number, objective: number | null): string => {
    const how =
      objective === null
        ? 'no objective'
        : `objective ${typed(objective * 1000)}: ${isMissed(measured, objective) ? 'missed' : 'met'}`;
    return `    ${name} ${duration(measured * 1000)} (${how})`;
  };
  const parts = Object.entries(stages).map(([phase, time]) => `${phase} ${duration(time * 1000)}`);
  return [
    '  drill',
    line('recovery time', rto, objectives.rto),
    ...fold(`      ${parts.join(', ')}`, width),
    line('age of the snapshot', rpo, objectives.rpo),
  ];
}

/** What each rule did. */
function ruleLines(rules: NonNullable<RunReport['rules']>): string[] {
  return table(
    [
      ['  rules', 'matched', 'changed'],
      ...rules.map(({ name, matched, changed }) => [`    ${plain(name)}`, count(matched), count(changed)]),
    ],
    [1, 2],
  );
}

function newKeysLines(run: string, newKeys: number, width: number): string[] {
  const how = `hubferry status ${run} --keys-out FILE`;
  return [
    `  new keys ${count(newKeys)}`,
    ...fold(`    their devices have to be given them before they can connect`, width),
    ...fold(`    where no command has saved them yet: ${how}`, width),
  ];
}

/** What changed on the source meanwhile. */
function sourceLines(changes: SourceChanges): string[] {
  if (changesIn(changes) === 0) return ['  source: nothing changed since its first snapshot'];
  const rows = kindsOf(changes).flatMap(([name, { created, deleted, changed }]) =>
    created + deleted + changed === 0 ? [] : [[`    ${name}`, ...[created, deleted, changed].map(count)]],
  );
  return table([['  source meanwhile', 'created', 'deleted', 'changed'], ...rows], [1, 2, 3]);
}

function callLines({ jobs, seconds, hubCalls, source, target }: RunReport): string[] {
  const times = `in ${duration(seconds.inJobs * 1000)}; whole run ${duration(seconds.total * 1000)}`;
  const lines = [`  ${jobs.length} ${jobs.length === 1 ? 'job' : 'jobs'} ${times}`];
  const calls = Object.entries(hubCalls).map(([host, { jobs: created, polls, other }]) => {
    const role = host === source ? 'source' : host === target ? 'target' : plain(host);
    return [`    ${role}`, ...[created, polls, other].map(count)];
  });
  if (calls.length > 0)
    lines.push(...table([['    hub calls', 'jobs', 'polls', 'others'], ...calls], [1, 2, 3]));
  return lines;
}

/** What happened, and what to do. */
export function errorLines(error: RunError, width: number): string[] {
  const { code, message, hint } = masked(error);
  const [first = '', ...more] = message.split('\n').map(plain);
  return [
    ...fold(`${code}: ${first}`, width),
    ...more.flatMap((line) => fold(`  ${line}`, width)),
    ...fold(`  ${hint}`, width, 0),
  ];
}

/** What `--json` prints of a command that failed before there was a run: the same members, as far as they apply. */
export function failureReport(verb: string | undefined, failure: RunError): object {
  const error = masked(failure);
  const workflow = RUN_VERBS.find((name) => name === verb);
  const outcome = 'failed' satisfies Outcome;
  if (workflow === undefined) return { outcome, error };
  return {
    ...emptyReport({ run: '', workflow, source: '', target: null }),
    run: null,
    source: null,
    outcome,
    error,
  };
}

/** The exit code of a finished or detached run (design §8). */
export function exitCodeOf(report: Pick<RunReport, 'outcome'>): number {
  switch (report.outcome) {
    case 'verified':
    case 'planned':
    case 'done':
    case 'running':
      return 0;
    case 'failed':
      return 1;
    case 'cancelled':
      return 4;
    default:
      return 3;
  }
}

/** The one object (or array) of `--json`. What would steer a terminal is escaped, as JSON allows it to be. */
export function printJson(value: unknown): void {
  process.stdout.write(`${plainJson(JSON.stringify(value, null, 2))}\n`);
}

/** The result for a person. Whatever is in it, no line steers the terminal. */
export function print(text: string): void {
  process.stdout.write(`${lineByLine(text)}\n`);
}

/** A line for the person who waits, never on stdout, which belongs to the result. */
export function say(text: string): void {
  process.stderr.write(`${lineByLine(text)}\n`);
}

const lineByLine = (text: string): string => joined(text.split('\n'));
