import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deps } from '../../activities/deps.js';
import { importActivities, type JobChunkInput } from '../../activities/import.js';
import { ERROR_LOG_BLOB, workBlob } from '../../activities/work.js';
import { openStorage, type Storage } from '../../azure/storage.js';
import { printChange } from '../../registry/change.js';
import { type Azurite, startAzurite, storageAt } from '../azure/azurite.js';

const JOB = 'hf-job';
const WORK = 'hf-work';

let azurite: Azurite;
let storage: Storage;
beforeAll(async () => {
  azurite = await startAzurite();
  storage = openStorage(storageAt(azurite.port));
  for (const container of [JOB, WORK]) await storage.createContainer(container);
});
afterAll(() => azurite.stop());

const line = (id: string, moduleId?: string): string =>
  JSON.stringify({ id, ...(moduleId === undefined ? {} : { moduleId }), status: 'enabled' });

/** What is read from an error log about a chunk of two modules of `a` and one of `b`. */
async function rejectedBy(log: readonly object[]): Promise<{ known: boolean; rejected: number }> {
  const lines = [line('a', 'm'), line('a', 'n'), line('b', 'm')].map(
    (text) => `${printChange({ part: 'create', eTag: null, line: text })}\n`,
  );
  await storage.writeText(WORK, workBlob.changes(1, 0, 'modules'), lines.join(''));
  const text = log.map((entry) => `${JSON.stringify(entry)}\r\n`).join('');
  await storage.writeText(JOB, ERROR_LOG_BLOB, text);
  const activities = importActivities({ connections: { storage: () => storage } } as unknown as Deps);
  const input: JobChunkInput = {
    account: storage.account,
    container: JOB,
    work: WORK,
    pass: 1,
    partitions: 1,
    chunk: { wave: 'modules', number: 1, lines: 3, parts: [{ partition: 0, fromLine: 0, lines: 3 }] },
  };
  return await new MockActivityEnvironment().run(
    (given: JobChunkInput) => activities.readErrorLog(given),
    input,
  );
}

const refused = { errorCode: 400_004, errorStatus: '' };

describe('the error log of an import', () => {
  it('names records, or the devices they are of', async () => {
    expect(await rejectedBy([])).toEqual({ known: true, rejected: 0 });
    expect(await rejectedBy([{ ...refused, deviceId: 'b', moduleId: 'm' }])).toMatchObject({ rejected: 1 });
    expect(await rejectedBy([{ ...refused, deviceId: 'a' }])).toMatchObject({ rejected: 2 });
  });

  it('of an earlier job, which came late, says nothing about this one', async () => {
    const late = [
      { ...refused, deviceId: 'c' },
      { ...refused, deviceId: 'a', moduleId: 'x' },
    ];
    expect(await rejectedBy(late)).toEqual({ known: true, rejected: 0 });
    expect(await rejectedBy([...late, { ...refused, deviceId: 'b' }])).toMatchObject({ rejected: 1 });
  });
});
