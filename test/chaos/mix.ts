import type { FaultRule, HubSettings, JobFault } from '../../simulator/index.js';
import { Prng } from '../../simulator/prng.js';

/** The two hubs of every run. */
export type HubName = 'old' | 'new';

/** What a request to the blob service meets. */
export type StorageFault =
  /** Answered with this status instead of being processed. */
  | { readonly kind: 'status'; readonly status: number }
  /** The connection is destroyed before anything is processed. */
  | { readonly kind: 'drop' }
  /** Processed, then the connection is destroyed without a reply. */
  | { readonly kind: 'loseReply' }
  /** Processed; the connection is destroyed in the middle of the reply's body, or before it where there is none. */
  | { readonly kind: 'cutReply' }
  /** Processed after so many milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number };

/** A fault of the blob service and whom it hits. */
export interface StorageStrike {
  readonly on: 'storage';
  /** Whose requests: hubferry's own, or those of a hub that works on a job. */
  readonly of: 'hubferry' | 'hub';
  /** A pattern for `METHOD /container/blob?query`. */
  readonly requests: string;
  /** How many requests that fit pass before the first is hit, and how many are hit then. */
  readonly skip: number;
  readonly times: number;
  readonly fault: StorageFault;
}

/** Where a run is when it hits: so many requests of hubferry's to storage are made, or records written to the target. */
export type Point = { readonly requests: number } | { readonly records: number };

/** Who is killed with SIGKILL and brought back, or stands still (SIGSTOP) for longer than a heartbeat may be missing. */
export interface ProcessStrike {
  readonly on: 'process';
  readonly what: 'kill worker' | 'freeze worker' | 'kill server' | 'kill command' | 'kill all';
  readonly at: Point;
  /** Milliseconds until it is brought back. */
  readonly back: number;
}

export type Strike =
  | { readonly on: 'hub'; readonly hub: HubName; readonly rule: FaultRule }
  | { readonly on: 'job'; readonly hub: HubName; readonly fault: JobFault }
  | StorageStrike
  | ProcessStrike;

/** A whole migration and all that goes wrong in it: nothing but data, the same for the same seed. */
export interface Mix {
  readonly seed: number;
  readonly fleet: {
    readonly kind: 'plain' | 'mixed' | 'whole';
    readonly records: number;
    readonly seed: number;
  };
  /** What the target holds: nothing, some of the source's records, or an older state of them; and records of its own. */
  readonly target: { readonly state: 'empty' | 'some' | 'older'; readonly extra: number };
  readonly existing: 'fail' | 'skip' | 'overwrite';
  readonly extra: 'keep' | 'delete';
  /** Of the command line: `--set settings.NAME=VALUE`. */
  readonly settings: Readonly<Record<string, number | string>>;
  readonly workers: 1 | 2;
  /** Simulated seconds in a second. */
  readonly speed: number;
  readonly hubs: Readonly<Record<HubName, Partial<HubSettings>>>;
  readonly strikes: readonly Strike[];
  /**
   * Codes by which a run may fail that met all this, and outcomes other than `verified` that it may have. The same command
   * must then end well.
   */
  readonly mayEnd: readonly string[];
}

/** Milliseconds after which a worker that says nothing is taken for dead, in all runs. */
export const HEARTBEAT = 1_500;

/** Milliseconds after which a job that hangs counts as stuck, where a mix has one. */
export const HANGING = 8_000;

/** How a job may be that works no more. */
export const ENDED: readonly string[] = ['completed', 'failed', 'cancelled'];

