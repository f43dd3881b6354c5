import type { SimulatedClock } from '../clock.js';
import { ServiceError } from '../errors.js';
import type { Prng } from '../prng.js';
import type { HubSettings } from '../settings.js';
import { type DeviceRecord, isModule, type ModuleRecord, type StoredRecord } from './records.js';
import { type View, Visibility, type WriteGroup } from './visibility.js';

/** Modules that one device may have (§5). */
const modulesPerDevice = 50;

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
  get disabledCount(): number {
    return this.#disabled;
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
    for (const ghost of this.visibility.ghosts(view, (key) => !this.#devices.has(key))) {
      if (!isModule(ghost)) yield ghost;
    }
  }

  /** Modules of one device, system modules included. */
  *seeModulesOf(deviceId: string, view: View): Iterable<ModuleRecord> {
    for (const module of this.#modules.get(deviceId)?.values() ?? []) {
      const seen = this.visibility.see(recordKey(deviceId, module.moduleId), module, view);
      if (seen !== undefined) yield seen;
    }
    if (this.visibility.settled) return;
    const gone = (key: string): boolean => !this.#hasKey(key);
    for (const ghost of this.visibility.ghosts(view, gone)) {
      if (isModule(ghost) && ghost.deviceId === deviceId) yield ghost;
    }
  }

  /** Every record, each device followed by its modules. */
  *seeAll(view: View): Iterable<StoredRecord> {
    for (const device of this.seeDevices(view)) {
      yield device;
      yield* this.seeModulesOf(device.deviceId, view);
    }
  }

  /** Every record as it is now, as an array: later writes do not change it. */
  snapshot(view: View): StoredRecord[] {
    return [...this.seeAll(view)];
  }

  // ----- writing

  /**
   * Adds or replaces a device.
   * @throws {ServiceError} IotHubQuotaExceeded when a new one does not fit.
   */
  setDevice(device: DeviceRecord, group?: WriteGroup): void {
    const before = this.#devices.get(device.deviceId);
    if (before === undefined) this.#checkRoom();
    this.visibility.noteWrite(device.deviceId, before, group ?? this.#restGroup());
    if (before?.enabled === false) this.#disabled--;
    if (!device.enabled) this.#disabled++;
    this.#devices.set(device.deviceId, device);
  }

  /**
   * Adds or replaces a module; its device must exist. System modules always fit.
   * @throws {ServiceError} IotHubQuotaExceeded, TooManyModulesOnDevice when a new one does not fit.
   */
  setModule(module: ModuleRecord, group?: WriteGroup): void {
    let modules = this.#modules.get(module.deviceId);
    const before = modules?.get(module.moduleId);
    if (before === undefined) {
      // System modules come with their edge device, which must not be left half made.
      if (!module.moduleId.startsWith('$')) {
        this.#checkRoom();
        if (modules !== undefined && modules.size >= modulesPerDevice) {
          throw new ServiceError(
            'TooManyModulesOnDevice',
            `A device has at most ${modulesPerDevice} modules.`,
          );
        }
      }
      this.#moduleCount++;
    }
    this.visibility.noteWrite(
      recordKey(module.deviceId, module.moduleId),
      before,
      group ?? this.#restGroup(),
    );
    if (modules === undefined) {
      modules = new Map();
      this.#modules.set(module.deviceId, modules);
    }
    modules.set(module.moduleId, module);
  }

  /** Removes a device and its modules. */
  removeDevice(deviceId: string, group?: WriteGroup): void {
    const device = this.#devices.get(deviceId);
    if (device === undefined) return;
    const writeGroup = group ?? this.#restGroup();
    for (const moduleId of Array.from(this.#modules.get(deviceId)?.keys() ?? [])) {
      this.removeModule(deviceId, moduleId, writeGroup);
    }
    this.visibility.noteWrite(deviceId, device, writeGroup);
    if (!device.enabled) this.#disabled--;
    this.#devices.delete(deviceId);
  }

  removeModule(deviceId: string, moduleId: string, group?: WriteGroup): void {
    const modules = this.#modules.get(deviceId);
    const module = modules?.get(moduleId);
    if (modules === undefined || module === undefined) return;
    this.visibility.noteWrite(recordKey(deviceId, moduleId), module, group ?? this.#restGroup());
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

  #restGroup(): WriteGroup {
    return { fromJob: false, finishedAt: this.clock.now() };
  }

  #hasKey(key: string): boolean {
    const slash = key.indexOf('/');
    if (slash === -1) return this.#devices.has(key);
    return this.module(key.slice(0, slash), key.slice(slash + 1)) !== undefined;
  }

  #checkRoom(): void {
    if (this.#devices.size + this.#moduleCount < this.settings.maxRecords) return;
    throw new ServiceError(
      'IotHubQuotaExceeded',
      'Total number of devices on IotHub exceeded the allocated quota.',
    );
  }
}
