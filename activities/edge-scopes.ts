import { Context, metricMeter } from '@temporalio/activity';
import type { Hub } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import { ERRORS, HubferryError } from '../registry/errors.js';
import { timed } from '../registry/metrics.js';
import type { EdgeRow } from '../registry/scopes.js';

/** The documented way to list edge devices; the answer is a twin, which shows the device's scopes (facts §1.3). */
const EDGE_QUERY = 'SELECT * FROM devices WHERE capabilities.iotEdge = true';

/** Waits between tries of one of many calls, ms; as many tries as there are waits, and one more. */
const WAITS = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 30_000, 30_000];

/**
 * Tries one of many calls again in its place while the hub throttles or fails: an activity that began anew each time
 * would meet the same limit at the same place for ever.
 */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (const wait of WAITS) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof HubferryError && ERRORS[error.code].retryable)) throw error;
      timed(metricMeter, 'hubferry_backoff_seconds', wait / 1_000, { code: error.code });
      await Context.current().sleep(wait);
    }
  }
  return call();
}

/** What was just made may stay invisible for a while. */
export interface Visibility {
  /** When it must be visible, ms since 1970. */
  readonly at: number;
  /** Between two looks, ms. */
  readonly poll: number;
}

/** Tries a call about something that was just made again while the hub answers as if it were not there. */
export async function whenVisible<T>(
  { at, poll }: Visibility,
  passing: ReadonlySet<number>,
  call: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await patiently(call);
    } catch (error) {
      const waits = error instanceof HubAnswerError && passing.has(error.status);
      if (!waits || Date.now() >= at) throw error;
      await Context.current().sleep(poll);
    }
  }
}

/**
 * What a query shows of the hub's edge devices, or null where the hub does not take or allow the query. A row without a
 * scope tells nothing and is left out.
 */
export async function queriedEdges(hub: Hub): Promise<EdgeRow[] | null> {
  const rows: EdgeRow[] = [];
  return unlessRefused(async () => {
    for await (const page of hub.query(EDGE_QUERY, { each: patiently }))
      rows.push(...page.flatMap(rowOfTwin));
    return rows;
  });
}

/** Whether the hub takes and allows queries: asked once, and for a device that is not there. */
export async function mayQuery(hub: Hub): Promise<boolean> {
  const answered = await unlessRefused(async () => {
    const pages = hub.query("SELECT * FROM devices WHERE deviceId = 'hubferry-probe'");
    await pages[Symbol.asyncIterator]().next();
    return true;
  });
  return answered ?? false;
}

/** The answer of a query, or null where the hub does not take or allow queries. */
export async function unlessRefused<T>(query: () => Promise<T>): Promise<T | null> {
  try {
    return await query();
  } catch (error) {
    const no = error instanceof HubferryError && ['HUB_REFUSED', 'HUB_UNAUTHORIZED'].includes(error.code);
    if (no) return null;
    throw error;
  }
}

function rowOfTwin(twin: Readonly<Record<string, unknown>>): EdgeRow[] {
  const { deviceId, deviceScope, parentScopes } = twin;
  if (typeof deviceId !== 'string' || typeof deviceScope !== 'string' || deviceScope === '') return [];
  const parent: unknown = Array.isArray(parentScopes) ? parentScopes[0] : undefined;
  return [
    {
      id: deviceId,
      scope: deviceScope,
      parentScope: typeof parent === 'string' && parent !== '' ? parent : null,
      refused: null,
    },
  ];
}

/** One edge device by its id; null where there is none, or it is no edge device. */
export async function edgeById(hub: Hub, id: string): Promise<EdgeRow | null> {
  const device = await patiently(() => hub.getDevice(id));
  if (device?.capabilities?.['iotEdge'] !== true || device.deviceScope === null) return null;
  return { id, scope: device.deviceScope, parentScope: device.parentScopes[0] ?? null, refused: null };
}

/**
 * Completes the side table of a fresh snapshot where the export left open who hangs below whom: whether it carries
 * `parentScopes`, or an edge device's own scope, is not documented (facts §2.1). The hub is asked by query, and by id for
 * what the query does not show as the export does (it lags, and shows deleted devices for a while).
 */
export async function withParents(hub: Hub, rows: readonly EdgeRow[]): Promise<EdgeRow[]> {
  const scopesKnown = rows.every(({ scope }) => scope !== null);
  const parentsKnown = rows.length < 2 || rows.some(({ parentScope }) => parentScope !== null);
  if (scopesKnown && parentsKnown) return [...rows];
  const queried = new Map((await queriedEdges(hub))?.map((row) => [row.id, row]));
  const completed: EdgeRow[] = [];
  for (const row of rows) {
    const listed = queried.get(row.id);
    const current = listed && (row.scope === null || row.scope === listed.scope);
    const seen = current ? listed : await edgeById(hub, row.id);
    completed.push({
      ...row,
      scope: row.scope ?? seen?.scope ?? null,
      parentScope: row.parentScope ?? seen?.parentScope ?? null,
    });
  }
  return completed;
}
