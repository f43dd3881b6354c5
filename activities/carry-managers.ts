import { Context } from '@temporalio/activity';
import type { Hub, ModuleIdentity } from '../azure/hub.js';
import { HubAnswerError } from '../azure/hub-errors.js';
import type { Storage } from '../azure/storage.js';
import type { HubCalls } from '../registry/hub-calls.js';
import { managedValues } from '../registry/managed.js';
import type { Policy } from '../registry/policy.js';
import { comparePartition } from '../registry/reconcile.js';
import { recordKey } from '../registry/record.js';
import { EdgeTable } from '../registry/scopes.js';
import { configurationsOf } from './configurations.js';
import type { Deps } from './deps.js';
import { patiently } from './edge-scopes.js';
import { type Sampled, Sampler } from './sampler.js';
import { allOwnLines, allPartitionBytes, workBlob } from './work.js';

export interface CarryManagersInput {
  readonly account: string;
  readonly work: string;
  readonly source: string;
  readonly target: string;
  /** The newest comparison: only modules that it found to be as they should be are written to. */
  readonly pass: number;
  readonly partition: number;
  /** The first device of the partition that is due, counted from 0. */
  readonly from: number;
  readonly existing: Policy['existing'];
  /** The snapshot that holds the configurations of the target that were there before the first write. */
  readonly configurations: string;
}

export interface CarriedManagers {
  /** Where to go on; null at the end of the partition. */
  readonly next: number | null;
  readonly written: number;
  /** Modules of which a hub does not tell, or did not take, who manages them. */
  readonly unreadable: Sampled;
  /** Modules that somebody else manages on the target, and may go on to. */
  readonly kept: Sampled;
  readonly calls: { readonly source: HubCalls; readonly target: HubCalls };
}

/** Devices of one activity: four minutes of what one S1 unit takes (facts §5), so that little is done twice. */
const CHUNK = 200;

/** Devices under way at a time: a hub delays what is over its rate, so more would only wait there. */
const AT_A_TIME = 4;

/** Tries of one update whose guard may have moved, and ms between them. */
const TRIES = 5;
const WAIT = 1_000;

export function carryManagersActivities({ connections }: Deps) {
  return {
    /**
     * Carries who manages modules, which no export holds (facts §6): one call to either hub for each device with modules,
     * and one for each module that is managed otherwise. What is managed on the target is left, but under `overwrite`.
     */
    async carryManagers(input: CarryManagersInput): Promise<CarriedManagers> {
      const storage = connections.storage(input.account);
      const source = connections.hub(input.source);
      const target = connections.hub(input.target);
      const all = await modulesByDevice(storage, input);
      const due = all.slice(input.from, input.from + CHUNK);
      const carrier = new Carrier(source, target, input.existing);
      const devices = due.values();
      const work = async (): Promise<void> => {
        for (const device of devices) await carrier.carry(device);
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
      const next = input.from + due.length;
      return {
        next: next < all.length ? next : null,
        ...carrier.result(),
        calls: { source: source.takeCalls(), target: target.takeCalls() },
      };
    },
  };
}

/** A device with the modules that arrived. */
interface DeviceModules {
  readonly id: string;
  /** Its id on the source, where rules gave it another one. */
  readonly from: string;
  readonly modules: readonly string[];
}

async function modulesByDevice(storage: Storage, input: CarryManagersInput): Promise<DeviceModules[]> {
  const { work, pass, partition } = input;
  const desired = await allPartitionBytes(storage, work, workBlob.desired(partition));
  const actual = await allPartitionBytes(storage, work, workBlob.actual(pass, partition));
  const managed = managedValues(await configurationsOf(storage, input.configurations));
  const names = new Map<string, string>();
  for (const line of await allOwnLines(storage, work, workBlob.names(partition))) {
    const [id, from] = JSON.parse(line) as [string, string];
    names.set(id, from);
  }
  const devices = new Map<string, string[]>();
  // No module has a parent, by which alone edge devices would matter.
  for (const found of comparePartition({ desired, actual, actualEdges: EdgeTable.of([]), managed })) {
    if (found.kind !== 'equal' || found.record.moduleId === null) continue;
    const { deviceId, moduleId } = found.record;
    devices.set(deviceId, [...(devices.get(deviceId) ?? []), moduleId]);
  }
  return [...devices].map(([id, modules]) => ({ id, from: names.get(id) ?? id, modules }));
}

/** Carries managers from one hub to another. */
class Carrier {
  readonly #source: Hub;
  readonly #target: Hub;
  readonly #existing: Policy['existing'];
  readonly #unreadable = new Sampler();
  readonly #kept = new Sampler();
  #written = 0;

  constructor(source: Hub, target: Hub, existing: Policy['existing']) {
    this.#source = source;
    this.#target = target;
    this.#existing = existing;
  }

  result(): Pick<CarriedManagers, 'written' | 'unreadable' | 'kept'> {
    return { written: this.#written, unreadable: this.#unreadable.result(), kept: this.#kept.result() };
  }

  async carry({ id, from, modules }: DeviceModules): Promise<void> {
    const wanted = await modulesOf(this.#source, from);
    const actual = wanted === null ? null : await modulesOf(this.#target, id);
    for (const moduleId of modules) {
      const key = recordKey(id, moduleId);
      const source = wanted?.get(moduleId);
      const target = actual?.get(moduleId);
      if (source === undefined || target === undefined) this.#unreadable.add(key);
      else if (source.managedBy === target.managedBy) continue;
      else if (target.managedBy !== null && this.#existing !== 'overwrite') this.#kept.add(key);
      else if (await write(this.#target, target, source.managedBy)) this.#written += 1;
      else this.#unreadable.add(key);
    }
  }
}

/** The modules of a device by id; null where there is none, or the hub does not let them be read. */
async function modulesOf(hub: Hub, deviceId: string): Promise<Map<string, ModuleIdentity> | null> {
  try {
    const modules = await patiently(() => hub.listModules(deviceId));
    return modules && new Map(modules.map((module) => [module.moduleId, module]));
  } catch (error) {
    // Under SAS a hub tells nothing of the modules of a disabled device (facts §1.5).
    if (error instanceof HubAnswerError && error.status === 401) return null;
    throw error;
  }
}

/** @returns false where the hub does not take it, or somebody else writes at the same time. */
async function write(hub: Hub, module: ModuleIdentity, managedBy: string | null): Promise<boolean> {
  const { deviceId, moduleId, managedBy: before } = module;
  let now: ModuleIdentity | null = module;
  for (let tries = 1; now !== null && now.etag !== null; tries++) {
    const { etag, managedBy: _managedBy, ...rest } = now;
    const body = JSON.stringify({ ...rest, etag, ...(managedBy === null ? {} : { managedBy }) });
    try {
      await patiently(() => hub.putModule({ deviceId, moduleId }, body, etag));
      return true;
    } catch (error) {
      if (!(error instanceof HubAnswerError) || ![400, 401, 404, 412].includes(error.status)) throw error;
      if (error.status !== 412 || tries === TRIES) return false;
    }
    await Context.current().sleep(WAIT);
    // An earlier call whose reply was lost is our own.
    now = await patiently(() => hub.getModule(deviceId, moduleId));
    if (now?.managedBy === managedBy) return true;
    if (now?.managedBy !== before) return false;
  }
  return false;
}
