import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { CsvError, parse as csvParser } from 'csv-parse';
import { z } from 'zod';
import { readAuthentication } from '../registry/authentication.js';
import type { Edit, EditOp, TwinChange } from '../registry/edit.js';
import { HubferryError } from '../registry/errors.js';
import { membersOf } from '../registry/json-scan.js';
import { parseLine } from '../registry/line.js';
import { IMPORT_MODES, type ImportMode, isTwinMode } from '../registry/modes.js';
import { type Authentication, isJsonObject, type JsonObject } from '../registry/record.js';
import { KEY_POLICIES } from '../registry/rules.js';
import { faultsOf, MAX_FAULTS } from './faults.js';
import { twinPathText } from './rules.js';
import { dotted } from './yaml-source.js';

/** Where a list of edits comes from. */
export interface EditSource {
  readonly file: string;
  /** `edits`: CSV by the ending .csv, else lines of JSON; `ids`: an id a line; `import`: lines of the service's imports. */
  readonly form: 'edits' | 'ids' | 'import';
  /** What is done with each of the `ids`. */
  readonly action?: Omit<Edit, 'id' | 'moduleId'>;
  /** The mode of lines that name none. */
  readonly mode?: ImportMode;
}

/** A line longer than this is no edit: a record holds 8 KB of tags and 32 KB of desired properties. */
const MAX_LINE = 1024 * 1024;

/** Objects and lists in each other: ten times what a twin may hold, and what every program here can print. */
const MAX_NESTING = 100;

/** What each mode wants of a record. */
export const OP_OF_MODE: Record<ImportMode, EditOp> = {
  create: 'create',
  createOrUpdate: 'upsert',
  createOrUpdateIfMatchETag: 'upsert',
  update: 'update',
  updateIfMatchETag: 'update',
  updateTwin: 'update',
  updateTwinIfMatchETag: 'update',
  delete: 'delete',
  deleteIfMatchETag: 'delete',
};

/** What is wrong with one edit, in words that hold no value of it. */
class Fault extends Error {}

/**
 * Reads and checks a list of edits, one by one. No network is touched.
 *
 * @throws HubferryError EDIT_INVALID with file, line and column name, at the end or after ten faults; never with a value
 */
export async function* readEdits(sources: readonly EditSource[]): AsyncGenerator<Edit> {
  const faults: string[] = [];
  const lineOf = new Map<string, string>();
  for (const source of sources) {
    for await (const { line, read } of itemsOf(source)) {
      const place = `${source.file}:${line}`;
      try {
        const edit = read();
        const key = `${edit.id}\n${edit.moduleId ?? ''}`;
        const other = lineOf.get(key);
        if (other !== undefined) throw new Fault(`the same record as in ${other}; a run edits each once`);
        lineOf.set(key, place);
        if (faults.length === 0) yield edit;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        faults.push(`${place}: ${error.message}`);
        if (faults.length === MAX_FAULTS) throw invalid(faults);
      }
    }
  }
  if (faults.length > 0) throw invalid(faults);
}

const invalid = (lines: readonly string[]): HubferryError =>
  new HubferryError('EDIT_INVALID', lines.join('\n'));

/** One edit of a file: the line it is on, and how it is read, which throws a Fault. */
interface Item {
  readonly line: number;
  readonly read: () => Edit;
}

async function* itemsOf({ file, form, action, mode }: EditSource): AsyncGenerator<Item> {
  if (form === 'edits' && /\.csv$/i.test(file)) {
    yield* csvItems(file, mode);
    return;
  }
  for await (const { line, text } of linesOf(file)) {
    if (form === 'ids')
      yield { line, read: () => checked({ ...idsIn(text), ...(action ?? { op: 'update' }) }) };
    else if (form === 'import') yield { line, read: () => importEdit(text, mode) };
    else yield { line, read: () => editOf(objectIn(text), mode) };
  }
}

