import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { RUNS } from '../../azure/shared-container.js';
import { type CreateOptions, planOf } from '../../client/schedule.js';
import {
  backfillSchedule,
  createSchedule,
  deleteSchedule,
  describeSchedule,
  listSchedules,
  pauseSchedule,
  resumeSchedule,
  type ScheduleDetails,
  triggerSchedule,
} from '../../client/schedules.js';
import { generateFleet } from '../../simulator/index.js';
import { type RunReport, writerIdOf } from '../../workflows/messages.js';
import { FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
  await stand.storage.createContainer('hubferry');
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(generateFleet({ devices: 10, seed: 1, plain: true }));
});

let made = 0;

/** Makes a schedule of this stand; unless told otherwise it is due never, so that only what a test asks for happens. */
async function schedule(words: readonly string[], options: Partial<CreateOptions> = {}): Promise<string> {
  made += 1;
  const name = `s${process.pid}-${made}`;
  const { plan } = await planOf(name, words, {
    config: stand.config.path,
    json: false,
    overlap: 'skip',
    pauseOnFailure: false,
    ...(options.every === undefined ? { cron: '0 0 29 2 *' } : {}),
    ...options,
  });
  const { account } = stand.storage;
  const session = { client: stand.client, account, settings: FAST, server: 'here' };
  await createSchedule(session, plan, stand.taskQueue);
  return name;
}

const details = (name: string): Promise<ScheduleDetails> => describeSchedule(stand.client, name);

/** The reports of a schedule's runs, oldest first. */
async function reports(name: string): Promise<RunReport[]> {
  const found: RunReport[] = [];
  for await (const blob of stand.storage.list('hubferry', RUNS)) {
    const report = JSON.parse((await stand.storage.readText('hubferry', blob.name)) ?? '') as RunReport;
    if (report.schedule === name) found.push(report);
  }
  return found.toSorted((a, b) => (a.started < b.started ? -1 : 1));
}

/** Waits for so many runs that have ended. */
const ended = (name: string, n: number): Promise<RunReport[]> =>
  until(`${n} runs of ${name} have ended`, async () => {
    const all = (await reports(name)).filter(({ ended: end }) => end !== null);
    return all.length >= n && !(await details(name)).running && all;
  });

/** Starts it once and waits for its end. */
async function once(name: string): Promise<RunReport> {
  const before = (await reports(name)).length;
  expect(await triggerSchedule(stand.client, name)).toBe('started');
  const [last] = (await ended(name, before + 1)).slice(-1);
  if (last === undefined) throw new Error('no run');
  return last;
}

test('it fires, never beside itself; paused it does not, resumed it does', async () => {
  stand.hub('old').set({ startDelay: 1_200 });
  const name = await schedule(['snapshot', 'old'], { every: 1_000 });
  const runs = await ended(name, 2);
  await pauseSchedule(stand.client, name, 'enough');
  for (const { run, outcome, workflow, server } of runs) {
    expect({ outcome, workflow, server }).toEqual({ outcome: 'done', workflow: 'snapshot', server: 'here' });
    expect(run).toMatch(/^20\d{6}-\d{6}-[a-z0-9]{6}$/);
  }
  const [first, second] = runs;
  expect(Date.parse(second?.started ?? '')).toBeGreaterThanOrEqual(Date.parse(first?.ended ?? ''));
  const seen = await details(name);
  expect(seen).toMatchObject({ paused: true, reason: 'enough', next: [] });
  expect(seen.counts.skippedByOverlap).toBeGreaterThan(0);
  expect(seen.counts.missed).toBe(0);
  const listed = (await listSchedules(stand.client)).find((one) => one.name === name);
  expect(listed).toMatchObject({ paused: true, note: { command: 'snapshot old', when: { every: 1_000 } } });

  await until('the last run has ended', async () => !(await details(name)).running);
  const { counts } = await details(name);
  stand.hub('old').set({ startDelay: 0 });
  await resumeSchedule(stand.client, name);
  await until('it fires again', async () => (await details(name)).counts.started > counts.started);
  await deleteSchedule(stand.client, name);
  await expect(details(name)).rejects.toMatchObject({ code: 'SCHEDULE_NOT_FOUND' });
});

test('a trigger starts one run at a time; the same name is taken', async () => {
  stand.hub('old').set({ startDelay: 1_000 });
  const name = await schedule(['snapshot', 'old']);
  await expect(
    (async () => {
      made -= 1;
      await schedule(['snapshot', 'old']);
    })(),
  ).rejects.toMatchObject({ code: 'SCHEDULE_EXISTS' });
  await pauseSchedule(stand.client, name, 'it can be triggered all the same');
  expect(await triggerSchedule(stand.client, name)).toBe('started');
  expect(await triggerSchedule(stand.client, name)).toBe('skipped');
  expect(await ended(name, 1)).toHaveLength(1);
  await deleteSchedule(stand.client, name);
  for (const act of [triggerSchedule, resumeSchedule, deleteSchedule])
    await expect(act(stand.client, name)).rejects.toMatchObject({ code: 'SCHEDULE_NOT_FOUND' });
});

