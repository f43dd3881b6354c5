import { metricMeter } from '@temporalio/activity';
import type { Hub } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import { type Change, parseChange, restBodies } from '../registry/change.js';
import { explained } from '../registry/error-log.js';
import { counted } from '../registry/metrics.js';
import { isJsonObject } from '../registry/record.js';
import type { EdgeTable } from '../registry/scopes.js';
import type { Deps } from './deps.js';
import { patiently } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { type ChunkInput, chunkLines, Rejections } from './import.js';
import { NewKeys } from './new-keys.js';
import { PARENT_MISSING, targetEdges } from './work.js';

export interface ByRestInput extends ChunkInput {
  readonly host: string;
  readonly targetSnapshot: string;
}

/** Calls under way at a time: a hub delays what is over its rate, so more would only wait there. */
const AT_A_TIME = 4;

/** What a call that was answered says about the record: it was not taken, with the service's code. */
const NOT_TAKEN = new Set([400, 404, 409, 412, 413]);

export function byRestActivities({ connections }: Deps) {
  return {
    /**
     * Sends the changes of one chunk record by record, where an import did not take them as they were meant. Each call is
     * guarded, so that another attempt does no harm: what an earlier one did shows as a rejection of a record that is equal.
     */
    async sendByRest(input: ByRestInput): Promise<Counted<{ rejected: number }>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const onTarget = await targetEdges(storage, input);
      const keys = new NewKeys(storage, input.work);
      const rejections = new Rejections(storage, input, 'rest');
      const lines = chunkLines(storage, input)[Symbol.asyncIterator]();
      const work = async (): Promise<void> => {
        for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
          const change = await keys.filled(parseChange(next.value));
          const { code, reason } = (await send(hub, change, onTarget)) ?? {};
          if (code !== undefined && reason !== undefined) rejections.add(next.value, code, reason);
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
      counted(metricMeter, 'hubferry_records', input.chunk.lines, { stage: 'send' });
      return { value: { rejected: await rejections.close() }, calls: hub.takeCalls() };
    },
  };
}

interface NotTaken {
  readonly code: string;
  readonly reason: string;
}

/** @returns why the hub did not take it, or null. */
async function send(hub: Hub, change: Change, onTarget: EdgeTable): Promise<NotTaken | null> {
  try {
    switch (change.part) {
      case 'create':
        return await createModule(hub, change);
      case 'twin': {
        const { record, twin } = restBodies(change);
        await patiently(() => hub.putTwin(record, twin, change.eTag ?? ''));
        return null;
      }
      case 'identity':
        return await attachLeaf(hub, change, onTarget);
      default:
        return explained('InvalidOperation');
    }
  } catch (error) {
    if (!(error instanceof HubAnswerError)) throw error;
    // Under SAS a hub does not let the modules of a disabled device be touched (facts §1.5).
    if (NOT_TAKEN.has(error.status) || (error.status === 401 && change.part === 'create'))
      return explained(error.serviceCode ?? String(error.status));
    throw error;
  }
}

async function createModule(hub: Hub, change: Change): Promise<NotTaken | null> {
  const { record, identity, twin } = restBodies(change);
  const { deviceId, moduleId } = record;
  if (moduleId === null) return explained('InvalidOperation');
  const ids = { deviceId, moduleId };
  let ifMatch = '*';
  try {
    await patiently(() => hub.putModule(ids, identity, null));
  } catch (error) {
    if (!(error instanceof HubAnswerError) || error.status !== 409) throw error;
    // It is there: by a call of ours whose reply was lost, which left its twin empty, or by somebody else's.
    const theirs = await patiently(() => hub.getTwin(deviceId, moduleId));
    const fresh = theirs !== null && isFresh(theirs);
    if (!fresh || typeof theirs['etag'] !== 'string') throw error;
    ifMatch = theirs['etag'];
  }
  if (twin !== EMPTY_TWIN) await patiently(() => hub.putTwin(ids, twin, ifMatch));
  return null;
}

const EMPTY_TWIN = '{"tags":{},"properties":{"desired":{}}}';

/** A twin in which nobody has written yet. */
function isFresh({ tags, properties }: Readonly<Record<string, unknown>>): boolean {
  const desired = isJsonObject(properties) ? properties['desired'] : {};
  const names = [tags, desired].flatMap((part) => (isJsonObject(part) ? Object.keys(part) : []));
  return names.every((name) => name.startsWith('$'));
}

/** Gives a leaf device the parent that an import ignored. */
async function attachLeaf(hub: Hub, change: Change, onTarget: EdgeTable): Promise<NotTaken | null> {
  const { record, parent } = restBodies(change);
  const scope = parent === null ? null : onTarget.scopeOf(parent);
  if (parent !== null && scope === null)
    return { code: PARENT_MISSING, reason: `its parent ${parent} is not on the target` };
  const device = await patiently(() => hub.getDevice(record.deviceId));
  if (device === null) return explained('DeviceNotFound');
  if (device.etag === null || device.etag !== change.eTag) return explained('PreconditionFailed');
  await patiently(() =>
    hub.putDevice({ ...device, deviceScope: scope, parentScopes: [] }, device.etag ?? ''),
  );
  return null;
}
