/** The one container that runs share. It holds no secret. */
export const SHARED_CONTAINER = 'hubferry';

/** What the names of all reports begin with. */
export const RUNS = 'runs/';

/** Where a run's report stands. */
export const runBlob = (run: string): string => `${RUNS}${run}.json`;

/** What stays of a run's plan: keys, kinds and digests. */
export const planBlob = (run: string): string => `plans/${run}.ndjson`;
