import { ERRORS, HubferryError, isErrorCode } from '../registry/errors.js';
import { temporal } from '../worker/temporal.js';
import { isOutage } from './follow.js';
import { errorLines, failureReport, printJson, say } from './print.js';
import { joined, widthOf } from './text.js';

/**
 * Ends with the error's exit code, its words on stderr and, under --json, the one object on stdout.
 *
 * @param done `said`: the words stand there already; `answered`: the command has printed its object
 */
export function fail(error: unknown, done: { said?: boolean; answered?: boolean } = {}): void {
  const failure = known(error);
  if (!done.said) say(joined(errorLines(failure, widthOf(process.stderr))));
  if (!done.answered && process.argv.includes('--json')) printJson(failureReport(process.argv[2], failure));
  process.exitCode = ERRORS[failure.code].exit;
}

/** What an error of a library comes to. A workflow's failure carries our code as a cause. */
function known(error: unknown): HubferryError {
  if (error instanceof HubferryError) return error;
  const { ApplicationFailure } = temporal();
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure && isErrorCode(cause.type))
      return new HubferryError(cause.type, cause.message);
  }
  if (isOutage(error))
    return new HubferryError('TEMPORAL_UNREACHABLE', 'The Temporal server does not answer.');
  const { cause } = error instanceof Error ? error : {};
  const text = cause instanceof Error ? `${String(error)}: ${cause.message}` : String(error);
  return new HubferryError('INTERNAL', text);
}
