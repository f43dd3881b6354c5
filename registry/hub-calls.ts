/** Calls to a hub, as the report counts them. */
export interface HubCalls {
  /** Job creates, lists and cancels. */
  readonly jobs: number;
  /** Questions for one job. */
  readonly polls: number;
  readonly other: number;
}

export const NO_CALLS: HubCalls = { jobs: 0, polls: 0, other: 0 };

export function addCalls(a: HubCalls, b: HubCalls): HubCalls {
  return { jobs: a.jobs + b.jobs, polls: a.polls + b.polls, other: a.other + b.other };
}
