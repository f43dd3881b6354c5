import { metricMeter } from '@temporalio/activity';
import type { DeviceIdentity, Hub, ModuleIdentity } from '../azure/hub.js';
import { HubAnswerError, isFull } from '../azure/hub-errors.js';
import { readAuthentication } from '../registry/authentication.js';
import { type Change, parseChange, restBodies } from '../registry/change.js';
import { CREDENTIALS } from '../registry/compare.js';
import { explained, FULL } from '../registry/error-log.js';
import { withMembers } from '../registry/json-scan.js';
import { counted } from '../registry/metrics.js';
import { isJsonObject, type RegistryRecord } from '../registry/record.js';
import type { EdgeRow, EdgeTable } from '../registry/scopes.js';
import type { Deps } from './deps.js';
import { edgeById, patiently, whenVisible } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { type ChunkInput, chunkLines, Rejections } from './import.js';
import { NewKeys } from './new-keys.js';
import { addEdges, PARENT_MISSING, targetEdges, workBlob } from './work.js';

export interface ByRestInput extends ChunkInput {
  readonly host: string;
  readonly targetSnapshot: string;
  /** How long what was just made may stay invisible, and between two looks, ms. Left out: not at all. */
  readonly visible?: number;
  readonly poll?: number;
}

/** Calls under way at a time: a hub delays what is over its rate, so more would only wait there. */
const AT_A_TIME = 4;

/** What a call that was answered says about the record: it was not taken, with the service's code. */
const NOT_TAKEN = new Set([400, 404, 409, 412, 413]);

/** What a hub answers about something that is not visible yet, and about the modules of such a device. */
const INVISIBLE: ReadonlySet<number> = new Set([404]);
const INVISIBLE_DEVICE: ReadonlySet<number> = new Set([401, 404]);

export function byRestActivities({ connections }: Deps) {
  return {
    /**
     * Sends the changes of one chunk record by record, where an import did not take them as they were meant. Each call is
     * guarded, so that another attempt does no harm: what an earlier one did shows as a rejection of a record that is equal.
     */
    async sendByRest(input: ByRestInput): Promise<Counted<{ rejected: number }>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const sender = new Sender(hub, await targetEdges(storage, input), input);
      const keys = new NewKeys(storage, input.work);
      const rejections = new Rejections(storage, input, 'rest');
      const lines = chunkLines(storage, input)[Symbol.asyncIterator]();
      const work = async (): Promise<void> => {
        for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
          const change = await keys.filled(parseChange(next.value));
          const { code, reason } = (await sender.send(change)) ?? {};
          if (code !== undefined && reason !== undefined) rejections.add(next.value, code, reason);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
      const created = workBlob.edgesCreated(input.pass, input.chunk.wave);
      if (sender.edges.size > 0) await addEdges(storage, input.work, created, sender.edges);
      counted(metricMeter, 'hubferry_records', input.chunk.lines, { stage: 'send' });
      return { value: { rejected: await rejections.close() }, calls: hub.takeCalls() };
    },
  };
}

interface NotTaken {
  readonly code: string;
  readonly reason: string;
}

/** Sends changes to one hub, each by calls of its own. */
class Sender {
  readonly #hub: Hub;
  readonly #onTarget: EdgeTable;
  readonly #visible: number;
  readonly #poll: number;
  /** What was made before must be visible then, ms since 1970. */
  readonly #visibleAt: number;
  /** The hub has refused a single record for want of room, so that it would refuse all others. */
  #full = false;
  /** Edge devices that are there now. */
  readonly edges = new Map<string, EdgeRow>();

  constructor(hub: Hub, onTarget: EdgeTable, { visible = 0, poll = 0 }: ByRestInput) {
    this.#hub = hub;
    this.#onTarget = onTarget;
    this.#visible = visible;
    this.#poll = poll;
    this.#visibleAt = Date.now() + visible;
  }

