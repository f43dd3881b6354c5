import { type LogLevel, type LogMetadata, Runtime, type Logger as TemporalLogger } from '@temporalio/worker';
import type { Logger } from './log.js';
import { metricsExporter } from './metrics.js';

/** Levels of pino by Temporal's names. */
const PINO_LEVEL = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** Temporal's logger interface over ours: what the SDK, workflows and activities log. */
export function temporalLogger(log: Logger): TemporalLogger {
  const write = (level: LogLevel, message: string, meta?: LogMetadata): void =>
    log[PINO_LEVEL[level]](meta ?? {}, message);
  return {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
}

/**
 * Sends the logs of Temporal's runtime, native part included, to a logger. Once per process and before anything else
 * of the SDK; signals stay ours, because a second one must force the end.
 *
 * @param metricsAddress where metrics are served, `address:port`; null: nowhere
 */
export function installRuntime(log: Logger, metricsAddress: string | null = null): void {
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} },
      ...(metricsAddress === null ? {} : { metrics: metricsExporter(metricsAddress) }),
    },
  });
}
