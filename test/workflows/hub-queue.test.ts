import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { generateFleet } from '../../simulator/index.js';
import { hubQueueIdOf, readerIdOf, type SnapshotInput } from '../../workflows/messages.js';
import { FAST, openTestStand, sharedServices, type TestStand, testRun } from '../support/stand.js';
import { until } from '../support/until.js';

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject), [{ name: 'old' }]);
  stand.hub('old').load(generateFleet({ devices: 100, seed: 1, plain: true }));
});
afterAll(() => stand.close());
beforeEach(() => {
  stand.hub('old').set(FREE);
  stand.hub('old').resetCounters();
});

/** So slow that no job ends while callers line up; a job under way feels the change to `FREE`. */
const SLOW = { rate: 1 };
const FREE = { rate: 0 };

const host = () => stand.config.hubs.get('old')?.host ?? '';
const openJobs = () =>
  stand
    .hub('old')
    .jobs.list()
    .filter(({ endTimeUtc }) => !endTimeUtc);
const line = () =>
  stand.client.workflow.getHandle(hubQueueIdOf(host())).query<{ workflowId: string }[]>('line');

/** Starts a snapshot and waits until it stands in the hub's line at this place. */
async function startedSnapshot(place: number): Promise<WorkflowHandle> {
  const run = testRun();
  const source = { kind: 'hub', host: host() } as const;
  const input: SnapshotInput = { run, account: stand.storage.account, settings: FAST, source };
  const handle = await stand.client.workflow.start('snapshot', {
    workflowId: readerIdOf('snapshot', run),
    taskQueue: stand.taskQueue,
    args: [input],
  });
  await until(`place ${place}`, async () => {
    const waiting = await line().catch(() => []);
    return waiting[place]?.workflowId === handle.workflowId;
  });
  return handle;
}

const endOf = async (handle: WorkflowHandle): Promise<number> => {
  const { closeTime } = await handle.describe();
  return closeTime?.getTime() ?? Number.NaN;
};

describe('the queue of a hub', () => {
  it('serves callers in the order they came, one job at a time', async () => {
    stand.hub('old').set(SLOW);
    const handles = [await startedSnapshot(0), await startedSnapshot(1), await startedSnapshot(2)];
    stand.hub('old').set(FREE);
    await Promise.all(handles.map((handle) => handle.result()));
    const ends = await Promise.all(handles.map(endOf));
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    // The slot was never asked for while another job of ours held it.
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(3);
  });

  it('passes over a caller that was terminated while it waited', async () => {
    stand.hub('old').set(SLOW);
    const [first, gone, last] = [
      await startedSnapshot(0),
      await startedSnapshot(1),
      await startedSnapshot(2),
    ];
    await gone.terminate('test');
    stand.hub('old').set(FREE);
    await Promise.all([first.result(), last.result()]);
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(2);
  });

  it('lets the job of a terminated caller run to its end before the next one starts', async () => {
    stand.hub('old').set({ rate: 100 });
    const first = await startedSnapshot(0);
    const running = await until('the job', () =>
      stand
        .hub('old')
        .jobs.list()
        .find((job) => job['status'] === 'running'),
    );
    const second = await startedSnapshot(1);
    await first.terminate('test');
    await second.result();
    const job = stand.hub('old').jobs.get(running['jobId'] as string);
    expect(job).toMatchObject({ status: 'completed' });
    // The next one was asked for once, when that one was seen to be over.
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(2);
  });

  it('that is terminated takes no job with it: the next one waits for the job that runs', async () => {
    stand.hub('old').set(SLOW);
    const first = await startedSnapshot(0);
    await until('the job', () => openJobs().length > 0);
    await stand.client.workflow.getHandle(hubQueueIdOf(host())).terminate('test');
    const second = await startedSnapshot(0);
    expect(openJobs()).toHaveLength(1);
    stand.hub('old').set(FREE);
    await second.result();
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(2);
    await first.terminate('its queue is gone');
  });

  it('lets a cancelled caller leave the line', async () => {
    stand.hub('old').set(SLOW);
    const [first, leaving] = [await startedSnapshot(0), await startedSnapshot(1)];
    await leaving.cancel();
    await expect(leaving.result()).rejects.toThrow();
    expect(await line()).toHaveLength(1);
    stand.hub('old').set(FREE);
    await first.result();
    expect(stand.hub('old').counts()['POST /jobs/create']).toBe(1);
  });
});
