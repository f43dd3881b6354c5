import { type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { FleetRecord } from '../../simulator/index.js';
import {
  approve,
  cancel,
  type MigrateInput,
  type Phase,
  pause,
  type RunReport,
  resume,
  runReport,
  throttle,
} from '../../workflows/messages.js';
import { keys } from '../support/keys.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(fleet);
});

/** Four chunks of five. */
const fleet: FleetRecord[] = Array.from({ length: 20 }, (_, n) => ({
  deviceId: `d${n}`,
  authentication: keys(n),
}));
const CHUNKS = { ...FAST, chunkLines: 5 };

const onTarget = (): string[] => Object.keys(essence(stand.hub('new').dump()));
const reportNow = (handle: WorkflowHandle): Promise<RunReport> => handle.query(runReport);
const importsOf = (): number =>
  stand
    .hub('new')
    .jobs.list()
    .filter(({ type }) => type === 'import').length;

const openImports = () =>
  stand
    .hub('new')
    .jobs.list()
    .filter(({ type, endTimeUtc }) => type === 'import' && !endTimeUtc);

async function parked(handle: WorkflowHandle): Promise<RunReport> {
  return await until('it rests', async () => {
    const report = await reportNow(handle);
    return report.outcome === 'parked' && report;
  });
}

/** What a run answers: what the update returns, or the code that it is refused with. */
async function answer(ask: Promise<unknown>): Promise<unknown> {
  try {
    return (await ask) ?? 'done';
  } catch (error) {
    const cause = error instanceof WorkflowUpdateFailedError ? error.cause : error;
    return cause instanceof ApplicationFailure ? cause.type : cause;
  }
}

interface Held {
  readonly phase: Phase | 'parked';
  /** The activity that is held; left out: the run waits by itself. */
  readonly activity?: string;
  readonly options?: Partial<MigrateInput>;
}

/** Where a run is held in each phase. */
const PHASES: readonly Held[] = [
  { phase: 'preflight', activity: 'preflight', options: { goal: 'plan' } },
  { phase: 'snapshot', activity: 'statistics', options: { goal: 'plan' } },
  { phase: 'transform', activity: 'transform', options: { goal: 'plan' } },
  { phase: 'plan', activity: 'sealPlan', options: { goal: 'plan' } },
  { phase: 'parked', options: { approve: true } },
  { phase: 'apply', activity: 'stageChunk' },
  { phase: 'settle', options: { settings: { ...FAST, settle: 60_000 } } },
  { phase: 'verify', activity: 'sealPlan' },
  { phase: 'configure', activity: 'applyConfigurations' },
  { phase: 'recheck', activity: 'compareSnapshots', options: { recheckSource: true } },
  { phase: 'report', activity: 'cleanUp', options: { goal: 'plan' } },
];

/** Asked in this order of one run in each phase. */
const ANSWERS = {
  'throttle another hub': 'HUB_NOT_OF_RUN',
  throttle: 'done',
  approve: 'NOT_PARKED',
  'resume early': 'NOT_PAUSED',
  pause: 'after this step',
  'pause again': 'ALREADY_PARKED',
  resume: 'done',
  cancel: 'at once',
};

/** Where the answers are others. */
const OTHERS: Partial<Record<Phase | 'parked', Partial<typeof ANSWERS> | 'RUN_ENDED'>> = {
  parked: { approve: 'PLAN_OTHER', pause: 'ALREADY_PARKED', resume: 'NOT_PAUSED' },
  apply: { cancel: 'after this step' },
  // The wait between an import and the look at it is no step.
  settle: { pause: 'at once' },
  configure: { cancel: 'after this step' },
  report: 'RUN_ENDED',
};

