import { isDeepStrictEqual } from 'node:util';
import { addCalls, type HubCalls, NO_CALLS } from '../../registry/hub-calls.js';
import { imbalances, verifyImbalances } from '../../registry/ledger.js';
import type { RunReport } from '../../workflows/messages.js';
import type { Content, Observed } from './lane.js';
import { ENDED } from './mix.js';

/** `wrong`: it says that all is well, and it is not; the worst that can be. `stuck`: it did not end. */
export type Grade = 'right' | 'broken' | 'stuck' | 'wrong';

export interface Judgement {
  readonly grade: Grade;
  /** Everything that is not as it has to be, in words. */
  readonly faults: readonly string[];
}

/** Codes by which preflight tells of a passing fault instead of waiting it out; nothing was written then. */
const PASSING = [
  'HUB_THROTTLED',
  'HUB_UNAVAILABLE',
  'HUB_UNREACHABLE',
  'STORAGE_UNREACHABLE',
  'TEMPORAL_UNREACHABLE',
  'STEP_TIMED_OUT',
];

/** Whether a migration came through what it met, by the two registries themselves and by what it left behind. */
export function judge(seen: Observed): Judgement {
  const last = seen.commands.at(-1)?.report ?? null;
  const verified = last?.outcome === 'verified';
  const different = differing(...seen.target);
  const wrong =
    verified && different.length > 0
      ? [`verified, but ${different.length} of the target are not as they should be: ${few(different)}`]
      : [];
  const broken = [
    ...(verified ? [] : [`not verified, but ${last?.outcome ?? 'without a report'}`]),
    ...changedSource(seen),
    ...seen.reports.flatMap(unbalanced),
    ...unexplained(seen),
    ...doubled(seen),
    ...untoldJobs(seen),
    ...inventedCalls(seen),
    ...leftBehind(seen),
    ...seen.leaks.map((what) => `${what} was printed`),
  ];
  const faults = [...wrong, ...broken];
  if (seen.stuck) return { grade: 'stuck', faults: ['it did not end', ...wrong] };
  return { grade: wrong.length > 0 ? 'wrong' : faults.length > 0 ? 'broken' : 'right', faults };
}

function changedSource({ source: [before, after] }: Observed): string[] {
  const changed = differing(before, after);
  return changed.length > 0 ? [`the source changed: ${few(changed)}`] : [];
}

function unbalanced({ run, outcome, plan, ledger, verify }: RunReport): string[] {
  if (plan === null) return []; // it failed before it had counted
  const { systemModules, configurations, ...records } = ledger;
  const wrong = [
    ...imbalances(records),
    ...imbalances(systemModules),
    ...(configurations ? imbalances(configurations) : []),
    // A run that broke off has not looked again.
    ...(verify && outcome === 'verified' ? verifyImbalances(records, verify) : []),
  ];
  return wrong.map((words) => `${run}: ${words}`);
}

/** Ends that nothing in the mix calls for. */
function unexplained({ mix, commands }: Observed): string[] {
  return commands.flatMap(({ killed, report, code, said }) => {
    if (killed || report?.outcome === 'verified' || report?.outcome === 'parked') return [];
    const error = report?.error?.code;
    if (report !== null && mix.mayEnd.includes(error ?? report.outcome)) return [];
    const written = report?.jobs.some(({ type }) => type === 'import') === true;
    if (error !== undefined && PASSING.includes(error) && !written && report?.plan === null) return [];
    if (error !== undefined) return [`failed with ${error}: ${report?.error?.message}`];
    return [report === null ? `exit ${code} without a report: ${said.slice(-500)}` : report.outcome];
  });
}

/** One job per chunk: a container is made for one job and never used twice. */
function doubled({ jobs }: Observed): string[] {
  const containers = jobs.flatMap(({ container }) => container ?? []);
  return [...new Set(containers)]
    .filter((name) => containers.indexOf(name) !== containers.lastIndexOf(name))
    .map((name) => `more than one job for ${name}`);
}

/** Jobs of ours that the hubs ran and no report tells of, or the other way round. */
function untoldJobs({ reports, jobs }: Observed): string[] {
  if (reports.length > 1) return []; // a run that fails does not tell of jobs that it gave up
  const told = reports.flatMap((report) => report.jobs).filter(({ status }) => status !== 'vanished');
  return (['old', 'new'] as const).flatMap((hub) =>
    ['import', 'export'].flatMap((type) => {
      const ran = jobs.filter((job) => job.hub === hub && job.type === type && job.container !== null).length;
      const said = told.filter((job) => job.hub.startsWith(`${hub}.`) && job.type === type).length;
      return ran === said ? [] : [`${hub} ran ${ran} ${type} jobs of ours, the report tells of ${said}`];
    }),
  );
}

/**
 * Calls that no hub got. The other way round they may differ: calls of an attempt that the server gave up, since its
 * worker died or was too busy to say that it lives, are told by nobody.
 */
function inventedCalls({ reports, counts, struck }: Observed): string[] {
  const refused = struck.get('hub refuseConnection') ?? 0;
  return Object.entries(counts).flatMap(([host, routes]) => {
    const said = reports
      .map(({ hubCalls }) => hubCalls[host] ?? NO_CALLS)
      .reduce((sum, calls) => addCalls(sum, calls), NO_CALLS);
    return (['jobs', 'polls', 'other'] as const).flatMap((kind) => {
      const got = Object.entries(routes).reduce(
        (sum, [route, count]) => sum + (callOf(route) === kind ? count : 0),
        0,
      );
      return said[kind] > got + refused
        ? [`${host} got ${got} calls (${kind}), the report tells of ${said[kind]}`]
        : [];
    });
  });
}

function callOf(route: string): keyof HubCalls {
  if (route === 'GET /jobs/{id}') return 'polls';
  return ['POST /jobs/create', 'GET /jobs', 'DELETE /jobs/{id}'].includes(route) ? 'jobs' : 'other';
}

/** Containers, access, workflows and jobs that nobody needs any more. */
function leftBehind({ reports, containers, opened, held, workflows, waiting, jobs }: Observed): string[] {
  const kept = new Set([
    'hubferry',
    ...reports.flatMap(({ snapshots: { source, target } }) => [source, target]),
  ]);
  return [
    ...containers.filter((name) => !kept.has(name)).map((name) => `container ${name} was left`),
    ...opened.map((name) => `access to ${name} was left`),
    ...held.map((name) => `the hold ${name} was left`),
    ...workflows.map((id) => `workflow ${id} still runs`),
    ...waiting.map((name) => `${name} still waits for its job`),
    ...jobs
      .filter(({ status, container }) => container !== null && !ENDED.includes(status))
      .map(({ hub, type, status }) => `an ${type} job of ${hub} is still ${status}`),
  ];
}

/** Keys whose content is not the same. */
function differing(one: Content, other: Content): string[] {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].filter((key) => !isDeepStrictEqual(one[key], other[key]));
}

function few(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ');
}
