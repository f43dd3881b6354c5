import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import type { Deps } from '../../activities/deps.js';
import { guarded } from '../../activities/guard.js';
import {
  type Counted,
  hubJobActivities,
  type SubmitAnswer,
  type SubmitInput,
} from '../../activities/hub-job.js';
import type { HubJob } from '../../azure/hub.js';
import { HubferryError } from '../../registry/errors.js';
import { FAST } from '../support/stand.js';

/**
 * How a submission ends, so many milliseconds after its first attempt, when ids of jobs cannot be written down.
 *
 * @param createExport by default the hub refuses the container.
 */
async function refusedAfter(
  ms: number,
  hubIdentity: boolean,
  createExport: () => Promise<{ jobId: string }> = async () => {
    throw new HubferryError('CONTAINER_REFUSED', 'no');
  },
): Promise<{ failure: unknown; answer: unknown; blobs: string[] }> {
  const blobs = new Map<string, string>();
  const storage = {
    readText: async (_container: string, blob: string) => blobs.get(blob) ?? null,
    writeText: async (_container: string, blob: string, text: string) => {
      if (blob === 'hubferry/job.json') throw new HubferryError('STORAGE_UNAUTHORIZED', 'no');
      blobs.set(blob, text);
      return true;
    },
    size: async (_container: string, blob: string) => blobs.get(blob)?.length ?? null,
    deleteBlob: async (_container: string, blob: string) => {
      blobs.delete(blob);
    },
  };
  const hub = {
    listJobs: async () => [],
    createExport,
    takeCalls: () => ({ jobs: 0, polls: 0, other: 0 }),
  };
  const containers = {
    access: { hubIdentity, expiry: () => 0 },
    shared: false,
    open: async () => ({ output: 'https://x/y', input: 'https://x/y' }),
  };
  const connections = { hub: () => hub, storage: () => storage, jobContainers: () => containers };
  const activities = guarded(hubJobActivities({ connections } as unknown as Deps));
  const environment = new MockActivityEnvironment(
    { scheduledTimestampMs: Date.now() - ms },
    { logger: new DefaultLogger('ERROR') },
  );
  const input: SubmitInput = {
    host: 'h',
    account: 'a',
    container: 'c',
    type: 'export',
    strangers: [],
    settings: FAST,
  };
  const [failure, answer]: unknown[] = await environment
    .run((given: SubmitInput) => activities.submitJob(given), input)
    .then(
      (given) => [undefined, given],
      (reason: unknown) => [reason, undefined],
    );
  return { failure, answer, blobs: [...blobs.keys()] };
}

describe('a job that was created', () => {
  it('is told of where its id cannot be written down: it must not be made again', async () => {
    const { failure, answer } = await refusedAfter(0, false, async () => ({ jobId: 'j' }));
    expect(failure).toBeUndefined();
    expect(answer).toMatchObject({ value: { kind: 'submitted', jobId: 'j', adopted: false } });
  });
});

describe('a container that the hub refuses', () => {
  it('is tried again for two minutes where the hub opens it by its own identity', async () => {
    const early = await refusedAfter(100_000, true);
    expect(early.failure).toBeInstanceOf(ApplicationFailure);
    expect(early.failure).toMatchObject({ type: 'HUB_ROLE_PENDING', nonRetryable: false });
    // A clear no made no job: the next attempt lists anew.
    expect(early.blobs).toEqual([]);
    const late = await refusedAfter(130_000, true);
    expect(late.failure).toMatchObject({ type: 'CONTAINER_REFUSED', nonRetryable: true });
  });

  it('is final at once where a SAS opens it', async () => {
    const { failure } = await refusedAfter(0, false);
    expect(failure).toMatchObject({ type: 'CONTAINER_REFUSED', nonRetryable: true });
  });
});

/** A submission after an attempt that nobody knows the end of, on a hub that lists these jobs at its first looks, and then its job. */
async function submittedAgain(
  looks: readonly HubJob[][],
): Promise<{ answer: unknown; creates: number; lists: number }> {
  let lists = 0;
  let creates = 0;
  const storage = {
    readText: async (_container: string, blob: string) =>
      blob.endsWith('jobs-before.json') ? '["old"]' : null,
    writeText: async (_container: string, blob: string) => !blob.endsWith('jobs-before.json'),
    size: async () => null,
  };
  const hub = {
    listJobs: async () => looks[Math.min(lists++, looks.length - 1)],
    createExport: async () => {
      creates += 1;
      return jobOf('new');
    },
    takeCalls: () => ({ jobs: 0, polls: 0, other: 0 }),
  };
  const containers = {
    access: { hubIdentity: false, expiry: () => 0 },
    shared: false,
    open: async () => ({ output: 'https://x/y', input: 'https://x/y' }),
    extend: async () => undefined,
  };
  const connections = { hub: () => hub, storage: () => storage, jobContainers: () => containers };
  const activities = guarded(hubJobActivities({ connections } as unknown as Deps));
  const input: SubmitInput = {
    host: 'h',
    account: 'a',
    container: 'c',
    type: 'export',
    strangers: [],
    settings: { ...FAST, slotWait: 10, visible: 200 },
  };
  const environment = new MockActivityEnvironment();
  const { value: answer } = await environment.run<
    [SubmitInput],
    Counted<SubmitAnswer>,
    typeof activities.submitJob
  >((given) => activities.submitJob(given), input);
  return { answer, creates, lists };
}

const jobOf = (jobId: string): HubJob => ({
  jobId,
  type: 'export',
  status: 'running',
  progress: 0,
  failureReason: null,
});

describe('a submission after one whose create may still be on its way', () => {
  const old = jobOf('old');

  it('waits for its job and adopts it', async () => {
    const { answer, creates, lists } = await submittedAgain([[old], [old], [old, jobOf('late')]]);
    expect(answer).toMatchObject({ kind: 'submitted', jobId: 'late', adopted: true });
    expect({ creates, lists }).toEqual({ creates: 0, lists: 3 });
  });

  it('creates one of its own when none has come', async () => {
    const { answer, creates, lists } = await submittedAgain([[old]]);
    expect(answer).toMatchObject({ kind: 'submitted', jobId: 'new', adopted: false });
    expect(creates).toBe(1);
    expect(lists).toBeGreaterThan(1);
  });
});

it('an attempt that stood still while another one created the job creates none', async () => {
  const blobs = new Map<string, string>();
  const storage = {
    readText: async (_container: string, blob: string) => blobs.get(blob) ?? null,
    writeText: async (_container: string, blob: string, text: string) => {
      blobs.set(blob, text);
      return true;
    },
  };
  const hub = { listJobs: async () => [], takeCalls: () => ({ jobs: 0, polls: 0, other: 0 }) };
  const containers = {
    access: { hubIdentity: false, expiry: () => 0 },
    shared: false,
    open: async () => {
      blobs.set('hubferry/job.json', JSON.stringify({ jobId: 'theirs' }));
      return { output: 'https://x/y', input: 'https://x/y' };
    },
  };
  const connections = { hub: () => hub, storage: () => storage, jobContainers: () => containers };
  const activities = hubJobActivities({ connections } as unknown as Deps);
  const common = { host: 'h', account: 'a', container: 'c', strangers: [], settings: FAST };
  const input: SubmitInput = { ...common, type: 'export' };
  const answer: unknown = await new MockActivityEnvironment().run(
    (given: SubmitInput) => activities.submitJob(given),
    input,
  );
  expect(answer).toMatchObject({ value: { kind: 'submitted', jobId: 'theirs', adopted: false } });
});
