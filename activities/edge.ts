import { Context } from '@temporalio/activity';
import type { Hub } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import type { Storage } from '../azure/storage.js';
import { parseChange } from '../registry/change.js';
import { mayBeThere } from '../registry/error-log.js';
import { ERRORS, HubferryError } from '../registry/errors.js';
import { parseDesiredLine } from '../registry/line.js';
import type { Rejected } from '../registry/refusal.js';
import type { EdgeRow } from '../registry/scopes.js';
import type { Deps } from './deps.js';
import { edgeById, patiently, queriedEdges } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { addEdges, allOwnLines, edgeRowsOf, ownLines, targetEdges, workBlob } from './work.js';

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

/** An edge device this pass creates or updates, and the parent it should get. */
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

      const created = workBlob.edgesCreated(input.pass, input.wave);
      // What an earlier attempt or look has read is not asked for again.
      const before = await edgeRowsOf(storage, input.work, created);
      const seen = new Map(before.map((row) => [row.id, row]));
      try {
        await see(hub, wanted, seen, await ghostsOf(storage, input), input.final);
        const onTarget = await targetEdges(storage, input);
        for (const row of seen.values()) {
          const parent = wanted.get(row.id)?.parent;
          const scope = parent ? onTarget.scopeOf(parent) : null;
          if (!scope || row.parentScope === scope) continue;
          if (await attach(hub, row.id, scope)) seen.set(row.id, { ...row, parentScope: scope });
        }
      } finally {
        await addEdges(storage, input.work, created, seen);
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
  const queried = wanted.size === seen.size ? [] : await queriedEdges(hub);
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
        const line = parseDesiredLine(parseChange(text).line);
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

/** Tries of one update whose guard may have moved, and ms between them. */
const ATTACH_TRIES = 5;
const ATTACH_WAIT = 1_000;

/**
 * Gives an edge device its parent. The update restates the whole identity, its own scope included (facts §6), guarded by
 * the ETag just read: after a lost reply, or somebody else's write, the device is read again.
 *
 * @returns false where the hub does not take it: verification will show that the parent differs.
 */
async function attach(hub: Hub, id: string, scope: string): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const device = await patiently(() => hub.getDevice(id));
    if (device === null || device.etag === null) return false;
    if (device.parentScopes[0] === scope) return true;
    try {
      await hub.putDevice({ ...device, parentScopes: [scope] }, device.etag);
      return true;
    } catch (error) {
      if (!(error instanceof HubferryError)) throw error;
      const status = error instanceof HubAnswerError ? error.status : null;
      if (tries < ATTACH_TRIES && (status === 412 || ERRORS[error.code].retryable)) {
        await Context.current().sleep(ATTACH_WAIT);
        continue;
      }
      if (status !== null && [400, 404, 409, 412].includes(status)) return false;
      throw error;
    }
  }
}
