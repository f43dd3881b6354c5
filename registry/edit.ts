import { refusalOf } from './limits.js';
import { type Identity, identityOfLine, parseLine } from './line.js';
import type { ImportMode } from './modes.js';
import { isToGenerate, type Keys, toGenerate, withAuthenticationOf, withMadeKeys } from './new-keys.js';
import {
  type Authentication,
  isJsonObject,
  isSystemModule,
  type JsonObject,
  type RecordKey,
  type RegistryRecord,
  recordKey,
} from './record.js';
import { type Refusal, refusal } from './refusal.js';
import { hasKeys, type KeyPolicy, type Rules, withKeys } from './rules.js';
import { type EdgeRow, type EdgeTable, parentOf } from './scopes.js';
import { removeAt, setAt, type TwinPath, valueAt } from './twin-path.js';

/** What an edit wants of a record that it names; `upsert` makes it where it is not there. */
export type EditOp = 'create' | 'update' | 'upsert' | 'delete';

/** Tags or desired properties: members to be merged as the service merges them (null removes), or JSON text instead. */
export type TwinChange = { readonly merge: JsonObject } | { readonly replace: string };

/** What is to become of one record of a hub. JSON-serialisable; what is left out stays as it is. */
export interface Edit {
  readonly id: string;
  readonly moduleId?: string;
  readonly op: EditOp;
  readonly status?: RegistryRecord['status'];
  readonly statusReason?: string;
  /** Without a type: that of what is given. A new record without any gets keys that are made. */
  readonly authentication?: Partial<Authentication>;
  readonly keys?: KeyPolicy;
  readonly iotEdge?: boolean;
  /** Device id of the parent edge device, or its scope; null for none. */
  readonly parent?: string | null;
  readonly parentScope?: string | null;
  readonly tags?: TwinChange;
  readonly desired?: TwinChange;
  /** The mode of the import line that carries it out, where a user has chosen one. */
  readonly mode?: ImportMode;
  /** What the record's ETags must be. */
  readonly eTag?: string;
  readonly twinETag?: string;
}

const identityOf = ({ id, moduleId }: Pick<Edit, 'id' | 'moduleId'>): Identity => ({
  deviceId: id,
  moduleId: moduleId ?? null,
});

const keyOf = ({ deviceId, moduleId }: Identity): RecordKey => recordKey(deviceId, moduleId);

/** What edits made of one record of a hub, or of one that is to be made. `isNew`: it is not there yet. */
export type Edited =
  | {
      readonly kind: 'desired';
      readonly record: RegistryRecord;
      readonly parent: string | null;
      readonly isNew: boolean;
      /** The same with marks where keys were made; null where none were. */
      readonly marked: RegistryRecord | null;
      readonly mode: ImportMode | undefined;
    }
  | { readonly kind: 'removed'; readonly record: RegistryRecord; readonly mode: ImportMode | undefined }
  /** It goes with its device. */
  | { readonly kind: 'gone'; readonly record: RegistryRecord }
  | ({ readonly kind: 'refused'; readonly refusal: Refusal; readonly isNew: boolean } & Identity)
  | { readonly kind: 'untouched' | 'system'; readonly record: RegistryRecord };

export interface EditContext {
  /** The hub's edge devices, and those that it has after the edits. */
  readonly edges: EdgeTable;
  readonly edgesAfter: EdgeTable;
  readonly rules: Rules;
  /** Makes the keys of a record, the same each time. */
  readonly makeKeys: (record: RegistryRecord) => Keys;
}

/**
 * One partition of a hub under edits: every record of it once, and every record that edits make. The list goes first,
 * then rules, which see each record as the list left it. System modules are seen by no rule.
 *
 * @param lines of the hub's snapshot; a device and its modules are in the same partition, as their edits are.
 * @param edits at most one for each record.
 * @throws HubferryError RULE_FAILED, SNAPSHOT_…
 */
export function* editedPartition(
  lines: Iterable<string>,
  edits: Iterable<Edit>,
  context: EditContext,
): Generator<Edited> {
  const open = new Map<RecordKey, Edit>();
  for (const edit of edits) open.set(keyOf(identityOf(edit)), edit);
  const devices: string[] = [];
  const modules: string[] = [];
  for (const line of lines) (identityOfLine(line).moduleId === null ? devices : modules).push(line);
  const removed = new Set<string>();
  for (const line of [...devices, ...modules]) {
    const record = parseLine(line);
    const key = recordKey(record.deviceId, record.moduleId);
    const edit = open.get(key);
    open.delete(key);
    if (record.moduleId !== null && removed.has(record.deviceId)) {
      yield { kind: 'gone', record };
      continue;
    }
    const edited = editedRecord(record, edit, context);
    if (edited.kind === 'removed' && record.moduleId === null) removed.add(record.deviceId);
    yield edited;
  }
  for (const edit of open.values()) {
    if (edit.moduleId !== undefined && removed.has(edit.id))
      yield refusedAs(identityOf(edit), refusal('DEVICE_MISSING'), true);
    else yield newRecord(edit, context);
  }
}

