import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createLogger } from '../../worker/log.js';
import { installRuntime } from '../../worker/runtime.js';

/** Histories recorded from a real server by test/record-histories.ts: runs of released versions that may still be open. */
const FOLDER = fileURLToPath(new URL('../histories', import.meta.url));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .toSorted();

beforeAll(() => installRuntime(createLogger({ level: 'silent' })));

const replay = (history: unknown): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, history);

const read = (name: string): { events: Record<string, unknown>[] } =>
  JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as { events: Record<string, unknown>[] };

describe('recorded histories', () => {
  it('exist for every workflow', () => {
    expect([...new Set(files.map((name) => name.split('/')[0]))]).toEqual([
      'apply',
      'check',
      'hubJob',
      'hubQueue',
      'migrate',
      'scheduled',
      'snapshot',
    ]);
  });

  it.each(files)('%s replays', (name) => replay(read(name)));

  it('would tell a change of what a workflow does', async () => {
    const history = read(files.find((name) => name.startsWith('migrate/')) ?? '');
    const scheduled = history.events.find((event) => 'activityTaskScheduledEventAttributes' in event);
    const attributes = scheduled?.['activityTaskScheduledEventAttributes'];
    const { activityType } = (attributes ?? {}) as { activityType: { name: string } };
    activityType.name = 'anotherActivity';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});
