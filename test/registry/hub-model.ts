import { isJsonObject, type JsonObject } from '../../registry/record.js';
import { exportLine, NO_AUTHENTICATION } from './records.js';

/** One record as the model of a hub keeps it: parsed values, and texts where a line needs them. */
interface Stored {
  readonly id: string;
  readonly moduleId: string | null;
  readonly status: 'enabled' | 'disabled';
  readonly statusReason: string;
  readonly authentication: unknown;
  readonly iotEdge: boolean;
  /** An edge device's own scope, or the one of a leaf's parent. */
  readonly deviceScope: string | null;
  readonly parentScope: string | null;
  readonly tags: unknown;
  readonly desired: unknown;
  /** Numbers of the last write to identity and twin. */
  readonly identityWrite: number;
  readonly twinWrite: number;
}

/**
 * What a hub does with the lines of import jobs (facts §3, §6), in memory and without the code under test: scopes are
 * made by the hub, edge devices come with their system modules, deleted devices take their modules with them.
 */
export class HubModel {
  readonly #records = new Map<string, Stored>();
  #generation: number;
  #writes = 0;

  /** @param generation where the numbers in scopes begin, so that two hubs never make the same scope. */
  constructor(generation: number) {
    this.#generation = generation;
  }

  /** Takes one import line; gives the error that the hub would log, or null. */
  importLine(line: string): number | null {
    const entry: unknown = JSON.parse(line);
    if (!isJsonObject(entry) || typeof entry['id'] !== 'string') return 400012;
    const moduleId = typeof entry['moduleId'] === 'string' ? entry['moduleId'] : null;
    const key = keyOf(entry['id'], moduleId);
    const present = this.#records.get(key);
    if (present !== undefined && guarded(entry, present)) return 412001;
    switch (entry['importMode']) {
      case 'create':
        return present === undefined ? this.#write(key, entry, moduleId, undefined) : 409001;
      case 'update':
      case 'updateIfMatchETag':
        return present === undefined ? 404001 : this.#write(key, entry, moduleId, present);
      case 'createOrUpdate':
        return this.#write(key, entry, moduleId, present);
      case 'updateTwin':
      case 'updateTwinIfMatchETag':
        if (present === undefined) return 404001;
        this.#records.set(key, { ...present, ...twinOf(entry, present), twinWrite: ++this.#writes });
        return null;
      case 'delete':
      case 'deleteIfMatchETag':
        return present === undefined ? 404001 : this.#delete(present);
      default:
        return 400012;
    }
  }

  /** The scope that children of this edge device must carry. */
  scopeOf(id: string): string | null {
    const device = this.#records.get(keyOf(id, null));
    return device?.iotEdge === true ? device.deviceScope : null;
  }

  /** The lines of an export job, in the order in which the records came. */
  exportLines(): string[] {
    return [...this.#records.values()].map((stored) =>
      exportLine({
        id: stored.id,
        eTag: `i${stored.identityWrite}`,
        twinETag: `t${stored.twinWrite}`,
        moduleId: stored.moduleId ?? undefined,
        status: stored.status,
        statusReason: stored.moduleId === null ? stored.statusReason : undefined,
        authenticationText: JSON.stringify(stored.authentication),
        tagsText: JSON.stringify(stored.tags),
        desiredText: JSON.stringify(stored.desired),
        iotEdge: stored.iotEdge,
        deviceScope: stored.deviceScope,
        parentScopes: stored.parentScope === null ? undefined : [stored.parentScope],
      }),
    );
  }

  #write(
    key: string,
    entry: JsonObject,
    moduleId: string | null,
    present: Stored | undefined,
  ): number | null {
    const id = String(entry['id']);
    if (moduleId?.startsWith('$') === true) return 401100;
    if (moduleId !== null && !this.#records.has(keyOf(id, null))) return 404001;
    const { capabilities, status, statusReason, deviceScope, parentScopes } = entry;
    if (status !== 'enabled' && status !== 'disabled') return 400012;
    const iotEdge = moduleId === null && isJsonObject(capabilities) && capabilities['iotEdge'] === true;
    const wasEdge = present?.iotEdge === true;
    const parentScope: unknown = Array.isArray(parentScopes) ? parentScopes[0] : null;
    // A leaf's scope is taken as it is; an edge device's own is the hub's to make, and stays for the device's life.
    const leafScope = typeof deviceScope === 'string' ? deviceScope : null;
    const ownScope = wasEdge ? present.deviceScope : this.#newScope(id);
    this.#records.set(key, {
      id,
      moduleId,
      status,
      statusReason: moduleId === null && typeof statusReason === 'string' ? statusReason : '',
      authentication: entry['authentication'] ?? null,
      iotEdge,
      deviceScope: iotEdge ? ownScope : leafScope,
      parentScope: iotEdge ? (typeof parentScope === 'string' ? parentScope : null) : leafScope,
      ...twinOf(entry, present),
      identityWrite: ++this.#writes,
      twinWrite:
        present === undefined || 'tags' in entry || 'properties' in entry
          ? ++this.#writes
          : present.twinWrite,
    });
    if (iotEdge !== wasEdge) this.#systemModules(id, iotEdge);
    return null;
  }

  #systemModules(id: string, wanted: boolean): void {
    for (const moduleId of ['$edgeAgent', '$edgeHub']) {
      if (!wanted) {
        this.#records.delete(keyOf(id, moduleId));
        continue;
      }
      this.#records.set(keyOf(id, moduleId), {
        id,
        moduleId,
        status: 'enabled',
        statusReason: '',
        authentication: JSON.parse(NO_AUTHENTICATION),
        iotEdge: false,
        deviceScope: null,
        parentScope: null,
        tags: {},
        desired: {},
        identityWrite: ++this.#writes,
        twinWrite: ++this.#writes,
      });
    }
  }

  #delete(present: Stored): null {
    this.#records.delete(keyOf(present.id, present.moduleId));
    if (present.moduleId === null) {
      for (const [key, { id }] of this.#records) if (id === present.id) this.#records.delete(key);
    }
    return null;
  }

  #newScope(id: string): string {
    this.#generation += 1;
    return `ms-azure-iot-edge://${id}-${this.#generation}`;
  }
}

function keyOf(id: string, moduleId: string | null): string {
  return JSON.stringify([id, moduleId]);
}

/** Whether a line's mode names an ETag that the record does not have now. */
function guarded(entry: JsonObject, present: Stored): boolean {
  const mode = String(entry['importMode']);
  if (!mode.endsWith('IfMatchETag')) return false;
  return mode.startsWith('updateTwin')
    ? entry['twinETag'] !== `t${present.twinWrite}`
    : entry['eTag'] !== `i${present.identityWrite}`;
}

/** A section that is there replaces, one that is not leaves alone. */
function twinOf(entry: JsonObject, present: Stored | undefined): Pick<Stored, 'tags' | 'desired'> {
  const { tags, properties } = entry;
  const desired = isJsonObject(properties) ? properties['desired'] : undefined;
  return { tags: tags ?? present?.tags ?? {}, desired: desired ?? present?.desired ?? {} };
}
