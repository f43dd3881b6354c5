import { type Call, type Fault, fits, WRITES } from './fault.js';

/** The calls of an undisturbed run of each scenario, in the order in which they began. */
export type Seen = Readonly<Record<string, readonly Call[]>>;

/** One disturbance of one scenario. */
export interface Cell {
  /** What it happens to: an activity, or a job. */
  readonly row: string;
  readonly moment: string;
  readonly scenario: string;
  readonly fault: Fault;
  /** A create that wakes after its successor's: nothing tells the hub that it is too late, so a job may run once more. */
  readonly mayRepeat?: true;
}

type Effect = Pick<Fault, 'at' | 'then'>;

/** What happens to a call of an activity; `request` is what it first writes, or first asks where it writes nothing. */
const OF_ACTIVITIES: Readonly<Record<string, (request: string) => Effect>> = {
  'killed before': () => ({ at: 'entry', then: 'die' }),
  'killed during': (request) => ({ at: { answered: request }, then: 'die' }),
  'killed after': () => ({ at: 'return', then: 'die' }),
  'reply lost': () => ({ at: 'return', then: 'mute' }),
  'heartbeat lost, both at work': (request) => ({ at: { answered: request }, then: 'sleep beside' }),
  'heartbeat lost, woken late': (request) => ({ at: { sent: request }, then: 'sleep behind' }),
};

const CREATE = '^POST /jobs/create$';

/** What happens around a job of a hub: in which activity, and what. */
const OF_JOBS: Readonly<Record<string, Effect & Pick<Fault, 'activity'>>> = {
  'killed before': { activity: 'submitJob', at: { sent: CREATE }, then: 'die' },
  'killed during': { activity: 'pollJob', at: { answered: '^GET /jobs/' }, then: 'die' },
  'killed after': { activity: 'closeJob', at: 'entry', then: 'die' },
  'reply lost': { activity: 'submitJob', at: { answered: CREATE }, then: 'lose' },
  'heartbeat lost, both at work': { activity: 'submitJob', at: { answered: CREATE }, then: 'sleep beside' },
  'heartbeat lost, woken late': { activity: 'submitJob', at: { sent: CREATE }, then: 'sleep behind' },
};

export const MOMENTS: readonly string[] = Object.keys(OF_ACTIVITIES);

/** All cells: of every activity, and of every kind of job that was seen. Activities that no run calls have none. */
export function cellsOf(
  activities: readonly string[],
  seen: Seen,
): { readonly cells: Cell[]; readonly unreached: string[] } {
  const scenarios = Object.entries(seen);
  const ofActivities = activities.map((activity) => activityCells(activity, scenarios));
  return {
    cells: [...ofActivities.flat(), ...jobCells(scenarios)],
    unreached: activities.filter((_, n) => ofActivities[n]?.length === 0),
  };
}

type Scenarios = readonly (readonly [string, readonly Call[]])[];

/** In the first scenario where it writes something, else in the first one. */
function activityCells(activity: string, scenarios: Scenarios): Cell[] {
  const writes = new RegExp(WRITES);
  const found = scenarios.flatMap(([scenario, calls]) =>
    calls.filter((call) => call.activity === activity).map((call, n) => ({ scenario, call, nth: n + 1 })),
  );
  const chosen = found.find(({ call }) => call.requests.some((one) => writes.test(one))) ?? found[0];
  if (chosen === undefined) return [];
  const { scenario, call, nth } = chosen;
  const request = call.requests.some((one) => writes.test(one)) ? WRITES : '.';
  return Object.entries(OF_ACTIVITIES).flatMap(([moment, effect]): Cell[] => {
    const { at, then } = effect(request);
    // One that asks nobody anything has no middle.
    if (typeof at === 'object' && call.requests.length === 0) return [];
    return [{ row: activity, moment, scenario, fault: { activity, nth, at, then } }];
  });
}

/** Each kind of job in the first scenario that has it. */
function jobCells(scenarios: Scenarios): Cell[] {
  const kinds = new Map<string, Cell[]>();
  for (const [scenario, calls] of scenarios) {
    for (const submit of calls.filter(({ activity }) => activity === 'submitJob')) {
      const { host, type, container = '' } = submit.input;
      const wave = calls.find(({ input }) => input['container'] === container && input['wave'])?.input[
        'wave'
      ];
      const row = `${type} job of ${host}${wave === undefined ? '' : `, ${wave}`}`;
      if (kinds.has(row)) continue;
      const cells = Object.entries(OF_JOBS).flatMap(([moment, { activity, at, then }]): Cell[] => {
        // RUN is another each time; the rest of the name is the same.
        const input = { container: container.replace(/^hf-\d{8}-\d{6}-[a-z0-9]{6}/, '') };
        const alike = calls.filter((call) => fits({ activity, input }, call));
        const nth = alike.findIndex((call) => call.input['container'] === container) + 1;
        const fault = { activity, nth, input, at, then };
        const late = then === 'sleep behind' ? { mayRepeat: true as const } : {};
        return nth === 0 ? [] : [{ row, moment, scenario, fault, ...late }];
      });
      kinds.set(row, cells);
    }
  }
  return [...kinds.values()].flat();
}

/** The cells as a table, a row to a line, by a mark each. */
export function tableOf(marks: ReadonlyMap<string, string>, cells: readonly Cell[]): string {
  const rows = [...new Set(cells.map(({ row }) => row))];
  const width = Math.max(...rows.map((row) => row.length));
  const lines = rows.map((row) => {
    const found = MOMENTS.map((moment) => (marks.get(nameOf({ row, moment })) ?? '').padEnd(4));
    return `${row.padEnd(width)}  ${found.join('')}`.trimEnd();
  });
  const head = MOMENTS.map((moment, n) => `${n + 1}: ${moment}`).join(' · ');
  return `${head}\n${' '.repeat(width)}  ${MOMENTS.map((_, n) => String(n + 1).padEnd(4)).join('')}\n${lines.join('\n')}`;
}

export const nameOf = ({ row, moment }: Pick<Cell, 'row' | 'moment'>): string => `${row}: ${moment}`;
