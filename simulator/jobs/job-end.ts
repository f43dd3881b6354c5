/** Ends a job as `failed` with the message as its reason. */
export class JobFailure extends Error {}

/** Ends a job so that no trace of it is left. */
export class JobVanished extends Error {}
