export { SHARED_CONTAINER } from '../registry/containers.js';

/** What the names of all reports begin with. */
export const RUNS = 'runs/';

/** Where a run's report stands. */
export const runBlob = (run: string): string => `${RUNS}${run}.json`;

/** Every difference that a run found in the end, by record and field; without content. */
export const differencesBlob = (run: string): string => `reports/${run}.differences.ndjson`;

/** What stays of a run's plan: keys, kinds and digests. */
export const planBlob = (run: string): string => `plans/${run}.ndjson`;

/** Beside the snapshot of a target: some changes of the plan that was made against it. */
export const SAMPLES_BLOB = 'plan-samples.json';
