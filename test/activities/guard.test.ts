import { ServiceError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { guarded } from '../../activities/guard.js';
import { HubferryError } from '../../registry/errors.js';

/** How an activity that throws this fails. */
async function failureOf(error: unknown): Promise<ApplicationFailure> {
  const { fails } = guarded({
    fails: async (_input: never): Promise<void> => {
      throw error;
    },
  });
  const failure: unknown = await new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') })
    .run(fails, undefined as never)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  if (!(failure instanceof ApplicationFailure)) throw new Error('no ApplicationFailure', { cause: failure });
  return failure;
}

describe('an activity fails', () => {
  it.each([
    ['a fault that passes', new HubferryError('HUB_THROTTLED', 'busy'), 'HUB_THROTTLED', false],
    ['a final one', new HubferryError('HUB_UNAUTHORIZED', 'no'), 'HUB_UNAUTHORIZED', true],
    [
      'a connection that broke while data moved',
      Object.assign(new Error('x'), { code: 'ECONNRESET' }),
      'STORAGE_UNREACHABLE',
      false,
    ],
    ['an outage of the Temporal server', new ServiceError('14 UNAVAILABLE'), 'TEMPORAL_UNREACHABLE', false],
    ['a bug of ours', new RangeError('x'), 'INTERNAL', true],
  ])('with a code, tried again or not: %s', async (_what, error, type, nonRetryable) => {
    expect(await failureOf(error)).toMatchObject({ type, nonRetryable });
  });

  it('without the words of a foreign error, which may quote what it was given', async () => {
    const { message } = await failureOf(new Error('the key at place is SECRET\nand at another line SECRET'));
    expect(message).toMatch(/^Unexpected Error at guard\.test\.ts:\d+:\d+\.$/);
    expect(message).not.toContain('SECRET');
  });
});
