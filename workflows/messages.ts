import type { ErrorCode } from '../registry/errors.js';
import type { Work } from '../registry/estimate.js';
import type { HubCalls } from '../registry/hub-calls.js';
import { emptyLedger, type Ledger, type PartLedger, type VerifyCounts } from '../registry/ledger.js';
import type { Policy } from '../registry/policy.js';
import type { ProbeAnswer } from '../registry/probe.js';
import type { Rejected } from '../registry/refusal.js';
import type { Retention } from '../registry/retention.js';
import type { OrphanPolicy, Rule, RuleTally } from '../registry/rules.js';
import type { RunSettings } from '../registry/settings.js';
import type { SourceChanges } from '../registry/source-changes.js';
import type { Found, Kinds } from '../registry/totals.js';
import { defineQuery, defineSignal, defineUpdate } from './definitions.js';

/** Where workflows and light activities run, unless a worker is told another name. */
export const TASK_QUEUE = 'hubferry';

/** The queue of the heavy activities that belongs to a queue of workflows: more workers on it make a run faster. */
export const transferQueueOf = (taskQueue: string): string => `${taskQueue}-transfer`;

export { hubJobIdOf, readerIdOf, workflowIdOf, writerIdOf } from '../registry/workflow-ids.js';
export const hubQueueIdOf = (host: string): string => `hub-queue/${host}`;
export const applyIdOf = (run: string, round: number): string => `apply/${run}/${round}`;

/** The private container of the keys that a run made, until they are fetched. */
export const newKeysContainer = (run: string): string => `hf-${run}-keys`;

/** In that container: a line of JSON for each record. */
export const NEW_KEYS_BLOB = 'keys.jsonl';

/** The private container of a run's list of edits: it holds keys, and goes when the run ends. */
export const editsContainer = (run: string): string => `hf-${run}-edits`;

/** In that container: a line of JSON for each edit. */
export const EDITS_BLOB = 'edits.jsonl';

/** What every run is given. Hosts and the storage account, never aliases and never a secret. */
export interface RunInput {
  readonly run: string;
  readonly account: string;
  readonly settings: RunSettings;
  /** The Temporal server, as its client calls it: only there can the run be asked how it stands. */
  readonly server?: string;
  /** NAME of the schedule that starts it. Left out: none. */
  readonly schedule?: string;
}

export type Source =
  | { readonly kind: 'hub'; readonly host: string }
  | { readonly kind: 'snapshot'; readonly id: string };

/** What every run is given that makes a hub equal to a desired state. */
export interface WriteInput extends RunInput {
  readonly target: { readonly host: string };
  readonly existing: Policy['existing'];
  /** Left out: keep. */
  readonly extra?: Policy['extra'];
  /** Deletes at most; left out or null: a tenth of what the target holds. `own`: only what a plan of ours made. */
  readonly maxDelete?: number | null | 'own';
  readonly strict: boolean;
  /** Whether it waits, before the first write, until its plan is approved. Left out: no. */
  readonly approve?: boolean;
}

export interface MigrateInput extends WriteInput {
  /** `plan` stops before the first write, `verify` only compares; all three are the same code. */
  readonly goal: 'migrate' | 'plan' | 'verify';
  readonly source: Source;
  /** A plan that was made before: its hash, and the snapshot of the source that it was made from. Left out: none. */
  readonly planned?: { readonly hash: string; readonly snapshot: string };
  /** Changes of the records on their way, in this order; they are checked. Left out: none. */
  readonly rules?: readonly Rule[];
  /** What becomes of devices whose parent rules leave out. Left out: fail. */
  readonly orphans?: OrphanPolicy;
  /** Whether `managedBy` of modules is carried, too. Left out: no. */
  readonly managedBy?: boolean;
  /** Whether a hub that is the source is exported again at the end, to count what changed there. Left out: no. */
  readonly recheckSource?: boolean;
}

/** Follows a hub that is still used: copies it, then only what changed, until somebody lets the target take over. */
export interface FollowInput extends MigrateInput {
  readonly goal: 'migrate';
  readonly source: Extract<Source, { readonly kind: 'hub' }>;
  readonly follow: {
    /** The cut-over is offered when a pass has found so many changes at most. */
    readonly below: number;
    /** Between two passes, ms. */
    readonly every: number;
    /** Whether all devices of the source are disabled before the last pass. */
    readonly disableSource: boolean;
    /** How long they stay so without an approval, ms. */
    readonly cutBackAfter: number;
  };
}

