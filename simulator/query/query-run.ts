import { randomUUID } from 'node:crypto';
import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import { isModule, type StoredRecord } from '../records/records.js';
import type { RegistryStore } from '../records/store.js';
import { twinJson } from '../records/views.js';
import {
  type Condition,
  type FieldPath,
  type FunctionName,
  type Literal,
  parseQuery,
  type Query,
} from './query.js';

export interface QueryPage {
  readonly rows: Json[];
  readonly itemType: 'Twin' | 'Raw';
  /** Undefined on the last page: the header must then be left out (§1.6). */
  readonly continuation: string | undefined;
}

/** Rows per page when the client does not say, and the most it gets (§1.6). */
const defaultPage = 100;
const largestPage = 1000;
/** Open cursors kept; older ones are found again by counting. */
const cursorLimit = 64;

interface Cursor {
  readonly rows: Iterator<Json>;
  ahead: IteratorResult<Json>;
}

/** Runs queries of one hub, page by page. */
export class Queries {
  readonly #cursors = new Map<string, Cursor>();

  constructor(readonly store: RegistryStore) {}

  /**
   * @param pageSize what the client asked for.
   * @param continuation the token of the page before; it only fits the same query text.
   * @throws {ServiceError} ArgumentInvalid for a bad query or token.
   */
  page(text: string, pageSize: number | undefined, continuation: string | undefined): QueryPage {
    const query = parseQuery(text);
    const itemType = query.selection.kind === 'all' ? 'Twin' : 'Raw';
    const size = Math.max(1, Math.min(pageSize ?? defaultPage, largestPage));
    const token = continuation === undefined ? undefined : readToken(continuation, text);
    const cursor = this.#open(query, token);
    const rows: Json[] = [];
    while (rows.length < size && cursor.ahead.done !== true) {
      rows.push(cursor.ahead.value);
      cursor.ahead = cursor.rows.next();
    }
    if (cursor.ahead.done === true) return { rows, itemType, continuation: undefined };
    const id = randomUUID();
    this.#keep(id, cursor);
    return { rows, itemType, continuation: writeToken({ id, skip: (token?.skip ?? 0) + rows.length }, text) };
  }

  #open(query: Query, token: Token | undefined): Cursor {
    const kept = token === undefined ? undefined : this.#cursors.get(token.id);
    if (token !== undefined && kept !== undefined) {
      this.#cursors.delete(token.id);
      return kept;
    }
    const rows = selectRows(this.store, query)[Symbol.iterator]();
    // A page asked for again, after its reply was lost: its cursor has moved on.
    for (let skipped = 0; skipped < (token?.skip ?? 0); skipped++) rows.next();
    return { rows, ahead: rows.next() };
  }

  #keep(id: string, cursor: Cursor): void {
    this.#cursors.set(id, cursor);
    for (const oldest of this.#cursors.keys()) {
      if (this.#cursors.size <= cursorLimit) break;
      this.#cursors.delete(oldest);
    }
  }
}

interface Token {
  readonly id: string;
  readonly skip: number;
}

function writeToken(token: Token, text: string): string {
  return Buffer.from(JSON.stringify([token.id, token.skip, text])).toString('base64url');
}

function readToken(token: string, text: string): Token {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (
      Array.isArray(parsed) &&
      typeof parsed[0] === 'string' &&
      Number.isSafeInteger(parsed[1]) &&
      parsed[2] === text
    ) {
      return { id: parsed[0], skip: parsed[1] as number };
    }
  } catch {
    // Reported below like every other bad token.
  }
  throw new ServiceError('ArgumentInvalid', 'BadRequest: the continuation token is invalid');
}

function* selectRows(store: RegistryStore, query: Query): Iterable<Json> {
  const { selection } = query;
  if (selection.kind === 'count') {
    let count = 0;
    for (const _ of matches(store, query)) count++;
    yield { [selection.alias]: count };
    return;
  }
  for (const row of matches(store, query)) {
    if (selection.kind === 'all') {
      yield row.twin();
      continue;
    }
    const picked: JsonObject = {};
    for (const { path, alias } of selection.fields) {
      const value = row.value(path);
      if (value !== undefined) setKey(picked, alias, value);
    }
    yield picked;
  }
}

