import { ServiceError } from '@temporalio/client';
import { describe, expect, it, vi } from 'vitest';
import { answer } from '../../client/answer.js';
import { follow } from '../../client/follow.js';
import { parseReport } from '../../client/runs.js';
import type { Session } from '../../client/session.js';
import { ended } from '../../client/status.js';
import { emptyReport, type RunReport } from '../../workflows/messages.js';

const report = (change: Partial<RunReport> = {}): RunReport => ({
  ...emptyReport({ run: '20260801-120000-ab12cd', workflow: 'migrate', source: 'a', target: 'b' }),
  ...change,
});

/** What the SDK throws while a server is away. */
const outage = (): Error =>
  new ServiceError('away', {
    cause: Object.assign(new Error('UNAVAILABLE'), { code: 14, details: '', metadata: {} }),
  });

const never = new Promise<never>(() => undefined);

describe('a followed run', () => {
  /** A server that is away until it is revived. */
  function session(revive: () => Promise<void>, result: () => Promise<unknown>): Session {
    const handle = {
      result,
      query: () => Promise.reject(outage()),
      describe: () => Promise.reject(outage()),
    };
    const connection = {
      withDeadline: (_: number, call: () => Promise<unknown>) => call(),
      withAbortSignal: (_: AbortSignal, call: () => Promise<unknown>) => call(),
    };
    return { client: { connection, workflow: { getHandle: () => handle } }, revive } as unknown as Session;
  }
  const started = { begun: report(), workflowId: 'write/b', runId: 'r', attached: false };

  it('has what runs it looked after when nobody answers for long, and goes on', async () => {
    let back = false;
    const revive = vi.fn(async () => {
      back = true;
    });
    const result = vi.fn(async () => {
      if (!back) throw outage();
      return report({ outcome: 'verified' });
    });
    const seen: unknown[] = [];
    const last = await follow(session(revive, result), started, (look) => seen.push(look), 0);
    expect(last.outcome).toBe('verified');
    expect(seen).toContain('no server');
    expect(revive).toHaveBeenCalled();
  });

  it('ends with what keeps the server from coming back', async () => {
    const revive = () => Promise.reject(new Error('another configuration'));
    await expect(
      follow(
        session(revive, () => never),
        started,
        () => undefined,
        0,
      ),
    ).rejects.toThrow('another configuration');
  });
});

describe('a run that this server does not know', () => {
  const here = { server: 'embedded on here (/home)' };

  it('is lost if it was this server’s', () => {
    expect(ended(here, report(here)).report).toMatchObject({
      outcome: 'failed',
      error: { code: 'RUN_LOST' },
    });
  });

  it.each([
    ['another server’s', { server: 'embedded on there (/home)' }, 'embedded on there (/home)'],
    ['of an unnamed server', {}, 'it does not say which'],
  ])('is as it was if it is %s: to start it again would make two writers', (_, change, name) => {
    const seen = ended(here, report(change));
    expect(seen.report).toMatchObject({ outcome: 'running', error: null });
    expect(seen.note).toBe(`runs under another Temporal server (${name}); this is how it began`);
  });

  it('is over if its last word came in between', () => {
    const over = report({ outcome: 'verified' });
    expect(ended(here, over)).toEqual({ report: over });
  });
});

it.each(['', 'null', '7', '{"run":"x"}', '{"run":'])('%j is no report', (text) =>
  expect(parseReport(text)).toBeNull(),
);

it('a report is one', () => {
  const one = report();
  expect(parseReport(JSON.stringify(one))).toEqual(one);
});

describe('a check', () => {
  type Handle = Parameters<typeof answer>[0];
  const handle = (change: object): Handle =>
    ({
      result: () => never,
      describe: async () => ({ historyLength: 2 }),
      terminate: vi.fn(),
      ...change,
    }) as unknown as Handle;

  it('that no worker takes is given up, and leaves nothing behind', async () => {
    const untaken = handle({});
    await expect(answer(untaken, 0)).rejects.toMatchObject({ code: 'NO_WORKER' });
    expect(untaken.terminate).toHaveBeenCalled();
  });

  it('that a worker has taken is waited for', async () => {
    let finish: (found: unknown) => void = () => undefined;
    const taken = handle({
      result: () => new Promise((resolve) => (finish = resolve)),
      describe: async () => {
        setImmediate(() => finish([]));
        return { historyLength: 5 };
      },
    });
    expect(await answer(taken, 0)).toEqual([]);
  });

  it('survives an outage of the server', async () => {
    const result = vi.fn().mockRejectedValueOnce(outage()).mockResolvedValue([]);
    expect(await answer(handle({ result }), 60_000)).toEqual([]);
    expect(result).toHaveBeenCalledTimes(2);
  });
});