/** One pass of a run that follows its source. */
export interface PassSummary {
  /** ISO time. */
  readonly started: string;
  readonly seconds: number;
  readonly outcome: Outcome;
  readonly create: number;
  readonly update: number;
  readonly delete: number;
}

/** What a run that follows its source has done so far. */
export interface Following {
  /** The newest ones. */
  readonly passes: readonly PassSummary[];
  /** How many there were. */
  readonly count: number;
  /** The run of `edit` that has disabled the source, and how many devices. */
  readonly disabled?: { readonly run: string; readonly devices: number };
  /** The run of `rollback` that has enabled them again, and why. */
  readonly cutBack?: { readonly run: string; readonly devices: number; readonly why: string };
}

/** Undoes a run on its target, as far as nobody else has written there since. */
export interface RollbackInput extends RunInput {
  readonly target: { readonly host: string };
  /** RUN of the run that is undone. */
  readonly undone: string;
  /** The target's snapshot from before it. */
  readonly before: string;
}

/** Edits records of one hub: those of a list, and those that rules match. */
export interface EditsInput extends Omit<WriteInput, 'existing' | 'extra'> {
  /** The list, which lies in `editsContainer`. Left out: none. */
  readonly list?: { readonly sha256: string; readonly edits: number };
  readonly rules: readonly Rule[];
}

/** Restores a snapshot to a scratch hub, proves it, measures it, and empties the scratch hub again. */
export interface DrillInput extends RunInput {
  /** `latest`: the newest stored snapshot of a hub. */
  readonly source: Source | { readonly kind: 'latest'; readonly host: string };
  readonly target: { readonly host: string };
  /** Which records are restored; left out: all. */
  readonly rules?: readonly Rule[];
  readonly orphans?: OrphanPolicy;
  readonly objectives: Objectives;
}

/** What a drill is to reach, in seconds; null: not declared. */
export interface Objectives {
  /** Recovery time: from the begin of the restore to its proof. */
  readonly rto: number | null;
  /** Recovery point: the age of the snapshot when the restore began. */
  readonly rpo: number | null;
}

/** What a drill has measured, in seconds. */
export interface DrillResult {
  readonly rto: number;
  readonly rpo: number;
  readonly objectives: Objectives;
  /** The parts of `rto`. */
  readonly stages: Partial<Record<Phase, number>>;
}

export interface SnapshotInput extends RunInput {
  readonly source: { readonly kind: 'hub'; readonly host: string };
  /** Whether symmetric keys are left out. Left out: no. */
  readonly excludeKeys?: boolean;
}

/** What a user sees of one of the hub's jobs. */
export interface JobSummary {
  readonly hub: string;
  readonly type: 'export' | 'import';
  readonly status: string;
  readonly seconds: number;
  /** Lines of an import; records that an export held. */
  readonly lines?: number;
  /** When the hub took it, ISO; not in reports of 0.1. */
  readonly started?: string;
}

/** One stretch of a run in one phase. */
export interface Stage {
  readonly phase: Phase;
  /** ISO. */
  readonly started: string;
  readonly seconds: number;
}

export interface Warning {
  readonly code: string;
  readonly count: number;
  readonly samples: readonly string[];
}

/** What makes runs, and reports of them. */
export const RUN_VERBS = [
  'migrate',
  'edit',
  'rollback',
  'drill',
  'plan',
  'verify',
  'snapshot',
  'check',
  'probe',
] as const;

