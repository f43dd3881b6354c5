import type { DeviceIdentity, Hub } from '../azure/hub.js';
import type { Storage } from '../azure/storage.js';
import { HubferryError } from '../registry/errors.js';
import { parseDesiredLine } from '../registry/line.js';
import type { EdgeRow } from '../registry/scopes.js';
import type { Deps } from './deps.js';
import type { Counted } from './hub-job.js';
import { allOwnLines, EDGES_BLOB, edgeRowsOf, ownLines, workBlob } from './work.js';

/** The documented way to list edge devices; the answer is a twin, which shows the device's scopes (facts §1.3). */
const EDGE_QUERY = 'SELECT * FROM devices WHERE capabilities.iotEdge = true';

export interface EdgeInput {
  readonly account: string;
  readonly host: string;
  readonly work: string;
  readonly pass: number;
  readonly wave: string;
  readonly partitions: number;
}

export interface ReadScopesInput extends EdgeInput {
  readonly targetSnapshot: string;
  /** The time to wait is over: ask for each device that is still unseen by its id. */
  readonly final: boolean;
}

/** An edge device this pass creates, and the parent it should get. */
interface Wanted {
  readonly id: string;
  readonly parent: string | null;
}

export function edgeActivities({ connections }: Deps) {
  return {
    /**
     * Notes which edge devices a query lists before a level is sent. Queries also list deleted devices for a while, so
     * what such an id shows afterwards cannot be trusted (facts §1.6).
     */
    async listEdges(input: EdgeInput): Promise<Counted<null>> {
      const hub = connections.hub(input.host);
      const storage = connections.storage(input.account);
      const writer = storage.writer(input.work, workBlob.edgesListed(input.pass, input.wave));
      for (const { id } of (await queriedEdges(hub)) ?? []) await writer.write(`${JSON.stringify(id)}\n`);
      await writer.close();
      return { value: null, calls: hub.takeCalls() };
    },

    /**
     * Reads back the scopes that the target gave to the edge devices of one level, and sees to it that each has its
     * parent: an import may ignore `parentScopes`, then the device is updated by REST, guarded by its ETag.
     *
     * @returns how many are not visible yet.
     */
    async readEdgeScopes(input: ReadScopesInput): Promise<Counted<{ unseen: number }>> {
      const hub = connections.hub(input.host);
      const storage = connections.storage(input.account);
      const wanted = await wantedEdges(storage, input);
      if (wanted.size === 0) return { value: { unseen: 0 }, calls: hub.takeCalls() };

      const ghosts = new Set(
        (await allOwnLines(storage, input.work, workBlob.edgesListed(input.pass, input.wave))).map(
          (line) => JSON.parse(line) as string,
        ),
      );
      const seen = new Map<string, EdgeRow>();
      const queried = await queriedEdges(hub);
      for (const row of queried ?? []) if (wanted.has(row.id) && !ghosts.has(row.id)) seen.set(row.id, row);
      for (const id of wanted.keys()) {
        if (seen.has(id) || !(ghosts.has(id) || input.final || queried === null)) continue;
        const device = await hub.getDevice(id);
        if (device) seen.set(id, rowOf(device));
      }
      const scopes = await parentScopes(storage, input);
      for (const row of seen.values()) {
        const parent = wanted.get(row.id)?.parent;
        const scope = parent ? scopes.get(parent) : undefined;
        if (scope && row.parentScope !== scope) await attach(hub, row.id, scope);
      }
      const writer = storage.writer(input.work, workBlob.edgesCreated(input.pass, input.wave));
      for (const row of seen.values()) await writer.write(`${JSON.stringify(row)}\n`);
      await writer.close();
      return { value: { unseen: wanted.size - seen.size }, calls: hub.takeCalls() };
    },
  };
}

/** The edge devices that a query lists, or null where the hub does not take the query. */
async function queriedEdges(hub: Hub): Promise<EdgeRow[] | null> {
  try {
    const rows: EdgeRow[] = [];
    for await (const page of edgePages(hub)) rows.push(...page);
    return rows;
  } catch (error) {
    if (error instanceof HubferryError && error.code === 'HUB_REFUSED') return null;
    throw error;
  }
}

async function* edgePages(hub: Hub): AsyncGenerator<EdgeRow[]> {
  for await (const page of hub.query(EDGE_QUERY)) {
    yield page.flatMap((twin) => {
      const { deviceId, deviceScope, parentScopes: parents } = twin;
      if (typeof deviceId !== 'string') return [];
      const parent = Array.isArray(parents) ? (parents[0] as unknown) : undefined;
      return [
        {
          id: deviceId,
          scope: typeof deviceScope === 'string' && deviceScope !== '' ? deviceScope : null,
          parentScope: typeof parent === 'string' ? parent : null,
          refused: null,
        },
      ];
    });
  }
}

function rowOf(device: DeviceIdentity): EdgeRow {
  return {
    id: device.deviceId,
    scope: device.deviceScope,
    parentScope: device.parentScopes[0] ?? null,
    refused: null,
  };
}

/** The level's planned edge devices, without those that the hub rejected. */
async function wantedEdges(storage: Storage, input: EdgeInput): Promise<Map<string, Wanted>> {
  const wanted = new Map<string, Wanted>();
  for (let partition = 0; partition < input.partitions; partition++) {
    for await (const batch of ownLines(
      storage,
      input.work,
      workBlob.changes(input.pass, partition, input.wave),
    )) {
      for (const text of batch) {
        const line = parseDesiredLine(text);
        if (line.kind === 'record')
          wanted.set(line.record.deviceId, { id: line.record.deviceId, parent: line.parent });
      }
    }
    for await (const { name } of storage.list(input.work, workBlob.rejected(partition))) {
      for (const text of await allOwnLines(storage, input.work, name)) {
        wanted.delete((JSON.parse(text) as { record: string }).record);
      }
    }
  }
  return wanted;
}

/** Scopes of all edge devices a child of this level can have as parent. */
async function parentScopes(storage: Storage, input: ReadScopesInput): Promise<Map<string, string>> {
  const rows = await edgeRowsOf(storage, input.targetSnapshot, EDGES_BLOB);
  for await (const { name } of storage.list(input.work, workBlob.edgesCreated(input.pass))) {
    rows.push(...(await edgeRowsOf(storage, input.work, name)));
  }
  return new Map(rows.flatMap(({ id, scope }) => (scope === null ? [] : [[id, scope] as const])));
}

/** Gives an edge device its parent. The update restates the whole identity, its own scope included (facts §6). */
async function attach(hub: Hub, id: string, scope: string): Promise<void> {
  const device = await hub.getDevice(id);
  if (device === null || device.parentScopes[0] === scope) return;
  if (device.etag === null)
    throw new HubferryError('HUB_REFUSED', `${hub.host} gave no ETag for device ${id}.`);
  await hub.putDevice({ ...device, parentScopes: [scope] }, device.etag);
}
