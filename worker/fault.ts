import { type ErrorCode, HubferryError, isErrorCode } from '../registry/errors.js';
import { messageOf, textOf } from './unknown.js';

/** An error on its way from one process of ours to another. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
  /** Of this very error: the code's own may say less. */
  readonly hint: string;
}

/** What to send of an error; one that is not ours gets the code `otherwise`. */
export function faultOf(error: unknown, otherwise: ErrorCode): Fault {
  const { code, message, hint } =
    error instanceof HubferryError ? error : new HubferryError(otherwise, messageOf(error));
  return { code, message, hint };
}

/** The error that another process sent, or undefined if it is none. */
export function errorOf(sent: unknown): HubferryError | undefined {
  const code = textOf(sent, 'code');
  const message = textOf(sent, 'message');
  return isErrorCode(code) && message !== undefined
    ? new HubferryError(code, message, textOf(sent, 'hint'))
    : undefined;
}