const refusedAs = ({ deviceId, moduleId }: Identity, why: Refusal, isNew: boolean): Edited => ({
  kind: 'refused',
  deviceId,
  moduleId,
  refusal: why,
  isNew,
});

function editedRecord(record: RegistryRecord, edit: Edit | undefined, context: EditContext): Edited {
  const system = isSystemModule(record);
  if (edit === undefined && system) return { kind: 'system', record };
  const { parent } = parentOf(record, context.edges);
  if (edit === undefined) return ruled({ before: record, record, parent, touched: false }, context);
  const refused = (why: Refusal): Edited => refusedAs(record, why, false);
  if (system) return refused(refusal('SYSTEM_MODULE'));
  if (edit.op === 'create') return refused(refusal('RECORD_EXISTS'));
  if (!isSame(edit.eTag, record.eTag) || !isSame(edit.twinETag, record.twinETag))
    return refused(refusal('ETAG_DIFFERS'));
  if (edit.op === 'delete') return { kind: 'removed', record, mode: edit.mode };
  return changed({ before: record, record, parent, touched: true, edit }, context);
}

function newRecord(edit: Edit, context: EditContext): Edited {
  const refused = (why: Refusal): Edited => refusedAs(identityOf(edit), why, true);
  if (edit.op === 'update' || edit.op === 'delete') return refused(refusal('RECORD_MISSING'));
  if (edit.moduleId?.startsWith('$') === true) return refused(refusal('SYSTEM_MODULE'));
  const record = toGenerate(blank(identityOf(edit)));
  return changed({ before: null, record, parent: null, touched: true, edit }, context);
}

const blank = (identity: Identity): RegistryRecord => ({
  ...identity,
  status: 'enabled',
  statusReason: '',
  authentication: null,
  iotEdge: false,
  deviceScope: null,
  parentScopes: [],
  eTag: null,
  twinETag: null,
  tags: {},
  desired: {},
  raw: { authentication: null, capabilities: null, tags: null, desired: null },
});

/** Whether an ETag is as an edit wants it: it may want none, or any. */
function isSame(wanted: string | undefined, eTag: string | null): boolean {
  const bare = (text: string): string => text.replaceAll('"', '');
  return wanted === undefined || wanted === '*' || (eTag !== null && bare(wanted) === bare(eTag));
}

/** A record on its way through edits. */
interface Editing {
  /** As the hub has it; null for none. */
  readonly before: RegistryRecord | null;
  readonly record: RegistryRecord;
  readonly parent: string | null;
  /** Whether an edit of the list names it. */
  readonly touched: boolean;
  readonly edit?: Edit;
}

/** Applies what an edit of the list says. */
function changed(editing: Editing & { readonly edit: Edit }, context: EditContext): Edited {
  const { edit, before } = editing;
  let { record, parent } = editing;
  const refused = (why: Refusal): Edited => refusedAs(record, why, before === null);
  if (record.moduleId === null) {
    const { status = record.status, statusReason = record.statusReason } = edit;
    record = withEdge({ ...record, status, statusReason }, edit.iotEdge);
    if (edit.parent !== undefined) ({ parent } = edit);
    if (typeof edit.parentScope === 'string') parent = context.edges.idOf(edit.parentScope) ?? '';
    else if (edit.parentScope === null) parent = null;
    const named = edit.parent !== undefined || edit.parentScope !== undefined;
    if (named && parent === record.deviceId) return refused(refusal('PARENT_CYCLE'));
    if (named && parent !== null && !context.edgesAfter.has(parent))
      return refused(refusal('PARENT_UNKNOWN'));
  }
  if (edit.authentication !== undefined) record = withCredentials(record, edit.authentication);
  if (edit.keys !== undefined) {
    if (!hasKeys(record)) return refused(refusal('KEYS_NOT_SYMMETRIC'));
    record = withKeys(record, edit.keys);
  }
  for (const part of ['tags', 'desired'] as const) {
    const change = edit[part];
    if (change === undefined) continue;
    const raw = 'replace' in change ? change.replace : merged(record.raw[part] ?? '{}', change.merge);
    if (raw === record.raw[part]) continue;
    const value = JSON.parse(raw) as JsonObject;
    record = { ...record, [part]: value, raw: { ...record.raw, [part]: raw } };
  }
  return ruled({ ...editing, record, parent }, context);
}

