import { SHARED_CONTAINER } from '../registry/containers.js';
import type { Storage } from './storage-port.js';

export { SHARED_CONTAINER };

/** What the names of all reports begin with. */
export const RUNS = 'runs/';

/** Where a run's report stands. */
export const runBlob = (run: string): string => `${RUNS}${run}.json`;

/** Every difference that a run found in the end, by record and field; without content. */
export const differencesBlob = (run: string): string => `reports/${run}.differences.ndjson`;

/** How much of the differences is read for a page, bytes: some hundreds of lines. */
const HEAD = 64 * 1024;

/** The first of a run's differences, the last line maybe cut; nothing where there are none. */
export async function differencesHead(storage: Storage, run: string): Promise<string> {
  const blob = differencesBlob(run);
  if ((await storage.size(SHARED_CONTAINER, blob)) === null) return '';
  const chunks: Buffer[] = [];
  const range = { offset: 0, count: HEAD };
  for await (const chunk of await storage.read(SHARED_CONTAINER, blob, range)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** The last word of a run as a page for people. */
export const pageBlob = (run: string): string => `reports/${run}.html`;

/** What stays of a run's plan: keys, kinds and digests. */
export const planBlob = (run: string): string => `plans/${run}.ndjson`;

/** Beside the snapshot of a target: some changes of the plan that was made against it. */
export const SAMPLES_BLOB = 'plan-samples.json';