/** Lines that hold something, with their numbers from 1. */
async function* linesOf(file: string): AsyncGenerator<{ line: number; text: string }> {
  const handle = await opened(file);
  let line = 0;
  try {
    for await (const bytes of bytesOfLines(handle)) {
      line += 1;
      if (bytes.length > MAX_LINE) throw invalid([`${file}:${line}: longer than ${MAX_LINE} bytes`]);
      // Replaced by other characters, it would be another record.
      if (!isUtf8(bytes)) throw invalid([`${file}:${line}: this is not UTF-8`]);
      const text = bytes.toString('utf8');
      if (text.trim() !== '') yield { line, text: line === 1 ? text.replace(/^\uFEFF/, '') : text };
    }
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    await handle.close();
  }
}

/** Lines as bytes, without their ends. Of one that is too long only its beginning comes, and then nothing. */
async function* bytesOfLines(handle: FileHandle): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([held, chunk.subarray(from, at)]);
      held = Buffer.alloc(0);
      from = at + 1;
    }
    held = Buffer.concat([held, chunk.subarray(from)]);
    if (held.length > MAX_LINE) break;
  }
  if (held.length > 0) yield held;
}

/** The chunks of a file, none of which is handed on where it is not UTF-8. */
async function* utf8Of(file: string, handle: FileHandle): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let line = 1;
  const decoded = (chunk?: Buffer): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw invalid([`${file}:${line}: this is not UTF-8, or a line soon after it`]);
    }
  };
  for await (const chunk of handle.createReadStream() as AsyncIterable<Buffer>) {
    yield decoded(chunk);
    line += chunk.filter((byte) => byte === 0x0a).length;
  }
  yield decoded();
}