function withEdge(record: RegistryRecord, iotEdge: boolean | undefined): RegistryRecord {
  if (iotEdge === undefined || iotEdge === record.iotEdge) return record;
  const capabilities = setAt(record.raw.capabilities ?? '{}', ['iotEdge'], String(iotEdge));
  return { ...record, iotEdge, raw: { ...record.raw, capabilities } };
}

/** Another type of authentication brings nothing of the one before along. Symmetric keys that are not given are made. */
function withCredentials(record: RegistryRecord, given: Partial<Authentication>): RegistryRecord {
  const said = (...names: (keyof Authentication)[]): boolean =>
    names.some((name) => typeof given[name] === 'string');
  const before = record.authentication;
  const implied = said('primaryThumbprint', 'secondaryThumbprint')
    ? 'selfSigned'
    : said('primaryKey', 'secondaryKey')
      ? 'sas'
      : (before?.type ?? 'sas');
  const type = given.type ?? implied;
  const none = { primaryKey: null, secondaryKey: null, primaryThumbprint: null, secondaryThumbprint: null };
  const fresh = isToGenerate(before) || before?.type !== type;
  const authentication = { ...none, ...(fresh ? {} : before), ...given, type };
  const { primaryKey, secondaryKey } = authentication;
  if (type === 'sas' && primaryKey === null && secondaryKey === null) return toGenerate(record);
  return withAuthenticationOf(record, authentication);
}

/** JSON merge patch (RFC 7396), as the service merges twins. What it does not name stays byte for byte. */
function merged(text: string, patch: JsonObject, above: readonly string[] = []): string {
  let result = text;
  for (const [name, value] of Object.entries(patch)) {
    const path = [...above, name] as unknown as TwinPath;
    const old = valueAt(JSON.parse(result), path).value;
    if (value === null) result = old === undefined ? result : removeAt(result, path);
    else if (isJsonObject(value) && isJsonObject(old)) result = merged(result, value, path);
    else result = setAt(result, path, JSON.stringify(withoutNulls(value)));
  }
  return result;
}

/** A null in a patch removes, also where nothing is to be removed. */
function withoutNulls(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member)]));
}

/** Applies the rules, and makes the keys that are to be made. */
function ruled(editing: Editing, context: EditContext): Edited {
  const { before, touched, parent, edit } = editing;
  const isNew = before === null;
  const { record: marked, deleted } = context.rules.apply(editing.record, parent);
  if (deleted && before !== null) return { kind: 'removed', record: before, mode: edit?.mode };
  // What the list would make, and a rule delete, is never made.
  if (deleted) return refusedAs(marked, refusal('RECORD_MISSING'), isNew);
  if (!touched && before !== null && marked === before) return { kind: 'untouched', record: before };
  const record = withMadeKeys(marked, () => context.makeKeys(marked));
  const isEdge = record.moduleId === null && record.iotEdge;
  const why = refusalOf(record) ?? (isEdge ? context.edgesAfter.refusalOf(record.deviceId) : null);
  if (why !== null) return refusedAs(record, why, isNew);
  return {
    kind: 'desired',
    record,
    parent,
    isNew,
    marked: record === marked ? null : marked,
    mode: edit?.mode,
  };
}

/**
 * The hub's edge devices as they are after edits: who is one, and below whom. Of those that are made nobody knows the
 * scope yet; a text that no hub has stands for it.
 */
export class EditedEdges {
  readonly #rows: Map<string, EdgeRow>;
  readonly #parents = new Map<string, string | null>();
  readonly #now: EdgeTable;

  constructor(rows: readonly EdgeRow[], now: EdgeTable) {
    this.#rows = new Map(rows.map((row) => [row.id, row]));
    this.#now = now;
  }

  add({ id, moduleId, op, iotEdge, parent, parentScope }: Edit): void {
    if (moduleId !== undefined) return;
    const row = this.#rows.get(id);
    if (op === 'delete' || iotEdge === false) this.#rows.delete(id);
    else if (iotEdge === true && row === undefined)
      this.#rows.set(id, { id, scope: `new:${id}`, parentScope: null, refused: null });
    if (parent !== undefined) this.#parents.set(id, parent);
    else if (parentScope !== undefined)
      this.#parents.set(id, parentScope === null ? null : this.#now.idOf(parentScope));
  }

  rows(): EdgeRow[] {
    return [...this.#rows.values()].map((row) => {
      const parent = this.#parents.get(row.id);
      if (parent === undefined) return row;
      return { ...row, parentScope: parent === null ? null : (this.#rows.get(parent)?.scope ?? null) };
    });
  }
}
