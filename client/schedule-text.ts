import type { Retention } from '../registry/retention.js';
import type { RunReport } from '../workflows/messages.js';
import type { ScheduleDetails, Scheduled, ScheduleNote } from './schedules.js';
import { count, duration, fold, joined, plain, table } from './text.js';

/** How many of the next times are shown. */
const NEXT_SHOWN = 5;

/** A schedule, and the newest run of it that left a report. */
export interface Listed {
  readonly schedule: Scheduled;
  readonly last: RunReport | null;
}

/** `2026-08-01 12:00:00`, in UTC. */
export const utc = (date: Date): string => date.toISOString().slice(0, 19).replace('T', ' ');

const commandOf = ({ note }: Pick<Scheduled, 'note'>): string =>
  note.command === undefined ? 'not made by `hubferry schedule create`' : plain(note.command);

/** ms → "90 s", "15 min", "6 h", "30 d", in the largest unit that divides it. */
export function plainly(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const;
  const fits = units.find(([, length]) => ms % length === 0);
  return fits === undefined || ms === 0 ? `${ms} ms` : `${ms / fits[1]} ${fits[0]}`;
}

/** When, in words. */
export function whenText({ when, jitter }: Partial<ScheduleNote>): string {
  if (when === undefined) return 'at times of its own';
  const times = 'every' in when ? `every ${plainly(when.every)}` : `cron ${when.cron}`;
  return `${times} (UTC)${jitter === undefined ? '' : `, up to ${plainly(jitter)} later`}`;
}

/** Which snapshots stay, in words. */
export function keepText({ count: most, age }: Retention): string {
  const newest = most === undefined ? [] : [`of the newest ${most === 1 ? 'run' : `${count(most)} runs`}`];
  const young = age === undefined ? [] : [`not older than ${plainly(age)}`];
  return `keeps snapshots ${[...newest, ...young].join(', ')}`;
}

const stateOf = ({ paused, reason }: Pick<Scheduled, 'paused' | 'reason'>): string =>
  paused
    ? `paused${reason === null || reason === '' || reason === 'paused' ? '' : `: ${plain(reason)}`}`
    : '';

/** What `schedule create` says, and how long what it made lives. */
export function createdText(
  schedule: ScheduleDetails,
  isEmbedded: boolean,
  width: number,
): { readonly made: readonly string[]; readonly life: readonly string[] } {
  const { name, next } = schedule;
  const [first] = next;
  const made = [
    `schedule ${name}: ${commandOf(schedule)}`,
    `  ${whenText(schedule.note)}`,
    ...(first === undefined ? [] : [`  first time ${utc(first)} UTC`]),
  ];
  const life = isEmbedded
    ? 'It fires while the embedded server of this machine runs, which stays up as long as a schedule is not paused. ' +
      '`hubferry down` stops it, and `hubferry up` starts it again, also after the machine was restarted. ' +
      `\`hubferry schedule pause ${name}\` lets it end when it is idle.`
    : 'It fires while the Temporal server runs; a worker (`hubferry worker`) has to run to carry it out.';
  return {
    made: made.flatMap((line) => fold(line, Math.min(width, 80))),
    life: fold(`  ${life}`, Math.min(width, 80), 0),
  };
}

/** A row for each schedule, and its command. */
export function listedText(listed: readonly Listed[], width: number): string {
  if (listed.length === 0) return 'no schedules';
  const rows = listed.map(({ schedule: { name, next, paused }, last }) => [
    paused ? 'paused' : next[0] === undefined ? 'never' : utc(next[0]),
    last?.outcome ?? 'no run yet',
    name,
  ]);
  const [head = '', ...lines] = table([['NEXT (UTC)', 'LAST', 'NAME'], ...rows]);
  return joined([
    head,
    ...lines.flatMap((line, i) => {
      const one = listed[i];
      if (one === undefined) return [];
      const why = one.schedule.paused ? fold(`  ${stateOf(one.schedule)}`, width) : [];
      return [...fold(line, width), ...fold(`  ${commandOf(one.schedule)}`, width), ...why];
    }),
  ]);
}

/** One schedule with its last runs, newest first. */
export function detailsText(schedule: ScheduleDetails, runs: readonly RunReport[], width: number): string {
  const { name, note, next, counts, overlap, catchUp, pauseOnFailure, running } = schedule;
  const overlaps = overlap === 'skip' ? 'left out while a run goes on' : `${overlap} while a run goes on`;
  const lines = [
    `schedule ${name}`,
    `  ${commandOf(schedule)}`,
    '',
    `  ${whenText(note)}`,
    `  times: ${overlaps}; made up when missed by ${plainly(catchUp)} at most`,
    ...(pauseOnFailure ? ['  paused when a run fails or ends with differences'] : []),
    ...(note.keep === undefined ? [] : [`  ${keepText(note.keep)}`]),
    ...(schedule.paused ? [`  ${stateOf(schedule)}`] : []),
    ...(running ? ['  a run goes on'] : []),
    ...(next.length === 0
      ? []
      : ['  next (UTC)', ...next.slice(0, NEXT_SHOWN).map((time) => `    ${utc(time)}`)]),
    `  times so far: started ${count(counts.started)}, left out while a run went on ${count(counts.skippedByOverlap)}, missed ${count(counts.missed)}`,
  ];
  const rows = runs.map(({ run, outcome, started, seconds }) => [
    `  ${run}`,
    utc(new Date(started)),
    outcome,
    duration(seconds.total * 1000),
  ]);
  const shown =
    rows.length === 0
      ? ['  no run has left a report yet']
      : table([['  RUN', 'STARTED (UTC)', 'OUTCOME', 'TIME'], ...rows]);
  return joined([
    ...lines.flatMap((line) => fold(line, width)),
    ...shown.flatMap((line, i) => {
      const error = runs[i - 1]?.error;
      return error ? [line, ...fold(`    ${error.code}: ${plain(error.message)}`, width)] : [line];
    }),
  ]);
}

/** What `--json` prints of a schedule in a list. */
export function listedJson({ schedule, last }: Listed): object {
  const { name, note, paused, reason, next } = schedule;
  return {
    name,
    ...noteJson(note),
    paused,
    reason,
    next: next.slice(0, NEXT_SHOWN),
    last: last === null ? null : runJson(last),
  };
}

/** What `--json` prints of one schedule. */
export function detailsJson(schedule: ScheduleDetails, runs: readonly RunReport[]): object {
  const { note, next, ...rest } = schedule;
  return { ...rest, ...noteJson(note), next: next.slice(0, NEXT_SHOWN), runs: runs.map(runJson) };
}

const noteJson = ({ command, when, jitter, keep }: Partial<ScheduleNote>): object => ({
  command: command ?? null,
  when: when ?? null,
  jitter: jitter ?? 0,
  keep: keep ?? null,
});

function runJson({ run, outcome, started, seconds, retention, error }: RunReport): object {
  return { run, outcome, started, seconds: seconds.total, ...(retention ? { retention } : {}), error };
}
