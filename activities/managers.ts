import { Context } from '@temporalio/activity';
import type { Hub, ModuleIdentity } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import { parseChange } from '../registry/change.js';
import { HubferryError } from '../registry/errors.js';
import { identityOfLine } from '../registry/line.js';
import { recordKey } from '../registry/record.js';
import type { Deps } from './deps.js';
import { patiently } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { type ChunkInput, chunkLines } from './import.js';
import { type Sampled, Sampler } from './transform.js';
import { allOwnLines, workBlob } from './work.js';

export interface ManagersInput extends ChunkInput {
  readonly host: string;
}

/** Who manages a module. */
interface Managed {
  readonly deviceId: string;
  readonly moduleId: string;
  readonly managedBy: string;
}

/** Tries of one update whose guard may have moved, and ms between them. */
const TRIES = 5;
const WAIT = 1_000;

/**
 * An import's line cannot carry `managedBy`, and may clear it (facts §6): who manages a module is read before its identity
 * is updated, and put back after.
 */
export function managersActivities({ connections }: Deps) {
  return {
    /** @returns modules of which the hub does not tell, such as those of disabled devices under SAS (facts §1.5). */
    async readManagers(input: ManagersInput): Promise<Counted<Sampled>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const writer = storage.writer(input.work, managersBlob(input));
      const unreadable = new Sampler();
      for await (const line of chunkLines(storage, input)) {
        const { deviceId, moduleId } = identityOfLine(parseChange(line).line);
        const module = await moduleOf(hub, deviceId, moduleId ?? '');
        if (module === null) unreadable.add(recordKey(deviceId, moduleId));
        else if (module.managedBy !== null)
          await writer.write(`${JSON.stringify({ deviceId, moduleId, managedBy: module.managedBy })}\n`);
      }
      await writer.close();
      return { value: unreadable.result(), calls: hub.takeCalls() };
    },

    /** @returns modules that could not be given back their manager. */
    async restoreManagers(input: ManagersInput): Promise<Counted<Sampled>> {
      const storage = connections.storage(input.account);
      const hub = connections.hub(input.host);
      const failed = new Sampler();
      for (const line of await allOwnLines(storage, input.work, managersBlob(input))) {
        const managed = JSON.parse(line) as Managed;
        if (!(await restore(hub, managed))) failed.add(recordKey(managed.deviceId, managed.moduleId));
      }
      return { value: failed.result(), calls: hub.takeCalls() };
    },
  };
}

const managersBlob = ({ pass, chunk }: ManagersInput): string =>
  workBlob.managers(pass, `${chunk.wave}-${chunk.number}`);

async function restore(hub: Hub, { deviceId, moduleId, managedBy }: Managed): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const module = await moduleOf(hub, deviceId, moduleId);
    if (module === null || module.etag === null) return false;
    if (module.managedBy === managedBy) return true;
    try {
      const { etag } = module;
      const body = JSON.stringify({ ...module, managedBy });
      await patiently(() => hub.putModule({ deviceId, moduleId }, body, etag));
      return true;
    } catch (error) {
      const status = error instanceof HubAnswerError ? error.status : null;
      if (status === 412 && tries < TRIES) {
        await Context.current().sleep(WAIT);
        continue;
      }
      if (status !== null && [400, 401, 404, 412].includes(status)) return false;
      throw error;
    }
  }
}

/** Null where there is none, or the hub does not let it be read. */
async function moduleOf(hub: Hub, deviceId: string, moduleId: string): Promise<ModuleIdentity | null> {
  try {
    return await patiently(() => hub.getModule(deviceId, moduleId));
  } catch (error) {
    if (error instanceof HubferryError && error.code === 'HUB_UNAUTHORIZED') return null;
    throw error;
  }
}