async function opened(file: string): Promise<FileHandle> {
  try {
    return await open(file);
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): unknown {
  if (error instanceof HubferryError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
  if (error instanceof CsvError) {
    const line = 'lines' in error && typeof error['lines'] === 'number' ? error['lines'] : 1;
    return invalid([`${file}:${line}: this is not CSV (${code})`]);
  }
  return invalid([`${file}: ${code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`}`]);
}

/** `device` or `device/module`: neither id can hold a slash. */
function idsIn(text: string): Pick<Edit, 'id' | 'moduleId'> {
  const [id = '', moduleId, ...more] = text.trim().split('/');
  if (id === '' || moduleId === '' || more.length > 0)
    throw new Fault('expected the id of a device, or DEVICE/MODULE');
  return moduleId === undefined ? { id } : { id, moduleId };
}

function objectIn(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Fault('this is not JSON');
  }
  if (!isJsonObject(value)) throw new Fault('expected a JSON object');
  const names = (membersOf(text) ?? []).map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Fault(`${dotted([twice])}: this key is there twice`);
  return value;
}

/** Whether a value holds more objects and lists in each other than this. */
function isDeeper(root: unknown, most: number): boolean {
  let level = [root];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > most) return true;
    level = level
      .filter((value): value is object => typeof value === 'object' && value !== null)
      .flatMap((value): unknown[] => Object.values(value));
  }
  return false;
}

const CREDENTIALS = {
  primaryKey: z.string().min(1).optional(),
  secondaryKey: z.string().min(1).optional(),
  primaryThumbprint: z.string().min(1).optional(),
  secondaryThumbprint: z.string().min(1).optional(),
};

const twinPatch = z
  .custom<JsonObject>(isJsonObject, 'expected an object')
  .refine((value) => !isDeeper(value, MAX_NESTING), `nested deeper than ${MAX_NESTING} levels`)
  .optional();

/** One edit as users write it: a line of JSON, or a row of a CSV file. */
const editSchema = z.strictObject({
  id: z.string().min(1),
  moduleId: z.string().min(1).optional(),
  op: z.enum(['create', 'update', 'upsert', 'delete']).optional(),
  status: z.enum(['enabled', 'disabled']).optional(),
  statusReason: z.string().optional(),
  authentication: z.enum(['sas', 'selfSigned', 'certificateAuthority']).optional(),
  ...CREDENTIALS,
  keys: z.enum(KEY_POLICIES).optional(),
  iotEdge: z.boolean().optional(),
  parent: z.string().min(1).nullable().optional(),
  tags: twinPatch,
  desired: twinPatch,
  eTag: z.string().min(1).optional(),
  twinETag: z.string().min(1).optional(),
});

/** @param mode that a user has chosen; it also says what is done where the edit itself does not. */
function editOf(value: JsonObject, mode: ImportMode | undefined): Edit {
  const result = editSchema.safeParse(value, { reportInput: true });
  if (!result.success) {
    const [fault] = result.error.issues.flatMap(faultsOf);
    const { path = [], words = 'this is no edit' } = fault ?? {};
    throw new Fault(path.length === 0 ? words : `${dotted(path)}: ${words}`);
  }
  const { tags, desired, authentication: type, op, ...rest } = result.data;
  const { primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint, ...others } = rest;
  const given = { type, primaryKey, secondaryKey, primaryThumbprint, secondaryThumbprint };
  const said = Object.entries(given).filter(([, credential]) => credential !== undefined);
  const authentication = Object.fromEntries(said) as Partial<Authentication>;
  const edit: Edit = {
    ...defined(others),
    op: op ?? (mode === undefined ? 'create' : OP_OF_MODE[mode]),
    ...(said.length === 0 ? {} : { authentication }),
    ...(tags === undefined ? {} : { tags: { merge: tags } }),
    ...(desired === undefined ? {} : { desired: { merge: desired } }),
    ...(mode === undefined ? {} : { mode }),
  };
  return checked(edit);
}

/** Without members that are undefined: the list is kept as JSON, and the same edit is to be the same text. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

const IDENTITY = ['status', 'statusReason', 'authentication', 'keys', 'iotEdge', 'parent'] as const;
const OF_DEVICES = ['status', 'statusReason', 'iotEdge', 'parent'] as const;

/** What no file may ask for. */
function checked(edit: Edit): Edit {
  const { op, mode, moduleId, keys } = edit;
  const has = (names: readonly (keyof Edit)[]): string | undefined =>
    names.find((name) => edit[name] !== undefined);
  if (mode !== undefined && OP_OF_MODE[mode] !== op)
    throw new Fault(`mode ${mode} cannot carry out the operation ${op}`);
  const ofDevice = moduleId === undefined ? undefined : has(OF_DEVICES);
  if (ofDevice !== undefined) throw new Fault(`${ofDevice}: a module has none`);
  const ofIdentity = mode !== undefined && isTwinMode(mode) ? has(IDENTITY) : undefined;
  if (ofIdentity !== undefined) throw new Fault(`${ofIdentity}: mode ${String(mode)} writes the twin only`);
  const change = op === 'delete' ? has([...IDENTITY, 'tags', 'desired']) : undefined;
  if (change !== undefined) throw new Fault(`${change}: nothing of a record that is deleted can be changed`);
  if (op === 'create' && keys !== undefined && keys !== 'keep')
    throw new Fault('keys: of a new record they are given, or made where none are');
  if (op === 'update' && has([...IDENTITY, 'parentScope', 'tags', 'desired']) === undefined)
    throw new Fault('it changes nothing');
  return edit;
}

/** Columns of a CSV file beside paths into twins. */
const COLUMNS = Object.keys(editSchema.shape).filter((name) => name !== 'tags' && name !== 'desired');

async function* csvItems(file: string, mode: ImportMode | undefined): AsyncGenerator<Item> {
  const handle = await opened(file);
  const rows = csvParser({
    bom: true,
    info: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE,
    trim: true,
  });
  // What goes wrong while the file is read comes out of the rows.
  pipeline(utf8Of(file, handle), rows, () => undefined);
  let columns: readonly string[] | null = null;
  try {
    for await (const { record, info } of rows as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      const line = info.lines;
      if (columns === null) columns = header(`${file}:${line}`, record);
      else {
        const names = columns;
        yield { line, read: () => editOf(rowOf(names, record), mode) };
      }
    }
  } catch (error) {
    throw unreadable(file, error);
  }
}

function header(place: string, names: readonly string[]): readonly string[] {
  const faults = names.flatMap((name, index) => {
    if (names.indexOf(name) !== index) return [`${place}: column ${dotted([name])} is there twice`];
    const path = /^(?:tags|desired)\.(.+)$/.exec(name)?.[1];
    const known = path === undefined ? COLUMNS.includes(name) : twinPathText.safeParse(path).success;
    return known ? [] : [`${place}: column ${dotted([name])} is unknown`];
  });
  if (!names.includes('id')) faults.push(`${place}: there is no column id`);
  if (faults.length > 0) throw invalid(faults.slice(0, MAX_FAULTS));
  return names;
}

/** A row as the object that a line of JSON would be. Empty cells say nothing. */
function rowOf(columns: readonly string[], cells: readonly string[]): JsonObject {
  const row: Record<string, unknown> = {};
  for (const [index, name] of columns.entries()) {
    const cell = cells[index] ?? '';
    if (cell === '') continue;
    const [part = '', ...path] = name.split('.');
    if (path.length > 0) row[part] = placed(row[part], path, cellValue(cell));
    else if (name !== 'iotEdge') row[name] = cell;
    else row[name] = /^true$/i.test(cell) ? true : /^false$/i.test(cell) ? false : cell;
  }
  return row;
}

/** A section of a twin with a value at a path. */
export function placed(
  section: unknown,
  [name = '', ...rest]: readonly string[],
  value: unknown,
): JsonObject {
  const members = isJsonObject(section) ? section : {};
  return { ...members, [name]: rest.length === 0 ? value : placed(members[name], rest, value) };
}

/** A cell below a path of a twin: JSON where it is some, else text. */
export function cellValue(cell: string): unknown {
  try {
    return JSON.parse(cell) as unknown;
  } catch {
    return cell;
  }
}

/** Members of a line of the service's import files that this tool sends. */
const LINE = new Set(
  (
    'id moduleId status statusReason authentication capabilities deviceScope parentScopes tags properties ' +
    'importMode eTag twinETag'
  ).split(' '),
);

/** A line of a user's own import file (facts §2.2). Without a mode it means createOrUpdate, as to the service. */
function importEdit(text: string, fallback: ImportMode | undefined): Edit {
  const value = objectIn(text);
  const { importMode = fallback ?? 'createOrUpdate' } = value;
  const mode = IMPORT_MODES.find((name) => name.toLowerCase() === String(importMode).toLowerCase());
  if (mode === undefined) throw new Fault(`importMode: expected ${IMPORT_MODES.join(', ')}`);
  const unknown = (membersOf(text) ?? []).find(({ name }) => !LINE.has(name));
  if (unknown !== undefined) throw new Fault(`${dotted([unknown.name])}: edit cannot send this`);
  if (value['status'] === undefined && value['moduleId'] === undefined)
    throw new Fault('status: every line of a device needs one');
  const record = parsed(text);
  const { deviceId: id, moduleId, status, statusReason, iotEdge, parentScopes, deviceScope } = record;
  const named = moduleId === null ? { id } : { id, moduleId };
  const op = OP_OF_MODE[mode];
  const guards = {
    ...(record.eTag !== null && /^(update|delete|createOrUpdate)IfMatchETag$/.test(mode)
      ? { eTag: record.eTag }
      : {}),
    ...(record.twinETag !== null && (mode.startsWith('create') || mode === 'updateTwinIfMatchETag')
      ? { twinETag: record.twinETag }
      : {}),
  };
  if (op === 'delete') return { ...named, op, mode, ...guards };
  const tags: TwinChange | null = record.raw.tags === null ? null : { replace: record.raw.tags };
  const desired: TwinChange | null = record.raw.desired === null ? null : { replace: record.raw.desired };
  const twin = { ...(tags === null ? {} : { tags }), ...(desired === null ? {} : { desired }) };
  if (isTwinMode(mode)) return checked({ ...named, op, mode, ...guards, ...twin });
  const { authentication } = value;
  const given = isJsonObject(authentication) ? readAuthentication(authentication)?.read : undefined;
  const scope = iotEdge ? parentScopes[0] : (deviceScope ?? undefined);
  // An edge device that says nothing of its parent keeps it; a leaf that says nothing has none (facts §6).
  const above = iotEdge && value['parentScopes'] === undefined ? {} : { parentScope: scope ?? null };
  const identity =
    moduleId === null
      ? { status, statusReason, ...(value['capabilities'] === undefined ? {} : { iotEdge }), ...above }
      : {};
  return checked({
    ...named,
    op,
    mode,
    ...guards,
    ...identity,
    ...(given === undefined ? {} : { authentication: given }),
    ...twin,
  });
}

function parsed(text: string): ReturnType<typeof parseLine> {
  try {
    return parseLine(text);
  } catch (error) {
    if (error instanceof HubferryError) throw new Fault(error.message);
    throw error;
  }
}