/** The mix of a seed. */
export function mixOf(seed: number): Mix {
  const random = new Prng(seed, 'chaos');
  const fleet = fleetOf(random);
  const target = {
    state: random.pick(['empty', 'empty', 'some', 'older'] as const),
    extra: random.chance(0.3) ? between(random, 1, 30) : 0,
  };
  // Whose an edge device's manifest is under `skip` is not the model's to say.
  const policies = fleet.kind === 'whole' ? (['overwrite'] as const) : (['skip', 'overwrite'] as const);
  const existing = target.state === 'older' ? random.pick<Mix['existing']>(policies) : 'fail';
  const settle = between(random, 50, 300);
  const throttled = random.chance(0.2);
  const fatal = random.chance(0.12) ? fatalOf(random) : null;
  const jobs = [...jobStrikes(random, 'old'), ...jobStrikes(random, 'new')];
  const rejects = jobs.some(({ fault }) => fault.kind === 'rejectLines' && fault.code !== undefined);
  const hangs = jobs.some(({ fault }) => fault.kind === 'hang');
  const storage = storageStrikes(random);
  const ofHub = storage.some(({ of }) => of === 'hub');
  return {
    seed,
    fleet,
    target,
    existing,
    extra: target.extra > 0 && random.chance(0.5) ? 'delete' : 'keep',
    settings: {
      settle: `${settle}ms`,
      chunkLines: between(random, 20, 200),
      partitionBytes: random.pick([16_384, 65_536, 1_048_576]),
      // Each job that is lost takes one.
      repairRounds: 5,
      ...(hangs ? { jobDeadline: `${HANGING}ms` } : {}),
    },
    workers: random.chance(0.3) ? 2 : 1,
    speed: throttled ? 20 : 1,
    hubs: {
      old: { ...exportWhims(random), ...(throttled ? throttleOf(random) : {}) },
      new: {
        ...exportWhims(random),
        ...importWhims(random, settle),
        ...(throttled ? throttleOf(random) : {}),
      },
    },
    strikes: [
      ...hubStrikes(random),
      ...jobs,
      ...storage,
      ...processStrikes(random),
      ...(fatal === null ? [] : [fatal.strike]),
    ],
    mayEnd: [
      ...(fatal?.codes ?? []),
      ...(rejects ? ['differences'] : []),
      // A hub that cannot reach its container when a job is created says that the container is no good.
      ...(ofHub ? ['CONTAINER_REFUSED'] : []),
    ],
  };
}

function fleetOf(random: Prng): Mix['fleet'] {
  const kind = random.pick(['plain', 'plain', 'mixed', 'mixed', 'mixed', 'whole'] as const);
  const records = kind === 'whole' ? between(random, 10, 60) : between(random, 30, 400);
  return { kind, records, seed: random.below(1_000_000) };
}

/** What is not documented of exports, and how long jobs wait. */
function exportWhims(random: Prng): Partial<HubSettings> {
  return {
    ...some(random, 0.1, { exportBom: true }),
    ...some(random, 0.1, { exportLineEnd: 'lf' as const }),
    ...some(random, 0.1, { exportFinalLineEnd: false }),
    ...some(random, 0.1, { exportParentScopes: false }),
    ...some(random, 0.1, { jobOrder: 'oldestFirst' as const }),
    ...some(random, 0.1, { jobWaitingStatus: random.pick(['queued', 'scheduled'] as const) }),
    ...some(random, 0.3, { startDelay: between(random, 10, 400) }),
    ...some(random, 0.15, { jobLag: between(random, 10, 200) }),
    ...some(random, 0.4, { rate: between(random, 150, 600) }),
  };
}

/** What is not documented of imports, and how late a hub shows what was written, but no later than it is given. */
function importWhims(random: Prng, settle: number): Partial<HubSettings> {
  return {
    ...some(random, 0.2, { importOrder: random.pick(['devicesFirst', 'shuffled'] as const) }),
    ...some(random, 0.1, { errorLogRepeat: 20 }),
    ...some(random, 0.1, { errorLogModuleId: false }),
    ...some(random, 0.1, { importTwinPart: 'merge' as const }),
    ...some(random, 0.1, { importLeafScope: 'ignore' as const }),
    ...some(random, 0.1, { importParentScopes: 'ignore' as const }),
    ...some(random, 0.1, { importModules: 'refuse' as const, sasModuleQuirk: false }),
    ...some(random, 0.2, { visibilityLag: between(random, 10, settle) }),
    ...some(random, 0.2, { exportLag: between(random, 10, settle) }),
    ...some(random, 0.2, { queryLag: between(random, 10, 500) }),
    ...some(random, 0.1, { queryGhosts: between(random, 100, 2_000) }),
  };
}

function throttleOf(random: Prng): Partial<HubSettings> {
  return { throttling: true, units: between(random, 1, 4), throttleQueue: random.pick([0, 500, 5_000]) };
}

const ROUTES = [
  'POST /jobs/create',
  'POST /jobs/create',
  'GET /jobs',
  'GET /jobs/{id}',
  'DELETE /jobs/{id}',
  'GET /statistics/devices',
  'POST /devices/query',
  'GET /devices/{id}',
  'PUT /devices/{id}',
  'PUT *',
  'GET *',
  'GET /configurations',
  'PUT /configurations/{id}',
  'POST /devices/{id}/applyConfigurationContent',
  undefined,
] as const;

