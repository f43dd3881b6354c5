import { HubferryError } from './errors.js';
import { refusalOf as recordRefusal } from './limits.js';
import { quoted, type RegistryRecord } from './record.js';
import { type Refusal, type RefusalCode, refusal } from './refusal.js';

/** What the side table keeps of one edge device (a device, never a module). JSON-serialisable. */
export interface EdgeRow {
  readonly id: string;
  /** Its own scope: `ms-azure-iot-edge://<id>-<generation>`, with nothing after the dash for one switched to edge later. */
  readonly scope: string | null;
  readonly parentScope: string | null;
  /** Why the record itself is refused, whatever its parents. */
  readonly refused: Refusal | null;
}

/** The row of an edge device: for records with `iotEdge` and no `moduleId`. */
export function edgeRow(record: RegistryRecord): EdgeRow {
  return {
    id: record.deviceId,
    scope: record.deviceScope,
    parentScope: record.parentScopes[0] ?? null,
    refused: recordRefusal(record),
  };
}

/** Where an edge device stands among the others. */
interface Standing {
  readonly level: number;
  readonly refused: Refusal | null;
}

/**
 * All edge devices of one registry: who hangs below whom, and who is refused for it. Parents are found by scope, and
 * only by the current scope of an edge device that exists, never by an id read from a scope: a scope of an earlier
 * device of the same id is stale, and a child with it has no parent (design §6, STALE_PARENT).
 */
export class EdgeTable {
  readonly #rows = new Map<string, EdgeRow>();
  readonly #idOfScope = new Map<string, string>();
  readonly #standings = new Map<string, Standing>();

  /** @throws HubferryError SNAPSHOT_DUPLICATE where an id has two rows. */
  static of(rows: Iterable<EdgeRow>): EdgeTable {
    const table = new EdgeTable();
    for (const row of rows) {
      if (table.#rows.has(row.id)) {
        throw new HubferryError('SNAPSHOT_DUPLICATE', `Edge device ${quoted(row.id)} stands in it twice.`);
      }
      table.#rows.set(row.id, row);
      if (row.scope !== null) table.#idOfScope.set(row.scope, row.id);
    }
    return table;
  }

  /** The same devices, none of them refused for this reason. */
  without(code: RefusalCode): EdgeTable {
    const rows = [...this.#rows.values()];
    return EdgeTable.of(rows.map((row) => (row.refused?.code === code ? { ...row, refused: null } : row)));
  }

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  /** The scope that children of this edge device carry. */
  scopeOf(id: string): string | null {
    return this.#rows.get(id)?.scope ?? null;
  }

  /** The scope that this edge device names as its parent's. */
  parentScopeOf(id: string): string | null {
    return this.#rows.get(id)?.parentScope ?? null;
  }

  /** The edge device whose current scope this is. */
  idOf(scope: string): string | null {
    return this.#idOfScope.get(scope) ?? null;
  }

  /** The edge device that this one hangs below; null at the top, and where the parent's scope is stale. */
  parentOf(id: string): string | null {
    const scope = this.#rows.get(id)?.parentScope ?? null;
    const parent = scope === null ? null : this.idOf(scope);
    // A device that names its own scope as parent hangs below nothing else.
    return parent === id ? null : parent;
  }

  /** How many edge devices stand above this one; infinite inside and below a ring of parents, 0 for an unknown id. */
  levelOf(id: string): number {
    return this.#standing(id)?.level ?? 0;
  }

  /** Why this edge device is refused: for itself or for an ancestor. */
  refusalOf(id: string): Refusal | null {
    return this.#standing(id)?.refused ?? null;
  }

  #standing(id: string): Standing | undefined {
    const path: string[] = [];
    const place = new Map<string, number>();
    let at: string | null = this.#rows.has(id) ? id : null;
    while (at !== null && !this.#standings.has(at) && !place.has(at)) {
      place.set(at, path.length);
      path.push(at);
      at = this.parentOf(at);
    }
    // Where the way up came back to itself, everything from there on is a ring; what led to it hangs below the ring.
    const ring = (at === null ? undefined : place.get(at)) ?? path.length;
    for (const [index, member] of [...path.entries()].toReversed()) {
      this.#standings.set(member, index >= ring ? this.#inRing(member) : this.#below(member));
    }
    return this.#standings.get(id);
  }

  #inRing(id: string): Standing {
    return { level: Infinity, refused: this.#rows.get(id)?.refused ?? refusal('PARENT_CYCLE') };
  }

  #below(id: string): Standing {
    const parent = this.parentOf(id);
    const above = parent === null ? undefined : this.#standings.get(parent);
    const level = above === undefined ? 0 : above.level + 1;
    const inherited = parent === null ? null : refusalBelow(parent, above?.refused ?? null);
    return { level, refused: this.#rows.get(id)?.refused ?? inherited };
  }
}

/**
 * The device id of the parent edge device. A leaf says its parent in `deviceScope` (the service copies it to
 * `parentScopes`); an edge device, whose `deviceScope` is its own, only in `parentScopes` (facts §6). An export need not
 * carry the latter, so for an edge device the side table knows better than its line. A module has none.
 *
 * @returns `stale` where the record names a scope that no edge device has now.
 */
export function parentOf(
  record: RegistryRecord,
  edges: EdgeTable,
): { readonly parent: string | null; readonly stale: boolean } {
  if (record.moduleId !== null) return { parent: null, stale: false };
  const { deviceId, iotEdge } = record;
  const [inLine = null] = record.parentScopes;
  const parentScope = iotEdge && edges.has(deviceId) ? edges.parentScopeOf(deviceId) : inLine;
  const scope = iotEdge ? parentScope : (record.deviceScope ?? parentScope);
  if (scope === null) return { parent: null, stale: false };
  const parent = edges.idOf(scope);
  return { parent: parent === deviceId ? null : parent, stale: parent === null };
}

/** Why a device cannot stand where it stands: its parent is refused. */
export function placementRefusal(record: RegistryRecord, edges: EdgeTable): Refusal | null {
  if (record.moduleId !== null) return null;
  if (record.iotEdge) return edges.refusalOf(record.deviceId);
  const { parent } = parentOf(record, edges);
  return parent === null ? null : refusalBelow(parent, edges.refusalOf(parent));
}

/** What a parent's refusal means for what hangs below it. */
function refusalBelow(parent: string, refused: Refusal | null): Refusal | null {
  return refused === null ? null : refusal('PARENT_REFUSED', `${quoted(parent)} (${refused.code})`);
}