test.each(PHASES)('in phase $phase every verb has its answer', async ({ phase, activity, options }) => {
  const configuration = { content: { deviceContent: { 'properties.desired.none': 1 } }, priority: 7 };
  stand.hub('old').configurations.put('made', { ...configuration, targetCondition: "tags.site='none'" });
  const isNow = async (handle: WorkflowHandle, wanted: string): Promise<boolean> => {
    const report = await reportNow(handle);
    return report.phase === wanted || report.outcome === wanted;
  };
  // A plan is sealed twice: before the first write and after it.
  const first = phase === 'verify' ? stand.hold('stageChunk') : null;
  let held = activity === undefined || first ? null : stand.hold(activity);
  const handle = await stand.migrate(options);
  if (first && activity !== undefined) {
    await first.reached;
    held = stand.hold(activity);
    first.release();
  }
  await held?.reached;
  // What is desired may be made while the other hub's snapshot is still taken.
  await until(phase, () => isNow(handle, phase));
  const host = 'new.localhost';
  const { target } = await reportNow(handle);
  const asks: Record<keyof typeof ANSWERS, () => Promise<unknown>> = {
    'throttle another hub': () => handle.executeUpdate(throttle, { args: [`x.${host}`, 5] }),
    throttle: () => handle.executeUpdate(throttle, { args: [target ?? '', 1_000_000] }),
    approve: () => handle.executeUpdate(approve, { args: ['00000000'] }),
    'resume early': () => handle.executeUpdate(resume),
    pause: () => handle.executeUpdate(pause),
    'pause again': () => handle.executeUpdate(pause),
    resume: () => handle.executeUpdate(resume),
    cancel: () => handle.executeUpdate(cancel, { args: [{ now: false }] }),
  };
  const answers: Record<string, unknown> = {};
  for (const [verb, ask] of Object.entries(asks)) answers[verb] = await answer(ask());
  const others = OTHERS[phase] ?? {};
  const all = Object.fromEntries(
    Object.entries(ANSWERS).map(([verb, usual]) => [
      verb,
      others === 'RUN_ENDED' && verb !== 'approve' ? others : usual,
    ]),
  );
  expect(answers).toEqual(others === 'RUN_ENDED' ? all : { ...all, ...others });
  // What is to end at once is not waited for.
  if (answers['cancel'] === 'RUN_ENDED') held?.release();
  if (answers['cancel'] === 'after this step')
    expect(await answer(handle.executeUpdate(cancel, { args: [{ now: true }] }))).toBe('at once');
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: phase === 'report' ? 'planned' : 'cancelled' });
  expect(report).not.toHaveProperty('parked');
  expect(await answer(handle.executeUpdate(pause))).toMatchObject({ name: 'WorkflowNotFoundError' });
});

test('what is desired is made as soon as the source has been read, whatever the other hub does', async () => {
  const hub = stand.hub('new');
  hub.set({ startDelay: 60_000 });
  const made = stand.hold('transform');
  const handle = await stand.migrate({ goal: 'plan' });
  await made.reached;
  const open = hub.jobs.list().filter(({ endTimeUtc }) => !endTimeUtc);
  expect(open).toMatchObject([{ type: 'export', status: 'enqueued' }]);
  expect(await reportNow(handle)).toMatchObject({ phase: 'snapshot', ledger: { source: 0 } });
  made.release();
  await until('it is made', async () => (await reportNow(handle)).ledger.source === 20);
  expect(await answer(handle.executeUpdate(cancel, { args: [{ now: true }] }))).toBe('at once');
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'cancelled' });
  hub.set({ startDelay: 0 });
});

