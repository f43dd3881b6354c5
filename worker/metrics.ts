import { once } from 'node:events';
import { createServer } from 'node:net';
import { type MetricsExporterConfig, Runtime } from '@temporalio/worker';
import type { HubObserver } from '../azure/hub-client.js';
import { HubferryError } from '../registry/errors.js';
import { counted, METRICS, type MetricInfo, timed } from '../registry/metrics.js';

/** Temporal's own metrics and ours, for Prometheus. @param bindAddress `address:port` */
export function metricsExporter(bindAddress: string): MetricsExporterConfig {
  const buckets = Object.entries<MetricInfo>(METRICS).flatMap(([name, { buckets: ends }]) =>
    ends === undefined ? [] : [[name, [...ends]]],
  );
  return {
    prometheus: {
      bindAddress,
      countersTotalSuffix: true,
      unitSuffix: true,
      useSecondsForDurations: true,
      histogramBucketOverrides: Object.fromEntries(buckets) as Record<string, number[]>,
    },
  };
}

/**
 * Asks the system for the place before Temporal's runtime takes it, whose words would not tell what is wrong.
 *
 * @throws HubferryError METRICS_NOT_SERVED
 */
export async function metricsPlaceFree(bindAddress: string): Promise<void> {
  const at = bindAddress.lastIndexOf(':');
  const host = bindAddress.slice(0, at).replaceAll(/[[\]]/g, '');
  const server = createServer();
  try {
    server.listen(Number(bindAddress.slice(at + 1)), host);
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    const why = code === 'EADDRINUSE' ? 'another process listens there' : code;
    throw new HubferryError('METRICS_NOT_SERVED', `Metrics cannot be served at ${bindAddress}: ${why}.`);
  }
  server.close();
  await once(server, 'close');
}

/** Counts what passes between this process and its hubs. */
export const hubMetrics: HubObserver = {
  called: (hub, kind) => counted(Runtime.instance().metricMeter, 'hubferry_hub_calls', 1, { hub, kind }),
  throttled: (hub) => counted(Runtime.instance().metricMeter, 'hubferry_throttles', 1, { hub }),
  backsOff: (seconds) =>
    timed(Runtime.instance().metricMeter, 'hubferry_backoff_seconds', seconds, { code: 'HUB_THROTTLED' }),
  waits: (hub, seconds) => timed(Runtime.instance().metricMeter, 'hubferry_turn_seconds', seconds, { hub }),
};