  /** @returns why the hub did not take it, or null. */
  async send(change: Change): Promise<NotTaken | null> {
    try {
      switch (change.part) {
        case 'create':
          return this.#full ? explained(FULL) : await this.#create(change);
        case 'twin': {
          const { record, twin } = restBodies(change);
          await patiently(() => this.#hub.putTwin(record, twin, change.eTag ?? ''));
          return null;
        }
        case 'identity':
          return await this.#putIdentity(change);
        default:
          return explained('InvalidOperation');
      }
    } catch (error) {
      if (!(error instanceof HubAnswerError)) throw error;
      this.#full ||= change.part === 'create' && isFull(error);
      // Under SAS a hub does not let the modules of a disabled device be touched (facts §1.5).
      if (NOT_TAKEN.has(error.status) || isFull(error) || (error.status === 401 && change.part !== 'twin'))
        return explained(error.serviceCode ?? String(error.status));
      throw error;
    }
  }

  async #create(change: Change): Promise<NotTaken | null> {
    const { parent } = restBodies(change);
    const scope = parent === null ? null : this.#onTarget.scopeOf(parent);
    if (parent !== null && scope === null) return parentMissing(parent);
    const { record, identity, twin } = restBodies(change, scope);
    const { deviceId, moduleId } = record;
    let ifMatch = '*';
    try {
      if (moduleId === null) await patiently(() => this.#hub.createDevice(deviceId, identity));
      else await this.#createModule({ deviceId, moduleId }, identity);
    } catch (error) {
      if (!(error instanceof HubAnswerError) || error.status !== 409) throw error;
      // It is there: by a call of ours whose reply was lost, which left its twin empty, or by somebody else's.
      const theirs = await patiently(() => this.#hub.getTwin(deviceId, moduleId ?? undefined));
      const ours = theirs !== null && isFresh(theirs) && (await this.#hasCredentials(record));
      if (!ours && record.iotEdge) await this.#note(deviceId);
      if (!ours || typeof theirs['etag'] !== 'string') throw error;
      ifMatch = theirs['etag'];
    }
    if (record.iotEdge) await this.#note(deviceId);
    if (twin === EMPTY_TWIN) return null;
    const made = { at: Date.now() + this.#visible, poll: this.#poll };
    await whenVisible(made, INVISIBLE, () => this.#hub.putTwin({ deviceId, moduleId }, twin, ifMatch));
    return null;
  }

  /** Whether what the hub has under the id of a record has its credentials. */
  async #hasCredentials({ deviceId, moduleId, authentication }: RegistryRecord): Promise<boolean> {
    const look = (): Promise<DeviceIdentity | ModuleIdentity | null> =>
      moduleId === null ? this.#hub.getDevice(deviceId) : this.#hub.getModule(deviceId, moduleId);
    const identity = await patiently(look);
    const theirs = readAuthentication(identity?.authentication ?? {})?.read;
    return (
      theirs?.type === authentication?.type &&
      CREDENTIALS.every(
        (name) => (authentication?.[name] ?? null) === null || authentication?.[name] === theirs?.[name],
      )
    );
  }

  /** Notes an edge device, below which others can hang now. */
  async #note(deviceId: string): Promise<void> {
    const row = await edgeById(this.#hub, deviceId);
    if (row !== null) this.edges.set(deviceId, row);
  }

  /** Its device was made before. */
  async #createModule(id: { deviceId: string; moduleId: string }, identity: string): Promise<void> {
    const before = { at: this.#visibleAt, poll: this.#poll };
    await whenVisible(before, INVISIBLE_DEVICE, () => this.#hub.putModule(id, identity, null));
  }

  #putIdentity(change: Change): Promise<NotTaken | null> {
    const { record, parent, identity } = restBodies(change);
    const { deviceId, moduleId } = record;
    return moduleId === null
      ? this.#attachLeaf(deviceId, parent, change)
      : this.#putModule({ deviceId, moduleId }, identity, change);
  }

  /** A module's credentials; who manages it stays. */
  async #putModule(
    id: { readonly deviceId: string; readonly moduleId: string },
    identity: string,
    { eTag }: Change,
  ): Promise<NotTaken | null> {
    const module = await patiently(() => this.#hub.getModule(id.deviceId, id.moduleId));
    if (module === null) return explained('ModuleNotFound');
    if (eTag === null || module.etag !== eTag) return explained('PreconditionFailed');
    const { managedBy } = module;
    const body =
      managedBy === null ? identity : withMembers(identity, { managedBy: JSON.stringify(managedBy) });
    await patiently(() => this.#hub.putModule(id, body ?? identity, eTag));
    return null;
  }

  /** Gives a leaf device the parent that an import ignored. */
  async #attachLeaf(deviceId: string, parent: string | null, { eTag }: Change): Promise<NotTaken | null> {
    const scope = parent === null ? null : this.#onTarget.scopeOf(parent);
    if (parent !== null && scope === null) return parentMissing(parent);
    const device = await patiently(() => this.#hub.getDevice(deviceId));
    if (device === null) return explained('DeviceNotFound');
    if (device.etag === null || device.etag !== eTag) return explained('PreconditionFailed');
    await patiently(() =>
      this.#hub.putDevice({ ...device, deviceScope: scope, parentScopes: [] }, device.etag ?? ''),
    );
    return null;
  }
}

const parentMissing = (parent: string): NotTaken => ({
  code: PARENT_MISSING,
  reason: `its parent ${parent} is not on the target`,
});

const EMPTY_TWIN = '{"tags":{},"properties":{"desired":{}}}';

/** A twin in which nobody has written yet. */
function isFresh({ tags, properties }: Readonly<Record<string, unknown>>): boolean {
  const desired = isJsonObject(properties) ? properties['desired'] : {};
  const names = [tags, desired].flatMap((part) => (isJsonObject(part) ? Object.keys(part) : []));
  return names.every((name) => name.startsWith('$'));
}