function hubStrikes(random: Prng): Strike[] {
  return many(random, 4, () => {
    const rule: FaultRule = random.pick<() => FaultRule>([
      () => ({ kind: 'status', status: 429 }),
      () => ({ kind: 'status', status: random.pick([500, 502, 503, 504]) }),
      () => ({ kind: 'status', code: 'IotHubFailingOver' }),
      () => ({ kind: 'delay', ms: between(random, 50, 2_000) }),
      () => ({ kind: 'drop' }),
      () => ({ kind: 'loseReply' }),
      () => ({ kind: 'loseReply' }),
      () => ({ kind: 'truncateBody' }),
      () => ({ kind: 'splitBody', byte: random.below(200) }),
      () => ({ kind: 'slowBody', bytes: between(random, 20, 200), ms: between(random, 5, 50) }),
      () => ({ kind: 'refuseConnection' }),
    ])();
    const route = random.pick([...ROUTES]);
    const place = rule.kind === 'refuseConnection' || route === undefined ? {} : { route };
    return {
      on: 'hub',
      hub: random.pick(['old', 'new', 'new'] as const),
      rule: { ...rule, ...place, skip: random.below(8), times: between(random, 1, 3) },
    };
  });
}

/** At most two for each type of job, since an export is tried three times. */
function jobStrikes(random: Prng, hub: HubName): Extract<Strike, { on: 'job' }>[] {
  const strike = (fault: JobFault) => ({ on: 'job', hub, fault }) as const;
  const any = (): JobFault =>
    random.pick<() => JobFault>([
      () => ({ kind: 'failAfter', lines: random.below(100) }),
      () => ({ kind: 'vanish', lines: random.below(100) }),
      () => ({ kind: 'hang', lines: random.below(100) }),
      () => ({ kind: 'finishLate', ms: between(random, 100, 1_500) }),
      () => ({ kind: 'occupySlot', ms: between(random, 100, 2_500) }),
      () => ({ kind: 'refuseStorage', lines: random.below(100) }),
    ])();
  const ofImport = (): JobFault =>
    random.pick<() => JobFault>([
      () => ({ kind: 'lateErrorLog', ms: between(random, 50, 1_000) }),
      () => ({ kind: 'noErrorLog' }),
      () => ({ kind: 'doubtLines', lines: between(random, 1, 20) }),
      () => ({ kind: 'rejectLines', lines: between(random, 1, 20) }),
      () => ({ kind: 'rejectLines', lines: between(random, 1, 5), code: 'ArgumentInvalid' }),
      any,
      any,
    ])();
  const exports = random.chance(0.35)
    ? many(random, hub === 'new' ? 1 : 2, () => strike({ ...any(), type: 'export' }))
    : [];
  const imports =
    hub === 'new' && random.chance(0.6)
      ? many(random, 2, () => strike({ ...ofImport(), type: 'import' }))
      : [];
  return [...exports, ...imports];
}

/** Requests of hubferry's to storage, by what they are for, and how many of a kind may pass before one is hit. */
const REQUESTS = [
  ['.', 200],
  ['^PUT /hf-[^/]+\\?restype=container', 6],
  ['^PUT /hf-[^/]+\\?.*comp=acl', 4],
  ['/hubferry/jobs-before\\.json', 4],
  ['/hubferry/job\\.json', 4],
  ['^PUT /hf-[^/]+-10\\d{4}-\\d/', 8],
  ['^PUT /hf-[^/]+-work/', 60],
  ['^GET ', 60],
  ['comp=blocklist', 20],
  ['importErrors\\.log', 4],
  ['^DELETE /hf-', 6],
  ['^PUT /hubferry/', 4],
] as const;