function* matches(store: RegistryStore, query: Query): Iterable<Row> {
  for (const record of candidates(store, query)) {
    const row = new Row(record);
    if (query.where === undefined || holds(row, query.where) === true) yield row;
  }
}

function* candidates(store: RegistryStore, query: Query): Iterable<StoredRecord> {
  const ids = query.where === undefined ? undefined : namedDevices(query.where);
  if (ids !== undefined) {
    for (const id of ids) {
      const device = store.seeDevice(id, 'query');
      if (device === undefined) continue;
      if (query.from === 'devices') yield device;
      else yield* store.seeModulesOf(id, 'query');
    }
    return;
  }
  for (const device of store.seeDevices('query')) {
    if (query.from === 'devices') yield device;
    else yield* store.seeModulesOf(device.deviceId, 'query');
  }
}

/** Device ids to which a condition limits the result, so that a look-up by id does not walk the whole registry. */
function namedDevices(where: Condition): Set<string> | undefined {
  if (where.kind === 'and') return namedDevices(where.left) ?? namedDevices(where.right);
  if (where.kind !== 'compare' && where.kind !== 'in') return undefined;
  if (where.path.length !== 1 || where.path[0] !== 'deviceId') return undefined;
  if (where.kind === 'compare') return where.operator === '=' ? new Set([String(where.value)]) : undefined;
  return new Set(where.values.map(String));
}

/** One record as the query language sees it: a twin, built only when a field is asked for that needs it. */
class Row {
  #twin: JsonObject | undefined;
  constructor(readonly record: StoredRecord) {}

  twin(): JsonObject {
    this.#twin ??= twinJson(this.record);
    return this.#twin;
  }

  value(path: FieldPath): Json | undefined {
    const names = path[0] === 'devices' ? path.slice(1) : path;
    const { record } = this;
    if (names.length === 1 && names[0] === 'deviceId') return record.deviceId;
    if (!isModule(record)) {
      if (names.length === 1 && names[0] === 'status') return record.enabled ? 'enabled' : 'disabled';
      if (names.length === 2 && names[0] === 'capabilities' && names[1] === 'iotEdge') return record.iotEdge;
    }
    let value: Json | undefined = this.twin();
    for (const name of names) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    return value;
  }
}

/** Undefined when a field that the condition needs is not there: such a row never matches, not even under NOT. */
function holds(row: Row, condition: Condition): boolean | undefined {
  switch (condition.kind) {
    case 'and': {
      const left = holds(row, condition.left);
      return left === false ? false : combine(left, holds(row, condition.right), false);
    }
    case 'or': {
      const left = holds(row, condition.left);
      return left === true ? true : combine(left, holds(row, condition.right), true);
    }
    case 'not': {
      const inner = holds(row, condition.operand);
      return inner === undefined ? undefined : !inner;
    }
    case 'in': {
      const value = row.value(condition.path);
      return value === undefined ? undefined : condition.values.some((one) => one === value);
    }
    case 'compare': {
      const value = row.value(condition.path);
      return value === undefined ? undefined : compare(value, condition.operator, condition.value);
    }
    default:
      return callHolds(row.value(condition.path), condition.name, condition.argument);
  }
}

function callHolds(value: Json | undefined, name: FunctionName, argument: Literal): boolean | undefined {
  if (name === 'is_defined') return value !== undefined;
  if (name === 'array_contains') return Array.isArray(value) && value.includes(argument);
  if (typeof value !== 'string' || typeof argument !== 'string') return undefined;
  return name === 'startswith' ? value.startsWith(argument) : value.endsWith(argument);
}

function combine(
  left: boolean | undefined,
  right: boolean | undefined,
  winner: boolean,
): boolean | undefined {
  if (right === winner) return winner;
  return left === undefined || right === undefined ? undefined : !winner;
}

function compare(value: Json, operator: string, wanted: Literal): boolean | undefined {
  if (operator === '=') return value === wanted;
  if (operator === '!=') return value !== wanted;
  if (typeof value !== typeof wanted || (typeof value !== 'number' && typeof value !== 'string'))
    return undefined;
  const other = wanted as string | number;
  if (operator === '<') return value < other;
  if (operator === '<=') return value <= other;
  return operator === '>' ? value > other : value >= other;
}
