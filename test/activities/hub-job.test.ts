import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import type { Deps } from '../../activities/deps.js';
import { guarded } from '../../activities/guard.js';
import { hubJobActivities, type SubmitInput } from '../../activities/hub-job.js';
import { HubferryError } from '../../registry/errors.js';
import { FAST } from '../support/stand.js';

/** How a submission fails, so many milliseconds after its first attempt, when the hub refuses the container. */
async function refusedAfter(
  ms: number,
  hubIdentity: boolean,
): Promise<{ failure: unknown; blobs: string[] }> {
  const blobs = new Map<string, string>();
  const storage = {
    readText: async (_container: string, blob: string) => blobs.get(blob) ?? null,
    writeText: async (_container: string, blob: string, text: string) => {
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
    createExport: async () => {
      throw new HubferryError('CONTAINER_REFUSED', 'no');
    },
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
  const failure: unknown = await environment
    .run((given: SubmitInput) => activities.submitJob(given), input)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  return { failure, blobs: [...blobs.keys()] };
}

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
