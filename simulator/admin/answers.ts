/** A hub as GET /hubs of the admin port shows it. */
export interface HubEntry {
  readonly name: string;
  readonly hostName: string;
  readonly ownHostName: string | null;
  /** Of policy iothubowner. */
  readonly connectionString: string;
}

/** The clock as GET /clock of the admin port shows it. */
export interface ClockState {
  /** ISO 8601, in simulated time. */
  readonly now: string;
  /** Simulated milliseconds per real one. */
  readonly speed: number;
}