function storageStrikes(random: Prng): StorageStrike[] {
  const faultOf = (): StorageFault =>
    random.pick<() => StorageFault>([
      () => ({ kind: 'status', status: random.pick([500, 503]) }),
      () => ({ kind: 'status', status: random.pick([500, 503]) }),
      () => ({ kind: 'drop' }),
      () => ({ kind: 'loseReply' }),
      () => ({ kind: 'loseReply' }),
      () => ({ kind: 'cutReply' }),
      () => ({ kind: 'delay', ms: between(random, 100, 2_000) }),
    ])();
  const own = many(random, 4, (): StorageStrike => {
    const [requests, most] = random.pick<readonly [string, number]>([...REQUESTS]);
    // The library tries three times: more than that reaches the activity.
    const times = between(random, 1, 5);
    return {
      on: 'storage',
      of: 'hubferry',
      requests,
      skip: random.below(most),
      times,
      fault: faultOf(),
    };
  });
  const ofHub = random.chance(0.15)
    ? [
        {
          on: 'storage',
          of: 'hub',
          requests: random.pick(['.', '^PUT ', '^GET ', 'importErrors\\.log', 'comp=blocklist'] as const),
          skip: random.below(12),
          times: between(random, 1, 2),
          fault: faultOf(),
        } as const,
      ]
    : [];
  return [...own, ...ofHub];
}

function processStrikes(random: Prng): ProcessStrike[] {
  return many(random, 3, () => {
    const what = random.pick([
      'kill worker',
      'kill worker',
      'kill worker',
      'freeze worker',
      'kill server',
      'kill server',
      'kill command',
      'kill all',
    ] as const);
    return {
      on: 'process',
      what,
      at: random.chance(0.7)
        ? { requests: Math.round(Math.exp(random.next() * Math.log(400))) }
        : { records: random.below(200) },
      back: what === 'freeze worker' ? HEARTBEAT + between(random, 500, 2_500) : random.below(1_200),
    };
  });
}

/** A fault that no tool can go on after: the run has to say so and end, and the same command has to end well. */
function fatalOf(random: Prng): { readonly strike: Strike; readonly codes: readonly string[] } {
  const hub = random.pick(['old', 'new'] as const);
  return random.pick<() => ReturnType<typeof fatalOf>>([
    () => ({
      strike: {
        on: 'job',
        hub,
        fault: { kind: 'cutOutput', bytes: between(random, 100, 20_000), type: 'export' },
      },
      codes: ['SNAPSHOT_CUT', 'SNAPSHOT_LINE_NOT_JSON'],
    }),
    () => ({ strike: { on: 'job', hub, fault: { kind: 'refuseStorage' } }, codes: ['CONTAINER_REFUSED'] }),
    () => ({
      strike: { on: 'hub', hub, rule: { kind: 'status', status: 401, skip: between(random, 2, 30) } },
      codes: ['HUB_UNAUTHORIZED'],
    }),
    () => ({
      strike: {
        on: 'storage',
        of: 'hubferry',
        requests: '.',
        skip: between(random, 5, 200),
        times: 1,
        fault: { kind: 'status', status: 403 },
      },
      codes: ['STORAGE_UNAUTHORIZED', 'CONTAINERS_NOT_ALLOWED'],
    }),
  ])();
}

/** A whole number from `low` to `high`. */
function between(random: Prng, low: number, high: number): number {
  return low + random.below(high - low + 1);
}

/** None to `most` of something. */
function many<T>(random: Prng, most: number, one: () => T): T[] {
  return Array.from({ length: random.below(most + 1) }, one);
}

function some<T extends object>(random: Prng, probability: number, what: T): Partial<T> {
  return random.chance(probability) ? what : {};
}

/** What kind of fault it is, in a few words: the heading under which strikes are counted. */
export function kindOf(strike: Strike): string {
  if (strike.on === 'process') return strike.what;
  if (strike.on === 'job') return `job ${strike.fault.kind}`;
  if (strike.on === 'hub') {
    const { rule } = strike;
    return `hub ${rule.kind === 'status' ? (rule.status ?? rule.code) : rule.kind}`;
  }
  const { of, fault } = strike;
  const name = fault.kind === 'status' ? fault.status : fault.kind;
  return `${of === 'hub' ? 'hub’s storage' : 'storage'} ${name}`;
}

/** A mix in a few words. */
export function wordsOf({ fleet, target, existing, extra, workers, speed, strikes }: Mix): string {
  const onto = [
    target.state,
    ...(target.state === 'older' ? [existing] : []),
    ...(target.extra > 0 ? [`extra ${extra}`] : []),
  ].join(' ');
  const kinds = [...new Set(strikes.map(kindOf))];
  return [
    `${fleet.records} ${fleet.kind} onto ${onto}`,
    ...(workers === 2 ? ['two workers'] : []),
    ...(speed > 1 ? ['throttled'] : []),
    ...kinds,
  ].join(', ');
}
