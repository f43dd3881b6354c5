/** The one container that runs share. It holds no secret (design of storage: docs/architecture.md). */
export const SHARED_CONTAINER = 'hubferry';

/** Where a run's report stands in it. */
export const runBlob = (run: string): string => `runs/${run}.json`;

/** What `runBlob` names begin with. */
export const RUNS = 'runs/';

/** What stays of a run's plan: keys, kinds and digests. */
export const planBlob = (run: string): string => `plans/${run}.ndjson`;
