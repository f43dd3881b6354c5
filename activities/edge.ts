import type { Hub } from '../azure/hub.js';
import type { Storage } from '../azure/storage.js';
import { mayBeThere } from '../registry/error-log.js';
import { HubferryError } from '../registry/errors.js';
import { parseDesiredLine } from '../registry/line.js';
import type { Rejected } from '../registry/refusal.js';
import type { EdgeRow } from '../registry/scopes.js';
import type { Deps } from './deps.js';
import { edgeById, patiently, queriedEdges } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { allOwnLines, EDGES_BLOB, edgeRowsOf, ownLines, workBlob } from './work.js';

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
  /** The hub rejected its line, for a reason that does not say that it is not there. */
  readonly doubtful: boolean;
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
      for (const { id } of (await patiently(() => queriedEdges(hub))) ?? [])
        await writer.write(`${JSON.stringify(id)}\n`);
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

      const created = workBlob.edgesCreated(input.pass, input.wave);
      // What an earlier attempt or look has read is not asked for again.
      const before = await edgeRowsOf(storage, input.work, created);
      const seen = new Map(before.map((row) => [row.id, row]));
      try {
        await see(hub, wanted, seen, await ghostsOf(storage, input), input.final);
        const scopes = await parentScopes(storage, input);
        for (const row of seen.values()) {
          const parent = wanted.get(row.id)?.parent;
          const scope = parent ? scopes.get(parent) : undefined;
          if (!scope || row.parentScope === scope) continue;
          await attach(hub, row.id, scope);
          seen.set(row.id, { ...row, parentScope: scope });
        }
      } finally {
        const writer = storage.writer(input.work, created);
        for (const row of seen.values()) await writer.write(`${JSON.stringify(row)}\n`);
        await writer.close();
      }
      return { value: { unseen: wanted.size - seen.size }, calls: hub.takeCalls() };
    },
  };
}

/** Adds what the hub shows of the wanted edge devices: by query, and by id where a query cannot tell. */
async function see(
  hub: Hub,
  wanted: ReadonlyMap<string, Wanted>,
  seen: Map<string, EdgeRow>,
  ghosts: ReadonlySet<string>,
  final: boolean,
): Promise<void> {
  const queried = wanted.size === seen.size ? [] : await patiently(() => queriedEdges(hub));
  for (const row of queried ?? []) if (wanted.has(row.id) && !ghosts.has(row.id)) seen.set(row.id, row);
  for (const { id, doubtful } of wanted.values()) {
    if (seen.has(id) || !(ghosts.has(id) || doubtful || final || queried === null)) continue;
    const row = await edgeById(hub, id);
    if (row) seen.set(id, row);
  }
}

/** Ids that a query listed before the level was sent. */
async function ghostsOf(storage: Storage, input: EdgeInput): Promise<Set<string>> {
  const lines = await allOwnLines(storage, input.work, workBlob.edgesListed(input.pass, input.wave));
  return new Set(lines.map((line) => JSON.parse(line) as string));
}

/**
 * The level's planned edge devices, without those that the hub will not take. One that was rejected because it exists,
 * or is not visible yet, may be there all the same: its children must not be lost for that.
 */
async function wantedEdges(storage: Storage, input: EdgeInput): Promise<Map<string, Wanted>> {
  const wanted = new Map<string, Wanted>();
  for (let partition = 0; partition < input.partitions; partition++) {
    const changes = workBlob.changes(input.pass, partition, input.wave);
    for await (const batch of ownLines(storage, input.work, changes)) {
      for (const text of batch) {
        const line = parseDesiredLine(text);
        if (line.kind !== 'record') continue;
        const { deviceId: id } = line.record;
        wanted.set(id, { id, parent: line.parent, doubtful: false });
      }
    }
    for await (const { name } of storage.list(input.work, workBlob.rejected(input.pass, partition))) {
      for (const text of await allOwnLines(storage, input.work, name)) {
        const { record, code } = JSON.parse(text) as Rejected;
        const edge = wanted.get(record);
        if (edge && mayBeThere(code)) wanted.set(record, { ...edge, doubtful: true });
        else wanted.delete(record);
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
  const device = await patiently(() => hub.getDevice(id));
  if (device === null || device.parentScopes[0] === scope) return;
  if (device.etag === null)
    throw new HubferryError('HUB_REFUSED', `${hub.host} gave no ETag for device ${id}.`);
  const { etag } = device;
  await patiently(() => hub.putDevice({ ...device, parentScopes: [scope] }, etag));
}
