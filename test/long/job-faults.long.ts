import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { generateFleet, type JobFault, type SimulatedHub } from '../../simulator/index.js';
import { type RunReport, resume, runReport } from '../../workflows/messages.js';
import { endWriters, parked } from '../support/parking.js';
import { essence, FAST, openTestStand, sharedServices, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';

/** Each of them is a run or more, and rests in between. */
vi.setConfig({ testTimeout: 400_000 });

let stand: TestStand;
beforeAll(async () => {
  stand = await openTestStand(sharedServices(inject));
});
afterAll(() => stand.close());
afterEach(() => endWriters(stand, 'new'));
beforeEach(() => {
  stand.reset();
  stand.hub('old').load(generateFleet({ devices: 60, seed: 3, plain: true }));
});

const SMALL = { settings: { ...FAST, chunkLines: 30 } };
const source = (): SimulatedHub => stand.hub('old');
const target = (): SimulatedHub => stand.hub('new');
const arrived = () => expect(essence(target().dump())).toEqual(essence(source().dump()));
const warningsOf = ({ warnings }: RunReport): string[] => warnings.map(({ code }) => code);

async function ended(handle: WorkflowHandle): Promise<string[]> {
  const report = await stand.reportOf(handle);
  expect(report).toMatchObject({ error: null, outcome: 'verified' });
  expect(report.ledger).toMatchObject({ create: 60, applied: 60, uncertain: 0, unsent: 0, rejected: 0 });
  arrived();
  return warningsOf(report);
}

/** Ends the access to all containers of a run's jobs, as time does where no worker lives to move it on. */
async function expire(handle: WorkflowHandle): Promise<void> {
  const { run } = await handle.query(runReport);
  for await (const name of stand.storage.listContainers(`hf-${run}-`))
    await stand.storage.access.revoke(name);
}

describe('an export job', () => {
  const answered = async (fault: JobFault): Promise<void> => {
    source().addJobFault({ ...fault, type: 'export' });
    expect(await ended(await stand.migrate(SMALL))).toEqual(['EXPORT_REPEATED']);
  };

  it('whose create reply is lost is adopted', async () => {
    source().addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 1 });
    expect(await ended(await stand.migrate(SMALL))).toEqual(['JOB_ADOPTED']);
    expect(source().counts()['POST /jobs/create']).toBe(1);
  });

  it('that vanishes is answered by a fresh one', () => answered({ kind: 'vanish', lines: 20 }));

  it('that storage refuses half way is answered by a fresh one', () =>
    answered({ kind: 'refuseStorage', lines: 20 }));

  it('that hangs past its deadline is cancelled and answered by a fresh one', async () => {
    source().addJobFault({ kind: 'hang', lines: 20, type: 'export' });
    const settings = { ...SMALL.settings, jobDeadline: 2_000 };
    expect(await ended(await stand.migrate({ settings }))).toEqual(['EXPORT_REPEATED']);
  });

  it('that somebody else cancels is answered by a fresh one', async () => {
    source().addJobFault({ kind: 'hang', lines: 20, type: 'export' });
    const handle = await stand.migrate(SMALL);
    source().jobs.cancel(await running(source(), 'export'));
    expect(await ended(handle)).toEqual(['EXPORT_REPEATED']);
  });

  it('that may not use its container lets the run rest', async () => {
    source().addJobFault({ kind: 'refuseStorage', type: 'export' });
    const handle = await stand.migrate(SMALL);
    await parked(handle, 'CONTAINER_REFUSED');
    await handle.executeUpdate(resume);
    expect(await ended(handle)).toEqual([]);
  });

  it('whose access to its container expires is answered by a fresh one', async () => {
    source().set({ startDelay: 2_500 });
    const handle = await stand.migrate(SMALL);
    await running(source(), 'export');
    source().set({ startDelay: 0 });
    await expire(handle);
    expect(await ended(handle)).toEqual(['EXPORT_REPEATED']);
  });
});

describe('an import job', () => {
  const looked = async (handle: WorkflowHandle): Promise<void> => {
    expect(await ended(handle)).toEqual(expect.arrayContaining(['SENDING_STOPPED', 'REPAIR_ROUND']));
  };

  it('that storage refuses half way makes its lines uncertain', async () => {
    target().addJobFault({ kind: 'refuseStorage', lines: 20, type: 'import' });
    await looked(await stand.migrate(SMALL));
  });

  it('that somebody else cancels makes its lines uncertain', async () => {
    target().addJobFault({ kind: 'hang', lines: 20, type: 'import' });
    const handle = await stand.migrate(SMALL);
    target().jobs.cancel(await running(target(), 'import'));
    await looked(handle);
  });

  it('that may not use its container lets the run rest', async () => {
    target().addJobFault({ kind: 'refuseStorage', type: 'import' });
    const handle = await stand.migrate(SMALL);
    await parked(handle, 'CONTAINER_REFUSED');
    await handle.executeUpdate(resume);
    expect(await ended(handle)).toEqual([]);
  });

  it('whose access to its container expires makes its lines uncertain', async () => {
    const staged = stand.hold('stageChunk');
    const handle = await stand.migrate(SMALL);
    await staged.reached;
    target().set({ startDelay: 2_500 });
    staged.release();
    await running(target(), 'import');
    target().set({ startDelay: 0 });
    await expire(handle);
    await looked(handle);
  });

  it('that leaves no log, or a late one, is looked after by the next snapshot', async () => {
    target().addJobFault({ kind: 'noErrorLog', type: 'import' });
    target().addJobFault({ kind: 'lateErrorLog', ms: 500, type: 'import' });
    expect(await ended(await stand.migrate(SMALL))).toEqual([]);
  });

  it('that is stuck and may be somebody else’s lets the run rest', async () => {
    const staged = stand.hold('stageChunk');
    const handle = await stand.migrate({ settings: { ...SMALL.settings, jobDeadline: 1_000 } });
    await staged.reached;
    target().set({ startDelay: 60_000 });
    target().addFault({ kind: 'loseReply', route: 'POST /jobs/create', times: 1 });
    staged.release();
    const { parked: rests } = await parked(handle, 'SLOT_HELD');
    expect(rests?.why).toContain('waits for import job');
    // Whoever made that job, or looks after the hub, ends it.
    target().jobs.cancel(await running(target(), 'import'));
    target().set({ startDelay: 0 });
    await handle.executeUpdate(resume);
    expect(await ended(handle)).toEqual(expect.arrayContaining(['SENDING_STOPPED']));
  });
});

/** Waits for the hub's job of that type. @returns its id */
async function running(hub: SimulatedHub, wanted: 'import' | 'export'): Promise<string> {
  const job = await until(`an ${wanted} job`, () =>
    hub.jobs
      .list()
      .find(({ type, status }) => type === wanted && (status === 'enqueued' || status === 'running')),
  );
  return job['jobId'] as string;
}
