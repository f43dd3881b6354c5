import { ApplicationFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/workflow';
import { ERRORS, type ErrorCode, isErrorCode } from '../registry/errors.js';

/** A failure in our own words. */
export interface OurFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/** Fails the workflow with one of our codes. */
export function fail(code: ErrorCode, message: string): never {
  throw ApplicationFailure.nonRetryable(message, code);
}

/** A failure that no error has told. */
export const told = (code: ErrorCode, message: string): OurFailure => ({
  code,
  message,
  hint: ERRORS[code].hint,
});

/** Our code and words for whatever ended a workflow: activities and children carry them in the chain of causes. */
export function failureOf(error: unknown): OurFailure {
  let cause: unknown = error;
  while (cause instanceof Error && !(cause instanceof ApplicationFailure) && cause.cause) cause = cause.cause;
  return told(codeOf(cause), cause instanceof Error ? cause.message : String(cause));
}

function codeOf(cause: unknown): ErrorCode {
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) return cause.type;
  if (cause instanceof TimeoutFailure) return 'STEP_TIMED_OUT';
  return cause instanceof TerminatedFailure ? 'RUN_LOST' : 'INTERNAL';
}
