import type { Fault } from './fault.js';

/** All that a supervisor needs to know; it comes as JSON on its command line, so it holds no secret. */
export interface SupervisorSpec {
  readonly home: string;
  /** Path of the Temporal CLI. */
  readonly binary: string;
  readonly version: string;
  readonly config: { readonly path: string; readonly hash: string };
  /** Ends after this many ms without use, open run or schedule. */
  readonly idle: number;
  readonly fastTimers: boolean;
  /** Program and arguments of the worker; `--address` and `--wait` are added. */
  readonly worker: readonly string[];
}

/** What a supervisor tells the command that started it, once. */
export type SupervisorNews =
  | { readonly kind: 'ready' }
  /** Another supervisor was first. */
  | { readonly kind: 'taken' }
  | ({ readonly kind: 'failed' } & Fault);

/** Tells a supervisor to end if it is idle, however short that time; SIGTERM ends it in any case. */
export const END_IF_IDLE = 'SIGUSR2';

/** Set by the supervisor for its worker, which must not outlive it: another version might start next. */
export const SUPERVISED = 'HUBFERRY_SUPERVISED';
