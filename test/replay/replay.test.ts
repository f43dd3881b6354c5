import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createLogger } from '../../worker/log.js';
import { installRuntime } from '../../worker/runtime.js';
import * as workflows from '../../workflows/index.js';

/** Histories recorded from a real server by test/record-histories.ts: runs of released versions that may still be open. */
const FOLDER = fileURLToPath(new URL('../histories', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .toSorted();

beforeAll(() => installRuntime(createLogger({ level: 'silent' })));

/** What went wrong with each of the histories. One worker replays all, since each of them loads the workflows. */
async function replay(
  histories: Iterable<readonly [string, unknown]>,
): Promise<Map<string, Error | undefined>> {
  const options = { workflowBundle: { codePath: inject('workflowBundle') } };
  const given = Array.from(histories, ([workflowId, history]) => ({ workflowId, history }));
  const errors = new Map<string, Error | undefined>();
  for await (const { workflowId, error } of Worker.runReplayHistories(options, given))
    errors.set(workflowId, error);
  return errors;
}

const read = (name: string): { events: Record<string, unknown>[] } =>
  JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as { events: Record<string, unknown>[] };

describe('recorded histories', () => {
  it('exist for every workflow', () => {
    const recorded = new Set(files.map((name) => name.split('/')[0] ?? ''));
    expect([...recorded].toSorted()).toEqual(Object.keys(workflows).toSorted());
  });

  describe('replay', () => {
    let errors = new Map<string, Error | undefined>();
    beforeAll(async () => {
      errors = await replay(files.map((name) => [name, read(name)]));
    });

    it.each(files)('%s', (name) => {
      expect(errors.has(name)).toBe(true);
      expect(errors.get(name)).toBeUndefined();
    });
  });

  it('would tell a change of what a workflow does', async () => {
    const history = read(files.find((name) => name.startsWith('migrate/')) ?? '');
    const scheduled = history.events.find((event) => 'activityTaskScheduledEventAttributes' in event);
    const attributes = scheduled?.['activityTaskScheduledEventAttributes'];
    const { activityType } = (attributes ?? {}) as { activityType: { name: string } };
    activityType.name = 'anotherActivity';
    expect((await replay([['changed', history]])).get('changed')).toBeInstanceOf(DeterminismViolationError);
  });
});
