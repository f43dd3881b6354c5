import { createHash } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Edit } from '../../registry/edit.js';
import {
  EDITS_BLOB,
  type EditsInput,
  editsContainer,
  type RunReport,
  writerIdOf,
} from '../../workflows/messages.js';
import { FAST, type TestStand, testRun } from './stand.js';

/** Runs edits of the hub `new` to their end. */
export async function edited(...args: Parameters<typeof startEdits>): Promise<RunReport> {
  return await args[0].reportOf(await startEdits(...args));
}

/** Starts edits of the hub `new`. */
export async function startEdits(
  stand: TestStand,
  list: readonly Edit[],
  options: Partial<EditsInput> = {},
): Promise<WorkflowHandle> {
  const run = options.run ?? testRun();
  const text = list.map((edit) => `${JSON.stringify(edit)}\n`).join('');
  const container = editsContainer(run);
  await stand.storage.createContainer(container);
  await stand.storage.writeText(container, EDITS_BLOB, text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const host = stand.config.hubs.get('new')?.host ?? '';
  const input: EditsInput = {
    run,
    account: stand.storage.account,
    settings: FAST,
    target: { host },
    rules: [],
    maxDelete: null,
    strict: false,
    ...(list.length > 0 ? { list: { sha256, edits: list.length } } : {}),
    ...options,
  };
  return await stand.client.workflow.start('edit', {
    workflowId: writerIdOf(host),
    taskQueue: stand.taskQueue,
    args: [input],
  });
}
