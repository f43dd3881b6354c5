import { type Logger, pino } from 'pino';
import { maskSecrets } from '../registry/secrets.js';
import { scrubFields } from './scrub.js';

export type { Logger };

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