test('a paused run rests after the chunk that is being sent, and sends none twice', async () => {
  const before = importsOf();
  const first = stand.hold('stageChunk');
  const handle = await stand.migrate({ settings: CHUNKS });
  await first.reached;
  expect(await handle.executeUpdate(pause)).toBe('after this step');
  expect(await reportNow(handle)).toMatchObject({ outcome: 'running', asked: 'pause' });
  first.release();
  const rests = await parked(handle);
  expect(rests).toMatchObject({
    parked: { reason: 'paused' },
    phase: 'apply',
    ledger: { applied: 5, unsent: 15, uncertain: 0, rejected: 0 },
  });
  expect(onTarget()).toHaveLength(5);
  await until('its report says so', async () => {
    const text = (await stand.storage.readText('hubferry', `runs/${rests.run}.json`)) ?? '{}';
    return (JSON.parse(text) as RunReport).parked?.reason === 'paused';
  });

  // Chunks of five lines, ten lines a second.
  await handle.executeUpdate(throttle, { args: [rests.target ?? '', 10] });
  await handle.executeUpdate(resume);
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified', ledger: { applied: 20 } });
  expect(report.warnings).toEqual([]);
  expect(importsOf() - before).toBe(4);
  const begun = report.jobs.flatMap(({ type, started = '' }) =>
    type === 'import' ? [Date.parse(started)] : [],
  );
  const gaps = begun.slice(2).map((time, i) => time - (begun[i + 1] ?? 0));
  expect(gaps).toHaveLength(2);
  expect(Math.min(...gaps)).toBeGreaterThan(450);
  expect(essence(stand.hub('new').dump())).toEqual(essence(stand.hub('old').dump()));
});

test('a plan that a pause has let grow old is made again before the first write', async () => {
  const sealed = stand.hold('sealPlan');
  const handle = await stand.migrate({ settings: { ...FAST, planMaxAge: 1_500 } });
  await sealed.reached;
  await handle.executeUpdate(pause);
  sealed.release();
  const { parked: rests } = await parked(handle);
  const since = Date.parse(rests?.since ?? '');
  await until('the plan is old', () => Date.now() - since > 1_600);
  await handle.executeUpdate(resume);
  const { outcome, jobs } = await stand.reportOf(handle);
  expect(outcome).toBe('verified');
  expect(jobs.filter(({ hub, type }) => hub.startsWith('new') && type === 'export')).toHaveLength(3);
});

test('a cancelled run ends after the chunk, with exact counts, and the next one sends the rest', async () => {
  const first = stand.hold('stageChunk');
  const handle = await stand.migrate({ settings: CHUNKS });
  await first.reached;
  await handle.executeUpdate(cancel, { args: [{ now: false }] });
  expect(await answer(handle.executeUpdate(pause))).toBe('RUN_ENDED');
  first.release();
  expect(await stand.reportOf(handle)).toMatchObject({
    outcome: 'cancelled',
    error: null,
    ledger: { desired: 20, create: 20, applied: 5, unsent: 15, uncertain: 0 },
  });
  expect(onTarget()).toHaveLength(5);
  const again = await stand.migrated({ settings: CHUNKS });
  expect(again).toMatchObject({ outcome: 'verified', ledger: { unchanged: 5, applied: 15 } });
});

test('a run that is cancelled now takes its job down, and does not say what that did', async () => {
  const second = stand.hold('readErrorLog');
  const handle = await stand.migrate({ settings: CHUNKS });
  await second.reached;
  stand.hub('new').set({ startDelay: 60_000 });
  second.release();
  await until('a second job', () => openImports().length > 0);
  expect(await handle.executeUpdate(cancel, { args: [{ now: true }] })).toBe('at once');
  expect(await stand.reportOf(handle)).toMatchObject({
    outcome: 'cancelled',
    error: null,
    ledger: { create: 20, applied: 5, unsent: 10, uncertain: 5 },
    jobs: [{ type: 'export' }, { type: 'export' }, { type: 'import' }],
  });
  expect(openImports()).toEqual([]);
});

test('an export that does not end and may be somebody else’s lets the run rest, not fail', async () => {
  // The reply is lost, so the job that is found afterwards is only likely to be ours.
  stand.hub('old').set({ startDelay: 2_000 });
  stand.hub('old').addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 1 });
  const handle = await stand.migrate({ settings: { ...FAST, jobDeadline: 200 } });
  expect(await parked(handle)).toMatchObject({ parked: { reason: 'SLOT_HELD' } });
  stand.hub('old').set({ startDelay: 0 });
  const isOver = ({ status }: { status?: unknown }): boolean =>
    !['enqueued', 'running'].includes(String(status));
  await until('that job is over', () => stand.hub('old').jobs.list().every(isOver));
  await handle.executeUpdate(resume);
  expect(await stand.reportOf(handle)).toMatchObject({ outcome: 'verified' });
});
