/** Every interval, size and limit of a run, in ms, bytes and lines. `config/settings.ts` holds the defaults and why. */
export interface RunSettings {
  readonly chunkLines: number;
  readonly maxLineBytes: number;
  readonly partitionBytes: number;
  readonly planMaxAge: number;
  readonly settle: number;
  readonly poll: { readonly first: number; readonly max: number };
  readonly slotWait: number;
  /** Not in inputs of 0.1: faults that may pass are tried for a day. */
  readonly patience?: number;
  readonly jobDeadline: number;
  readonly sasLifetime: number;
  readonly repairRounds: number;
  /** Not in inputs of 0.1: no limit. */
  readonly maxTwinCalls?: number;
  readonly heartbeat: number;
  readonly edgePoll: number;
  readonly visible: number;
}
