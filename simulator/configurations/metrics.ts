import { isObject, type JsonObject, setKey } from '../json.js';
import { countRows } from '../query/query-run.js';
import { isModule } from '../records/records.js';
import type { RegistryStore } from '../records/store.js';
import type { Configuration, MetricResults } from './configuration.js';
import { statusesOf } from './statuses.js';
import { targetQuery } from './target.js';

/** How many twins stand where with one configuration. */
interface Tally {
  targeted: number;
  applied: number;
  succeeded: number;
  failed: number;
}

const noTally: Readonly<Tally> = { targeted: 0, applied: 0, succeeded: 0, failed: 0 };

/** Counts for all configurations at once, so that a list of them costs one walk through the registry. */
export function tallyAll(store: RegistryStore): ReadonlyMap<string, Readonly<Tally>> {
  const tallies = new Map<string, Tally>();
  for (const record of store.seeAll('now')) {
    const { twin } = record;
    if (twin.configurations === '{}') continue;
    const statuses = statusesOf(twin.configurations);
    const code = isModule(record) && record.moduleId === '$edgeAgent' ? deploymentCode(twin) : undefined;
    for (const [id, status] of statuses) {
      let tally = tallies.get(id);
      if (tally === undefined) {
        tally = { ...noTally };
        tallies.set(id, tally);
      }
      tally.targeted++;
      if (status !== 'Applied') continue;
      tally.applied++;
      if (code === 200) tally.succeeded++;
      else if (code !== undefined) tally.failed++;
    }
  }
  return tallies;
}

/** What the runtime of an edge device reported about the newest manifest, if it did. */
function deploymentCode(twin: { reported: string; desiredVersion: number }): number | undefined {
  const { lastDesiredVersion, lastDesiredStatus } = JSON.parse(twin.reported) as JsonObject;
  if (lastDesiredVersion !== twin.desiredVersion || !isObject(lastDesiredStatus)) return undefined;
  return typeof lastDesiredStatus.code === 'number' ? lastDesiredStatus.code : undefined;
}

/** `systemMetrics.queries` of a configuration. */
export function systemQueries({ id, targetCondition, content: { kind } }: Configuration): JsonObject {
  const targetedCount = targetQuery(targetCondition, kind);
  const status = `configurations.[[${id}]].status = 'Applied'`;
  if (kind === 'edge') {
    const agents = `select deviceId from devices.modules where moduleId = '$edgeAgent' and ${status}`;
    const reported = `${agents} and properties.desired.$version = properties.reported.lastDesiredVersion`;
    return {
      targetedCount,
      appliedCount: agents,
      reportedSuccessfulCount: `${reported} and properties.reported.lastDesiredStatus.code = 200`,
      reportedFailedCount: `${reported} and properties.reported.lastDesiredStatus.code != 200`,
    };
  }
  const appliedCount =
    kind === 'module'
      ? `select deviceId, moduleId from devices.modules where ${status}`
      : `select deviceId from devices where ${status}`;
  return { targetedCount, appliedCount };
}

/** Results of a configuration that was evaluated. */
export function resultsOf(
  store: RegistryStore,
  { id, content, metrics }: Configuration,
  tallies: ReadonlyMap<string, Readonly<Tally>>,
): MetricResults {
  const tally = tallies.get(id) ?? noTally;
  const custom: JsonObject = {};
  for (const [name, { query }] of metrics) setKey(custom, name, countRows(store, query));
  const counts = { targetedCount: tally.targeted, appliedCount: tally.applied };
  const reported = { reportedSuccessfulCount: tally.succeeded, reportedFailedCount: tally.failed };
  return { system: content.kind === 'edge' ? { ...counts, ...reported } : counts, custom };
}
