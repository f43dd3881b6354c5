import { type Logger, pino } from 'pino';
import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import { scrubFields } from './scrub.js';

export type { Logger };

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** The level in $HUBFERRY_LOG_LEVEL, by default `info`. @throws HubferryError USAGE */
export function logLevel(env: NodeJS.ProcessEnv): string {
  const level = env['HUBFERRY_LOG_LEVEL'] || 'info';
  if (LEVELS.includes(level)) return level;
  throw new HubferryError(
    'USAGE',
    `HUBFERRY_LOG_LEVEL is ‘${maskSecrets(level)}’; expected ${LEVELS.join(', ')}.`,
    'Set it to one of these, or unset it.',
  );
}

export interface LogOptions {
  /** Default `info`. */
  readonly level?: string;
  /** File descriptor (default 2, stderr: stdout belongs to results). */
  readonly fd?: number;
}

/** A logger of JSON lines. Every string that passes through it is scrubbed of credentials. */
export function createLogger(options: LogOptions = {}): Logger {
  // Synchronous, so that the last lines before an exit are written.
  const destination = pino.destination({ fd: options.fd ?? 2, sync: true });
  destination.on('error', () => undefined); // whoever read our stderr is gone: work on without a log
  return pino(
    {
      level: options.level ?? 'info',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => scrubFields(fields),
      },
      serializers: { err: (error: unknown) => error },
      // The finished line once more: a message may come from an error, from a child's bindings or from a format.
      hooks: { streamWrite: maskSecrets },
    },
    destination,
  );
}
