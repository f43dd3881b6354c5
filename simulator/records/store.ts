import type { SimulatedClock } from '../clock.js';
import { ServiceError } from '../errors.js';
import type { Prng } from '../prng.js';
import type { HubSettings } from '../settings.js';
import {
  type DeviceRecord,
  isModule,
  type ModuleRecord,
  type StoredRecord,
  systemModuleIds,
} from './records.js';
import { type View, Visibility, type WriteGroup } from './visibility.js';

/** Modules that one device may have (§5), besides its system modules: a deployment alone may have as many. */
export const modulesPerDevice = 50;

/** Key of a record in maps: device ids cannot contain a slash. */
export function recordKey(deviceId: string, moduleId?: string): string {
  return moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`;
}

/**
 * The records of one hub, what the service mints for them, and the counts. It knows no rules of REST or imports;
 * records in it are replaced, never changed.
 */
export class RegistryStore {
  readonly #devices = new Map<string, DeviceRecord>();
  readonly #modules = new Map<string, Map<string, ModuleRecord>>();
  #moduleCount = 0;
  #disabled = 0;
  #etag: number;
  #generation: number;
  readonly #generationPrefix: string;
  readonly visibility: Visibility;
  /**
   * Told after each write by REST or an import, not of loads and deletions: configurations act on what was written.
   * Undefined while there are none, so that a hub without them pays nothing. It may write itself.
   */
  onWrite: ((record: StoredRecord, group: WriteGroup | undefined) => void) | undefined;

  constructor(
    readonly settings: Readonly<HubSettings>,
    readonly random: Prng,
    readonly clock: SimulatedClock,
  ) {
    this.#etag = 100_000_000 + random.below(800_000_000);
    // Hubs mint generation ids of their own: a scope of one hub must never fit another by accident.
    this.#generationPrefix = `63${String(random.below(1e6)).padStart(6, '0')}`;
    this.#generation = random.below(1e9);
    this.visibility = new Visibility(settings, clock.now);
  }

  // ----- what the service mints

  mintEtag(): number {
    return this.#etag++;
  }

  /** 18 digits, like the service's. */
  mintGenerationId(): string {
    return `${this.#generationPrefix}${String(this.#generation++).padStart(10, '0')}`;
  }

  /** Base64 of 32 bytes. */
  mintKey(): string {
    return this.random.bytes(32).toString('base64');
  }

  // ----- reading

  get deviceCount(): number {
    return this.#devices.size;
  }
  get moduleCount(): number {
    return this.#moduleCount;
  }

  /** The record as it is now. */
  device(deviceId: string): DeviceRecord | undefined {
    return this.#devices.get(deviceId);
  }
  /** The record as it is now. */
  module(deviceId: string, moduleId: string): ModuleRecord | undefined {
    return this.#modules.get(deviceId)?.get(moduleId);
  }

  /** The record as `view` shows it. */
  seeDevice(deviceId: string, view: View): DeviceRecord | undefined {
    return this.visibility.see(deviceId, this.#devices.get(deviceId), view);
  }
  /** The record as `view` shows it. */
  seeModule(deviceId: string, moduleId: string, view: View): ModuleRecord | undefined {
    return this.visibility.see(recordKey(deviceId, moduleId), this.module(deviceId, moduleId), view);
  }

  /** Devices in the order of their creation, then ghosts. */
  *seeDevices(view: View): Iterable<DeviceRecord> {
    for (const device of this.#devices.values()) {
      const seen = this.visibility.see(device.deviceId, device, view);
      if (seen !== undefined) yield seen;
    }
    for (const deviceId of this.visibility.devices()) {
      const ghost = this.#devices.has(deviceId) ? undefined : this.seeDevice(deviceId, view);
      if (ghost !== undefined) yield ghost;
    }
  }

  /** Modules of one device, system modules included. */
  *seeModulesOf(deviceId: string, view: View): Iterable<ModuleRecord> {
    for (const module of this.#modules.get(deviceId)?.values() ?? []) {
      const seen = this.visibility.see(recordKey(deviceId, module.moduleId), module, view);
      if (seen !== undefined) yield seen;
    }
    for (const key of this.visibility.deletedModules(deviceId)) {
      const moduleId = key.slice(deviceId.length + 1);
      const there = this.module(deviceId, moduleId) !== undefined;
      const ghost = there ? undefined : this.seeModule(deviceId, moduleId, view);
      if (ghost !== undefined) yield ghost;
    }
  }

  /** Every record, each device followed by its modules. */
  *seeAll(view: View): Iterable<StoredRecord> {
    for (const device of this.seeDevices(view)) {
      yield device;
      yield* this.seeModulesOf(device.deviceId, view);
    }
  }

  /** How many devices `view` shows, and how many of them are disabled. */
  seeCounts(view: View): { readonly devices: number; readonly disabled: number } {
    let devices = this.#devices.size;
    let disabled = this.#disabled;
    for (const deviceId of this.visibility.devices()) {
      const now = this.#devices.get(deviceId);
      const seen = this.visibility.see(deviceId, now, view);
      devices += (seen === undefined ? 0 : 1) - (now === undefined ? 0 : 1);
      disabled += (seen?.enabled === false ? 1 : 0) - (now?.enabled === false ? 1 : 0);
    }
    return { devices, disabled };
  }

  /** Every record as `view` shows it, as an array: later writes do not change it. */
  snapshot(view: View): StoredRecord[] {
    return [...this.seeAll(view)];
  }

  // ----- writing

  /**
   * Adds or replaces a device.
   * @param group the import job that writes; left out for REST.
   * @throws {ServiceError} IotHubQuotaExceeded when a new one does not fit.
   */
  setDevice(device: DeviceRecord, group?: WriteGroup): void {
    const before = this.#devices.get(device.deviceId);
    if (before === undefined) this.#checkRoom(group);
    this.visibility.noteWrite(device.deviceId, before, device, group);
    this.#placeDevice(device);
    this.onWrite?.(device, group);
  }

  /**
   * Adds or replaces a module; its device must exist. System modules always fit.
   * @throws {ServiceError} IotHubQuotaExceeded, TooManyModulesOnDevice when a new one does not fit.
   */
  setModule(module: ModuleRecord, group?: WriteGroup): void {
    const modules = this.#modules.get(module.deviceId);
    const before = modules?.get(module.moduleId);
    // System modules come with their edge device, which must not be left half made.
    if (before === undefined && !module.moduleId.startsWith('$')) {
      this.#checkRoom(group);
      if (modules !== undefined && customModules(modules) >= modulesPerDevice) {
        throw new ServiceError('TooManyModulesOnDevice', `A device has at most ${modulesPerDevice} modules.`);
      }
    }
    this.visibility.noteWrite(recordKey(module.deviceId, module.moduleId), before, module, group);
    this.#placeModule(module);
    this.onWrite?.(module, group);
  }

  /**
   * Adds or replaces a record as it is, limits or not, for every view at once. What the hub mints later stays clear of
   * what the record has.
   */
  put(record: StoredRecord): void {
    this.#etag = Math.max(this.#etag, record.etag + 1);
    if (record.generationId.startsWith(this.#generationPrefix)) {
      const number = Number(record.generationId.slice(this.#generationPrefix.length));
      if (Number.isSafeInteger(number)) this.#generation = Math.max(this.#generation, number + 1);
    }
    if (isModule(record)) {
      this.visibility.forget(recordKey(record.deviceId, record.moduleId));
      this.#placeModule(record);
    } else {
      this.visibility.forget(record.deviceId);
      this.#placeDevice(record);
    }
  }

  /** Removes a device and its modules. */
  removeDevice(deviceId: string, group?: WriteGroup): void {
    const device = this.#devices.get(deviceId);
    if (device === undefined) return;
    for (const moduleId of Array.from(this.#modules.get(deviceId)?.keys() ?? [])) {
      this.removeModule(deviceId, moduleId, group);
    }
    this.visibility.noteWrite(deviceId, device, undefined, group);
    if (!device.enabled) this.#disabled--;
    this.#devices.delete(deviceId);
  }

  removeModule(deviceId: string, moduleId: string, group?: WriteGroup): void {
    const modules = this.#modules.get(deviceId);
    const module = modules?.get(moduleId);
    if (modules === undefined || module === undefined) return;
    this.visibility.noteWrite(recordKey(deviceId, moduleId), module, undefined, group);
    modules.delete(moduleId);
    if (modules.size === 0) this.#modules.delete(deviceId);
    this.#moduleCount--;
  }

  /** Forgets everything, at once and for every view. */
  clear(): void {
    this.#devices.clear();
    this.#modules.clear();
    this.visibility.forget();
    this.#moduleCount = 0;
    this.#disabled = 0;
  }

  #placeDevice(device: DeviceRecord): void {
    if (this.#devices.get(device.deviceId)?.enabled === false) this.#disabled--;
    if (!device.enabled) this.#disabled++;
    this.#devices.set(device.deviceId, device);
  }

  #placeModule(module: ModuleRecord): void {
    let modules = this.#modules.get(module.deviceId);
    if (modules === undefined) {
      modules = new Map();
      this.#modules.set(module.deviceId, modules);
    }
    if (!modules.has(module.moduleId)) this.#moduleCount++;
    modules.set(module.moduleId, module);
  }

  /** Imports may be told that the hub is full a little before it is (§3.1). */
  #checkRoom(group: WriteGroup | undefined): void {
    const { maxRecords, importQuotaMargin } = this.settings;
    const room = group === undefined ? maxRecords : maxRecords - importQuotaMargin;
    if (this.#devices.size + this.#moduleCount < room) return;
    throw new ServiceError(
      'IotHubQuotaExceeded',
      'Total number of devices on IotHub exceeded the allocated quota.',
    );
  }
}

function customModules(modules: ReadonlyMap<string, ModuleRecord>): number {
  const system = systemModuleIds.filter((moduleId) => modules.has(moduleId)).length;
  return modules.size - system;
}