/** How runs stand, or ended. */
export const OUTCOMES = [
  'verified',
  'differences',
  'failed',
  'cancelled',
  'planned',
  'done',
  'running',
  'parked',
  'skipped',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export type Phase =
  | 'preflight'
  | 'snapshot'
  | 'transform'
  | 'plan'
  | 'apply'
  | 'settle'
  | 'verify'
  | 'configure'
  | 'recheck'
  | 'follow'
  | 'disable'
  | 'cut-over'
  | 'clean-up'
  | 'report'
  | 'ended';

/** Why a run rests. */
export interface Parked {
  /** `approval`, `ready` and `cut-over`: ended by `approve`; the others, faults by their code, by `resume`. */
  readonly reason: 'approval' | 'paused' | 'SLOT_HELD' | 'ready' | 'cut-over' | ErrorCode;
  /** In words, after "it". */
  readonly why: string;
  /** ISO time. */
  readonly since: string;
}

/** Hosts that a run is to spare, and how many records a second they may be sent. */
export type Rates = Readonly<Record<string, number>>;

/** The object that `--json` prints, that `status` shows while the run goes on, and that `runs/<RUN>.json` keeps. */
export interface RunReport {
  run: string;
  workflow: (typeof RUN_VERBS)[number];
  outcome: Outcome;
  phase: Phase;
  /** Why the run rests, while it does. */
  parked?: Parked;
  /** What the step under way is the last one before. */
  asked?: 'pause' | 'cancel';
  /** What `throttle` has set. */
  rates?: Rates;
  /** While a plan is sent: the number of the workflow that does so, among those of its run (`applyIdOf`). */
  sending?: number;
  source: string;
  target: string | null;
  /** The Temporal server that runs it. */
  server?: string;
  /** The id of its namespace, which it keeps when its address changes; only in stored reports, and not in those of 0.1. */
  namespaceId?: string;
  /** NAME of the schedule that started it. */
  schedule?: string;
  /** What became of the snapshots of this schedule's runs afterwards, where it says which ones are kept. */
  retention?: { readonly removed: number; readonly kept: number };
  started: string;
  ended: string | null;
  plan: string | null;
  /** `configurations`: null where nobody knows those of the source. */
  ledger: Ledger & { systemModules: PartLedger; configurations: PartLedger | null };
  verify: VerifyCounts | null;
  /** The changes of the plan, by kind of record; not in reports of 0.1. */
  kinds?: Kinds;
  /** What the newest comparison found, by kind of record; not in reports of 0.1. */
  found?: Found;
  /** What the plan sends and how long that may take, in runs that write or would. */
  work?: Work;
  /** What each rule did, in runs that have rules. */
  rules?: RuleTally[];
  /** Of a run that follows its source. */
  follow?: Following;
  /** What a drill has measured, once its restore was proven. */
  drill?: DrillResult;
  /** Whether a drill's scratch hub is empty again; not there where it was never written to. */
  cleaned?: boolean;
  /** What changed on the source since its first snapshot, where that was asked for. */
  sourceChanges?: SourceChanges;
  /** Records that got new keys, in runs that make any: they wait in the container `newKeysContainer`. */
  newKeys?: number;
  /** What a probe found out about the hub. */
  probe?: ProbeAnswer[];
  /** Differing fields over all different records, by field name. */
  fields: Record<string, number>;
  rejected: Rejected[];
  warnings: Warning[];
  jobs: JobSummary[];
  /** The phases in their order, repeated ones again; the last may be going on. Not in reports of 0.1. */
  stages?: Stage[];
  hubCalls: Record<string, HubCalls>;
  /** `phases`: of those that are over. What is repeated (settle, verify) is added up. */
  seconds: { total: number; inJobs: number; phases: Partial<Record<Phase, number>> };
  snapshots: { source: string | null; target: string | null };
  report: string | null;
  /** The file with every difference that is left, where there are some. */
  differences?: string;
  error: { code: ErrorCode; message: string; hint: string } | null;
  /** Of hubferry and of the Temporal server, when the last word of a run was stored; only in the stored report. */
  versions?: { readonly hubferry: string; readonly server: string | null };
}

/** The report of something that has not begun. */
export function emptyReport(
  what: Pick<RunReport, 'run' | 'workflow' | 'source' | 'target' | 'server' | 'schedule'>,
): RunReport {
  return {
    ...what,
    outcome: 'running',
    phase: 'preflight',
    started: new Date().toISOString(),
    ended: null,
    plan: null,
    ledger: { ...emptyLedger(), systemModules: emptyLedger(), configurations: null },
    verify: null,
    fields: {},
    rejected: [],
    warnings: [],
    jobs: [],
    hubCalls: {},
    seconds: { total: 0, inJobs: 0, phases: {} },
    snapshots: { source: null, target: null },
    report: null,
    error: null,
  };
}

/** A job of one hub, as a caller asks the hub's queue for it. The container is private to this job. */
export interface JobRequest {
  readonly host: string;
  readonly account: string;
  readonly type: 'export' | 'import';
  readonly container: string;
  /** For display: the lines of an import; of an export the devices that the hub counts. */
  readonly lines: number | null;
  /** For an export: whether it is made without keys. Left out: no. */
  readonly excludeKeys?: boolean;
  readonly settings: RunSettings;
}

export type JobOutcome = 'completed' | 'failed' | 'cancelled' | 'vanished' | 'stuck';

export interface JobResult {
  readonly outcome: JobOutcome;
  readonly jobId: string;
  readonly reason: string | null;
  /** The id did not come from our own create reply but was found and confirmed afterwards. */
  readonly adopted: boolean;
  readonly seconds: number;
  /** When the hub took the job, ISO; not in histories of 0.1. */
  readonly started?: string;
  readonly calls: HubCalls;
}

/** One place in a hub's queue. Workflow id and run id together name the caller, so a dead run's place dies with it. */
export interface QueueRequest {
  readonly id: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly job: JobRequest;
}

export type JobDone =
  | { readonly id: string; readonly result: JobResult }
  | { readonly id: string; readonly error: { readonly code: ErrorCode; readonly message: string } }
  | { readonly id: string; readonly dropped: true };

/** Caller → hub queue: put me in line; leave the line. */
export const enqueue = defineSignal<[QueueRequest]>('enqueue');
export const leave = defineSignal<[string]>('leave');

/** Hub queue → caller: your job starts; your job is over. */
export const jobUp = defineSignal<[string]>('jobUp');
export const jobDone = defineSignal<[JobDone]>('jobDone');

/** Anyone → hub job: look now instead of at the next timer. */
export const pollNow = defineSignal('pollNow');

/** A caller in a hub's queue. */
export interface InLine {
  readonly workflowId: string;
  readonly type: string;
  readonly container: string;
}

/** The callers in line; the first one's job is running. */
export const line = defineQuery<readonly InLine[]>('line');

export interface JobState {
  readonly container: string;
  readonly type: 'export' | 'import';
  readonly lines: number | null;
  readonly status: 'submitting' | 'slot held by another job' | 'enqueued' | 'running' | 'ended';
  readonly progress: number | null;
  readonly jobId: string | null;
  /** Since the job was accepted, ms. */
  readonly elapsed: number;
}
export const jobState = defineQuery<JobState>('jobState');

export interface ApplyState {
  readonly wave: string;
  readonly chunk: number;
  readonly chunks: number;
  readonly sent: number;
  readonly lines: number;
  readonly rejected: number;
}
export const applyState = defineQuery<ApplyState>('applyState');

/** The run's report as it stands. */
export const runReport = defineQuery<RunReport>('runReport');

/** Run → the sending of its plan: end after the chunk under way, and tell what is left. */
export const handBack = defineSignal('handBack');

/** When something that was asked of a run takes place. */
export type Effect = 'at once' | 'after this step';

/*
 * Anyone → a run. Each is refused with a code where it makes no sense (workflows/steering.ts).
 */

/** The plan of a run that waits for it, by its hash or the first digits of it, may be carried out. */
export const approve = defineUpdate<void, [string]>('approve');
/** At the cut-over: the source is to be used again. */
export const cutBack = defineUpdate<void>('cutBack');
/** Rest before the next step, until `resume`. */
export const pause = defineUpdate<Effect>('pause');
export const resume = defineUpdate<void>('resume');
/** End after the step under way, if it writes to a hub; or, with true, at once, with the hub's job taken down. */
export const cancel = defineUpdate<Effect, [{ readonly now: boolean }]>('cancel');
/** Records a second that a host is sent at most; null: as many as it takes. */
export const throttle = defineUpdate<void, [string, number | null]>('throttle');

/** What the workflow ids of a schedule's `scheduled` begin with; it is the id of the schedule itself, too. */
export const scheduleIdOf = (name: string): string => `${SCHEDULES}${name}`;
export const SCHEDULES = 'scheduled/';

/** Stands for RUN in what a schedule keeps, since every time makes its own. */
export const RUN_PLACE = '{run}';

/** What a schedule starts each time: a run as its verb would start it now. */
export interface ScheduledInput {
  /** NAME of the schedule. */
  readonly schedule: string;
  readonly workflow: string;
  /** With RUN_PLACE where RUN belongs. */
  readonly workflowId: string;
  /** `run` is RUN_PLACE. */
  readonly input: RunInput;
  /** Digest of the input, by which a later command knows that the run is its own. */
  readonly digest: string;
  readonly summary: string;
  readonly report: Pick<RunReport, 'workflow' | 'source' | 'target'>;
  /** Which snapshots of this schedule stay. Left out: all. */
  readonly keep?: Retention;
  /** Whether `scheduled` fails where its run ends failed or with differences, which pauses the schedule. */
  readonly failing: boolean;
}

/** How one time of a schedule ended. */
export interface ScheduledEnd {
  readonly run: string;
  readonly outcome: Outcome;
  readonly retention?: RunReport['retention'] | null;
}
