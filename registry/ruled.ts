import { HubferryError } from './errors.js';
import { identityOfLine, parseLine } from './line.js';
import { isSystemModule, quoted, type RegistryRecord } from './record.js';
import type { OrphanPolicy, Ruled, Rules } from './rules.js';
import { type EdgeRow, type EdgeTable, edgeRow, parentOf } from './scopes.js';

/**
 * What rules and the policy for orphans made of a record: `filtered` by rules, or with its device; `below` for a device
 * that is filtered for an edge device above it; `orphan` for one whose parent is filtered where that forbids to go on.
 */
export type Fate = 'kept' | 'detached' | 'filtered' | 'below' | 'orphan';

/** A record of the source under rules. */
export interface RuledRecord {
  /** As the rules left it, under its new id. */
  readonly record: RegistryRecord;
  /** The id of its device in the source. */
  readonly from: string;
  readonly fate: Fate;
}

/** Whether a record with this fate does not go to the target. */
export const isLeftOut = (fate: Fate): boolean => fate === 'filtered' || fate === 'below';

/**
 * The source's edge devices under rules: the side table that every partition needs, made first. Parents are known by
 * their ids in the source.
 */
export class RuledEdges {
  readonly #source: EdgeTable;
  readonly #orphans: OrphanPolicy;
  /** By id in the source: the row of each under its new id, as far as its own record says it. */
  readonly #ruled = new Map<string, { readonly row: EdgeRow; readonly excluded: boolean }>();

  constructor(source: EdgeTable, orphans: OrphanPolicy) {
    this.#source = source;
    this.#orphans = orphans;
  }

  /** Takes note of one edge device. @param id in the source. */
  add(id: string, { record, excluded }: Ruled): void {
    this.#ruled.set(id, { row: edgeRow(record), excluded });
  }

  /** The id of a device's parent edge device in the source. */
  parentOf(record: RegistryRecord): string | null {
    return parentOf(record, this.#source).parent;
  }

  /** What becomes of a device, given as it is in the source. */
  fateOf(device: RegistryRecord, excluded: boolean): Fate {
    if (excluded) return 'filtered';
    const parent = this.parentOf(device);
    if (parent === null || !this.#isLeftOut(parent)) return 'kept';
    if (this.#orphans === 'exclude') return 'below';
    return this.#orphans === 'detach' ? 'detached' : 'orphan';
  }

  #isLeftOut(id: string): boolean {
    const above = new Set<string>();
    for (let at: string | null = id; at !== null && !above.has(at); at = this.#source.parentOf(at)) {
      if (this.#ruled.get(at)?.excluded === true) return true;
      if (this.#orphans !== 'exclude') return false;
      above.add(at);
    }
    return false;
  }

  /**
   * The table of those that go to the target, under their new ids.
   *
   * @throws HubferryError RENAME_COLLISION where two have one id.
   */
  rows(): EdgeRow[] {
    const names = new Names();
    const rows: EdgeRow[] = [];
    for (const [id, { row }] of this.#ruled) {
      if (this.#isLeftOut(id)) continue;
      names.add(row.id, id);
      const parent = this.#source.parentOf(id);
      const orphaned = parent !== null && this.#isLeftOut(parent);
      rows.push({
        ...row,
        scope: this.#source.scopeOf(id),
        parentScope: orphaned ? null : this.#source.parentScopeOf(id),
      });
    }
    return rows;
  }
}

/** Which devices of the source get which id. */
export class Names {
  readonly #from = new Map<string, string>();

  /** @throws HubferryError RENAME_COLLISION where another device has this id. */
  add(id: string, from: string): void {
    const other = this.#from.get(id);
    // One device twice is a damaged snapshot, which is found by itself.
    if (other !== undefined && other !== from) {
      throw new HubferryError(
        'RENAME_COLLISION',
        `Under the rules both ${quoted(other)} and ${quoted(from)} are ${quoted(id)}. Nothing was written.`,
      );
    }
    this.#from.set(id, from);
  }
}

/**
 * One partition of the source under rules: every record once, devices first, since modules follow theirs. System modules
 * are no records of their own: no rule sees them, and they follow their device.
 *
 * @param lines of the snapshot; a device and its modules are in the same partition.
 * @throws HubferryError RULE_FAILED
 */
export function* ruledPartition(
  lines: Iterable<string>,
  rules: Rules,
  edges: RuledEdges,
): Generator<RuledRecord> {
  const modules: string[] = [];
  const devices = new Map<string, { readonly ruled: Pick<Ruled, 'ids'>; readonly fate: Fate }>();
  for (const line of lines) {
    if (identityOfLine(line).moduleId !== null) {
      modules.push(line);
      continue;
    }
    const device = parseLine(line);
    const { record, excluded, ids } = rules.apply(device, edges.parentOf(device));
    const fate = edges.fateOf(device, excluded);
    if (ids.length > 0 || fate !== 'kept') devices.set(device.deviceId, { ruled: { ids }, fate });
    yield { record: fate === 'detached' ? detached(record) : record, from: device.deviceId, fate };
  }
  for (const line of modules) {
    const module = parseLine(line);
    const { deviceId: from } = module;
    const device = devices.get(from);
    const { record, excluded } = isSystemModule(module)
      ? { record: followed(module, device?.ruled), excluded: false }
      : rules.apply(module, null, device?.ruled);
    const out = excluded || (device !== undefined && isLeftOut(device.fate));
    yield { record, from, fate: out ? 'filtered' : 'kept' };
  }
}

/** A system module under the id of its device. */
function followed(module: RegistryRecord, device: Pick<Ruled, 'ids'> | undefined): RegistryRecord {
  const id = device?.ids.at(-1)?.id;
  return id === undefined ? module : { ...module, deviceId: id };
}

/** A leaf says its parent in its own line; of an edge device the side table knows. */
function detached(record: RegistryRecord): RegistryRecord {
  return { ...record, parentScopes: [], ...(record.iotEdge ? {} : { deviceScope: null }) };
}