test('a busy target: the run is skipped and names who is in the way', async () => {
  stand.hub('new').set({ startDelay: 700 });
  const name = await schedule(['migrate', 'old', 'new'], { pauseOnFailure: true });
  const host = stand.config.hubs.get('new')?.host ?? '';
  const busy = await stand.client.workflow.start('migrate', {
    workflowId: writerIdOf(host),
    taskQueue: stand.taskQueue,
    memo: { run: '20260101-000000-abcdef' },
    args: [
      {
        run: '20260101-000000-abcdef',
        account: stand.storage.account,
        settings: FAST,
        goal: 'migrate',
        source: { kind: 'hub', host: stand.config.hubs.get('old')?.host },
        target: { host },
        existing: 'fail',
        strict: false,
      },
    ],
  });
  const skipped = await once(name);
  expect(skipped).toMatchObject({
    outcome: 'skipped',
    workflow: 'migrate',
    target: host,
    error: { code: 'TARGET_BUSY', message: expect.stringContaining('Run 20260101-000000-abcdef') as string },
  });
  expect((await details(name)).paused).toBe(false);
  stand.hub('new').set({ startDelay: 0 });
  await busy.result();
  expect(await once(name)).toMatchObject({ outcome: 'verified', schedule: name });
  await deleteSchedule(stand.client, name);
});

test('a failed run pauses the schedule that says so, and only that', async () => {
  stand.hub('new').load(generateFleet({ devices: 10, seed: 2, plain: true }));
  const goesOn = await schedule(['migrate', 'old', 'new']);
  expect(await once(goesOn)).toMatchObject({ outcome: 'failed', error: { code: 'TARGET_DIFFERS' } });
  expect((await details(goesOn)).paused).toBe(false);
  await deleteSchedule(stand.client, goesOn);

  const name = await schedule(['verify', 'old', 'new'], { pauseOnFailure: true });
  const { run } = await once(name);
  const { reason } = await until('it is paused', async () => {
    const seen = await details(name);
    return seen.paused && seen;
  });
  expect(reason).toContain(`Run ${run} ended differences.`);
  await deleteSchedule(stand.client, name);
});

test('cancelling a time of it cancels its run, terminating it too', async () => {
  stand.hub('old').set({ startDelay: 60_000 });
  const name = await schedule(['snapshot', 'old']);
  for (const [n, end] of (['cancel', 'terminate'] as const).entries()) {
    await triggerSchedule(stand.client, name);
    const { workflowId } = await until('it runs', async () => (await details(name)).recent[n]);
    await until('its job waits at the hub', () =>
      stand
        .hub('old')
        .jobs.list()
        .some(({ status }) => status === 'enqueued'),
    );
    await stand.client.workflow.getHandle(workflowId)[end]();
    expect((await ended(name, n + 1)).at(-1)).toMatchObject({ outcome: 'cancelled' });
  }
  await deleteSchedule(stand.client, name);
});

test('times of the past are made up, one run after the other', async () => {
  const name = await schedule(['snapshot', 'old'], { every: 86_400_000 });
  const past = { from: new Date('2026-03-01T00:00:00Z'), to: new Date('2026-03-02T00:00:00Z') };
  const times = await backfillSchedule(stand.client, name, past, 'buffer-all');
  expect(times).toBe(2);
  const runs = await ended(name, times);
  expect(runs.map(({ run }) => run.slice(0, 15))).toEqual(['20260301-000000', '20260302-000000']);
  const tooMany = { from: new Date('2000-01-01'), to: new Date('2026-03-02') };
  await expect(backfillSchedule(stand.client, name, tooMany, 'skip')).rejects.toMatchObject({
    code: 'USAGE',
  });
  await deleteSchedule(stand.client, name);
});

test('only the newest snapshots stay, as many as it says', async () => {
  const name = await schedule(['snapshot', 'old'], { keep: 1 });
  const other = await schedule(['snapshot', 'old']);
  const runs: RunReport[] = [await once(other)];
  for (let n = 0; n < 3; n++) runs.push(await once(name));
  const there = await Promise.all(
    runs.map(({ snapshots }) => stand.storage.containerExists(snapshots.source ?? '')),
  );
  expect(there).toEqual([true, false, false, true]);
  const last = (await reports(name)).map(({ retention }) => retention);
  expect(last).toEqual([
    { removed: 0, kept: 1 },
    { removed: 1, kept: 1 },
    { removed: 1, kept: 1 },
  ]);
  for (const each of [name, other]) await deleteSchedule(stand.client, each);
});

test('the policies are as asked for', async () => {
  const name = await schedule(['snapshot', 'old'], {
    overlap: 'buffer-one',
    pauseOnFailure: true,
    jitter: 60_000,
    keepAge: 5_000,
  });
  expect(await details(name)).toMatchObject({
    overlap: 'buffer-one',
    pauseOnFailure: true,
    catchUp: 3_600_000,
    note: { command: 'snapshot old', when: { cron: '0 0 29 2 *' }, jitter: 60_000, keep: { age: 5_000 } },
  });
  await deleteSchedule(stand.client, name);
});

test('the server takes the cron expressions that are taken here, in UTC', async () => {
  const first = async (cron: string): Promise<string> => {
    const name = await schedule(['snapshot', 'old'], { cron });
    const [next] = (await details(name)).next;
    await deleteSchedule(stand.client, name);
    return next?.toUTCString() ?? 'never';
  };
  expect(await first('30 2 29 feb *')).toMatch(/^\w+, 29 Feb \d+ 02:30:00 GMT$/);
  expect(await first('5/20 23 * * 7')).toMatch(/^Sun, .* 23:05:00 GMT$/);
  expect(await first('0 0-6/3 * JAN sat,Sun')).toMatch(/^(Sat|Sun), \d\d Jan \d+ 00:00:00 GMT$/);
  // Both fields of days have to match, where other programs take either.
  expect(await first('0 12 13 * fri')).toMatch(/^Fri, 13 /);
  expect(await first('@weekly')).toMatch(/^Sun, .* 00:00:00 GMT$/);
});
