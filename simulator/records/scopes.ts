import { ServiceError } from '../errors.js';
import type { WantedIdentity } from './identity.js';
import { type DeviceRecord, edgeScope } from './records.js';
import type { RegistryStore } from './store.js';

/** Where a device stands in the tree of edges. */
export interface Place {
  readonly deviceScope: string | undefined;
  readonly parentScopes: readonly string[];
}

/** Which door the write came through; each has rules of its own (§6). */
export type Door = 'rest' | 'import';

/** One array for all devices without a parent. */
export const noParents: readonly string[] = [];

/**
 * Decides the scopes of a device that is created or updated, by the rules of §6: an edge's own scope is minted and
 * immutable, a leaf's is its parent's and is copied to parentScopes.
 * @throws {ServiceError} InvalidDeviceScope, ArgumentInvalid.
 */
export function placeDevice(
  store: RegistryStore,
  door: Door,
  wanted: WantedIdentity,
  before: DeviceRecord | undefined,
  generationId: string,
): Place {
  if (wanted.iotEdge) {
    return {
      deviceScope: ownScope(store, door, wanted, before, generationId),
      parentScopes: edgeParents(store, door, wanted, before),
    };
  }
  // An edge that becomes a leaf loses its parent in that write.
  if (before?.iotEdge === true) return { deviceScope: undefined, parentScopes: noParents };
  if (door === 'import' && store.settings.importLeafScope === 'ignore') {
    return { deviceScope: before?.deviceScope, parentScopes: before?.parentScopes ?? noParents };
  }
  const parent =
    wanted.deviceScope === undefined || wanted.deviceScope === '' ? undefined : wanted.deviceScope;
  if (parent === undefined) return { deviceScope: undefined, parentScopes: noParents };
  checkParent(store, door, parent, before);
  return { deviceScope: parent, parentScopes: [parent] };
}

function ownScope(
  store: RegistryStore,
  door: Door,
  wanted: WantedIdentity,
  before: DeviceRecord | undefined,
  generationId: string,
): string | undefined {
  const given = wanted.deviceScope ?? '';
  if (
    door === 'import' &&
    store.settings.importEdgeScope === 'refuse' &&
    given !== '' &&
    (before?.iotEdge !== true || given !== before.deviceScope)
  ) {
    throw new ServiceError('InvalidDeviceScope', 'The scope of an edge device is not its own.');
  }
  if (before === undefined) return edgeScope(wanted.deviceId, generationId);
  if (!before.iotEdge) return edgeScope(wanted.deviceId, '');
  if (door === 'rest' && wanted.deviceScope !== before.deviceScope) {
    throw new ServiceError('ArgumentInvalid', 'Device scope is immutable.');
  }
  return before.deviceScope;
}

function edgeParents(
  store: RegistryStore,
  door: Door,
  wanted: WantedIdentity,
  before: DeviceRecord | undefined,
): readonly string[] {
  const parents = wanted.parentScopes ?? noParents;
  if (door === 'import' && store.settings.importParentScopes === 'ignore') {
    return before?.iotEdge === true ? before.parentScopes : noParents;
  }
  if (parents.length > 1) throw new ServiceError('InvalidDeviceScope', 'A device has one parent at most.');
  for (const parent of parents) checkParent(store, door, parent, before);
  return parents.length === 0 ? noParents : parents;
}

function checkParent(
  store: RegistryStore,
  door: Door,
  scope: string,
  before: DeviceRecord | undefined,
): void {
  const { importStaleScope, restScopeCheck } = store.settings;
  const checked =
    door === 'import'
      ? importStaleScope === 'refuse'
      : restScopeCheck === 'always' || (restScopeCheck === 'update' && before !== undefined);
  if (checked && !isScopeOfEdge(store, scope)) {
    throw new ServiceError('InvalidDeviceScope', 'The device scope belongs to no IoT Edge device.');
  }
}

/** True when `scope` is the current scope of an edge device of this hub. */
function isScopeOfEdge(store: RegistryStore, scope: string): boolean {
  const match = /^ms-azure-iot-edge:\/\/(.+)-\d*$/.exec(scope);
  const edge = match?.[1] === undefined ? undefined : store.device(match[1]);
  return edge?.iotEdge === true && edge.deviceScope === scope;
}
