import { ServiceError } from '../errors.js';
import { isObject, type JsonObject } from '../json.js';
import { freshTwin, type ModuleRecord, systemModuleIds, type Twin } from '../records/records.js';
import { modulesPerDevice, type RegistryStore } from '../records/store.js';
import { changeTwin } from '../records/twins.js';
import type { WriteGroup } from '../records/visibility.js';
import type { DesiredSetting, EdgeContent } from './content.js';
import { withSettings } from './desired.js';

/**
 * Writes the deployments of an edge device to the twins of its modules: a base one, and layers on top by rising
 * priority; or what applyConfigurationContent sends. Modules that it names are made, managed by iotEdge and without
 * authentication; those that an earlier one made and this one does not name are removed (§6, §8).
 * @throws {ServiceError} ArgumentInvalid when a twin breaks a limit, TooManyModulesOnDevice, IotHubQuotaExceeded;
 * nothing was changed then.
 */
export function applyManifest(
  store: RegistryStore,
  deviceId: string,
  contents: readonly EdgeContent[],
  group?: WriteGroup,
): void {
  const before = new Map<string, ModuleRecord>();
  for (const module of store.seeModulesOf(deviceId, 'now')) before.set(module.moduleId, module);
  const settings = stack(contents);
  const twins = new Map<string, Twin>();
  for (const [moduleId, ofModule] of settings) {
    const twin = before.get(moduleId)?.twin ?? freshTwin;
    twins.set(moduleId, deployedTwin(twin, ofModule, store.clock.now()));
  }
  for (const moduleId of modulesToRun(twins.get('$edgeAgent'))) {
    if (!twins.has(moduleId)) twins.set(moduleId, before.get(moduleId)?.twin ?? freshTwin);
  }
  const obsolete = [...before.values()].filter((module) => isDeployed(module) && !twins.has(module.moduleId));
  const added = [...twins.keys()].filter((moduleId) => !before.has(moduleId));
  checkRoom(store, before, obsolete.length, added, group);
  for (const { moduleId } of obsolete) store.removeModule(deviceId, moduleId, group);
  for (const [moduleId, twin] of twins) {
    const module = before.get(moduleId) ?? newModule(store, deviceId, moduleId);
    if (!before.has(moduleId) || twin !== module.twin) store.setModule({ ...module, twin }, group);
  }
}

/** Settings of all contents per module; a later content that sets all of a twin hides the earlier ones. */
function stack(contents: readonly EdgeContent[]): Map<string, DesiredSetting[]> {
  const result = new Map<string, DesiredSetting[]>();
  for (const { modules } of contents) {
    for (const [moduleId, settings] of modules) {
      // All of it first: in one content, a path beside it means a part of it.
      const ordered = settings.toSorted((a, b) => Math.sign(a.path.length) - Math.sign(b.path.length));
      result.set(moduleId, [...(result.get(moduleId) ?? []), ...ordered]);
    }
  }
  return result;
}

/** The same twin when nothing changes. */
function deployedTwin(twin: Twin, settings: readonly DesiredSetting[], now: number): Twin {
  const desired = withSettings(JSON.parse(twin.desired) as JsonObject, settings);
  if (JSON.stringify(desired) === twin.desired) return twin;
  return changeTwin(twin, { tags: undefined, desired }, 'replace', now);
}

function modulesToRun(agent: Twin | undefined): string[] {
  if (agent === undefined) return [];
  const { modules } = JSON.parse(agent.desired) as JsonObject;
  return isObject(modules) ? Object.keys(modules) : [];
}

function isSystem(moduleId: string): boolean {
  return systemModuleIds.some((id) => id === moduleId);
}

/** True for a module that a deployment made: a module made by a client has keys or certificates. */
function isDeployed({ moduleId, managedBy, auth }: ModuleRecord): boolean {
  return !isSystem(moduleId) && managedBy?.toLowerCase() === 'iotedge' && auth.type === 'none';
}

function newModule(store: RegistryStore, deviceId: string, moduleId: string): ModuleRecord {
  return {
    deviceId,
    moduleId,
    generationId: store.mintGenerationId(),
    etag: store.mintEtag(),
    managedBy: 'iotEdge',
    auth: { type: 'none' },
    twin: freshTwin,
  };
}

/** Looks before anything is written, so that a device is never left with half a manifest. */
function checkRoom(
  store: RegistryStore,
  before: ReadonlyMap<string, ModuleRecord>,
  removed: number,
  added: readonly string[],
  group: WriteGroup | undefined,
): void {
  const custom = added.filter((moduleId) => !isSystem(moduleId)).length;
  if (custom === 0) return;
  const kept = [...before.keys()].filter((moduleId) => !isSystem(moduleId)).length - removed;
  if (kept + custom > modulesPerDevice) {
    throw new ServiceError('TooManyModulesOnDevice', `A device has at most ${modulesPerDevice} modules.`);
  }
  const { maxRecords, importQuotaMargin } = store.settings;
  const room = group === undefined ? maxRecords : maxRecords - importQuotaMargin;
  if (store.deviceCount + store.moduleCount - removed + custom > room) {
    throw new ServiceError(
      'IotHubQuotaExceeded',
      'Total number of devices on IotHub exceeded the allocated quota.',
    );
  }
}
