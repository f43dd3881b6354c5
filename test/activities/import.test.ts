import v8 from 'node:v8';
import { runInNewContext } from 'node:vm';
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
async function rejectedBy(
  log: readonly object[],
  from: Storage = storage,
): Promise<{ known: boolean; rejected: number }> {
  const lines = [line('a', 'm'), line('a', 'n'), line('b', 'm')].map(
    (text) => `${printChange({ part: 'create', eTag: null, line: text })}\n`,
  );
  await storage.writeText(WORK, workBlob.changes(1, 0, 'modules'), lines.join(''));
  const text = log.map((entry) => `${JSON.stringify(entry)}\r\n`).join('');
  await storage.writeText(JOB, ERROR_LOG_BLOB, text);
  const activities = importActivities({ connections: { storage: () => from } } as unknown as Deps);
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

  it('echoes lines, whose keys stay where they are', async () => {
    const key = Buffer.alloc(32, 'k').toString('base64');
    const echo = `${line('a', 'm').slice(0, -1)},"authentication":{"symmetricKey":{"primaryKey":"${key}"}}}`;
    const errorStatus = `The line cannot be read: ${echo}`;
    const read = await rejectedBy([
      { errorCode: 400_012, errorStatus },
      { errorCode: key, errorStatus: echo },
    ]);
    expect(read).toEqual({ known: true, rejected: 1 });
    const left: string[] = [];
    for await (const { name } of storage.list(WORK)) left.push((await storage.readText(WORK, name)) ?? '');
    expect(left.some((text) => text.includes('"record":"a/m"'))).toBe(true);
    expect(left.filter((text) => text.includes(key))).toEqual([]);
  });

  it('that is larger than memory is read as a stream, and each record counts once', async () => {
    v8.setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const held = (): number => {
      collect();
      const { heapUsed, external, arrayBuffers } = process.memoryUsage();
      return heapUsed + external + arrayBuffers;
    };
    const entry = { ...refused, errorStatus: `{"id":"a","tags":"${'x'.repeat(500_000)}"}`, deviceId: 'b' };
    const lines = Buffer.from(`${JSON.stringify(entry)}\r\n`.repeat(4));
    const before = held();
    let most = 0;
    const log = async function* (): AsyncGenerator<Buffer> {
      for (let n = 0; n < 64; n++) {
        yield lines;
        if (n % 8 === 7) most = Math.max(most, held() - before);
      }
    };
    const instead = new Proxy(storage, {
      get: (real, name) => {
        const value: unknown = Reflect.get(real, name);
        if (name === 'read')
          return async (...where: Parameters<Storage['read']>) =>
            where[1] === ERROR_LOG_BLOB ? log() : await real.read(...where);
        return typeof value === 'function' ? value.bind(real) : value;
      },
    });
    expect(await rejectedBy([], instead)).toEqual({ known: true, rejected: 1 });
    // 128 MB went by.
    expect(most).toBeLessThan(20_000_000);
  });
});
