import { createHash, randomUUID } from 'node:crypto';
import type { Json } from '../json.js';
import type { StoredRecord } from '../records/records.js';
import type { RegistryStore } from '../records/store.js';
import { holds } from './condition.js';
import { type Condition, type Expression, parseQuery, type Query } from './query.js';
import { Row, spelled } from './row.js';
import { aggregate, project } from './select.js';
import { badQuery } from './tokens.js';

export interface QueryPage {
  readonly rows: Json[];
  /** What the rows are (§1.6). */
  readonly itemType: 'Twin' | 'Raw' | 'DeviceJob';
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
   * @param pageSize rows that the client asked for; the service takes another size when it likes to (§1.6).
   * @param continuation the token of the page before; it only fits the same query text.
   * @throws {ServiceError} ArgumentInvalid for a bad query or token, PreconditionFailed for a text over 8 KB.
   */
  page(text: string, pageSize: number | undefined, continuation: string | undefined): QueryPage {
    const query = parseQuery(text);
    const size = Math.max(1, Math.min(pageSize ?? defaultPage, largestPage));
    const token = continuation === undefined ? undefined : readToken(continuation, text);
    const cursor = this.#open(query, token);
    const rows: Json[] = [];
    while (rows.length < size && cursor.ahead.done !== true) {
      rows.push(cursor.ahead.value);
      cursor.ahead = cursor.rows.next();
    }
    const itemType = itemTypeOf(query);
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
    let ahead = rows.next();
    // A page asked for again, after its reply was lost: its cursor has moved on.
    for (let left = token?.skip ?? 0; left > 0 && ahead.done !== true; left--) ahead = rows.next();
    return { rows, ahead };
  }

  #keep(id: string, cursor: Cursor): void {
    this.#cursors.set(id, cursor);
    for (const oldest of this.#cursors.keys()) {
      if (this.#cursors.size <= cursorLimit) break;
      this.#cursors.delete(oldest);
    }
  }
}

/** How many rows a query has, which is what a metric of a configuration shows. */
export function countRows(store: RegistryStore, query: Query): number {
  let count = 0;
  // Rows that are only counted need not be built, unless there are fewer rows than twins.
  for (const _ of aggregates(query) ? allRows(store, query) : matches(store, query)) count++;
  return Math.min(count, query.top ?? count);
}

function itemTypeOf({ from, columns }: Query): QueryPage['itemType'] {
  if (from === 'devices.jobs') return 'DeviceJob';
  return columns === undefined ? 'Twin' : 'Raw';
}

interface Token {
  readonly id: string;
  readonly skip: number;
}

function writeToken(token: Token, text: string): string {
  return Buffer.from(JSON.stringify([token.id, token.skip, digest(text)])).toString('base64url');
}

function readToken(token: string, text: string): Token {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (
      Array.isArray(parsed) &&
      typeof parsed[0] === 'string' &&
      Number.isSafeInteger(parsed[1]) &&
      parsed[2] === digest(text)
    ) {
      return { id: parsed[0], skip: parsed[1] as number };
    }
  } catch {
    // Reported below like every other bad token.
  }
  throw badQuery('the continuation token is invalid');
}

/** A token goes through a header: the text itself would be too long for it. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function* selectRows(store: RegistryStore, query: Query): Iterable<Json> {
  let left = query.top ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for (const row of allRows(store, query)) {
    yield row;
    if (--left <= 0) return;
  }
}

function aggregates({ columns, groupBy }: Query): boolean {
  return groupBy !== undefined || columns?.some(({ kind }) => kind === 'aggregate') === true;
}

function* allRows(store: RegistryStore, query: Query): Iterable<Json> {
  const { columns } = query;
  if (aggregates(query)) {
    yield* aggregate(matches(store, query), columns ?? [], query.groupBy);
    return;
  }
  for (const row of matches(store, query)) {
    yield columns === undefined ? row.twin() : project(row, columns);
  }
}

function* matches(store: RegistryStore, query: Query): Iterable<Row> {
  for (const record of candidates(store, query)) {
    const row = new Row(record, store.settings);
    if (query.where === undefined || holds(row, query.where)) yield row;
  }
}

function* candidates(store: RegistryStore, { from, where }: Query): Iterable<StoredRecord> {
  // Scheduled jobs are not simulated: nobody can have made one.
  if (from === 'devices.jobs') return;
  const ids = where === undefined ? undefined : namedDevices(where);
  if (ids !== undefined) {
    for (const id of ids) {
      const device = store.seeDevice(id, 'query');
      if (device === undefined) continue;
      if (from === 'devices') yield device;
      else yield* store.seeModulesOf(id, 'query');
    }
    return;
  }
  for (const device of store.seeDevices('query')) {
    if (from === 'devices') yield device;
    else yield* store.seeModulesOf(device.deviceId, 'query');
  }
}

/** Device ids to which a condition limits the result, so that a look-up by id does not walk the whole registry. */
function namedDevices(where: Condition): Set<string> | undefined {
  if (where.kind === 'and') {
    for (const operand of where.operands) {
      const ids = namedDevices(operand);
      if (ids !== undefined) return ids;
    }
    return undefined;
  }
  if (where.kind === 'in' && !where.negated && isDeviceId(where.operand)) {
    return new Set(where.values.map(String));
  }
  if (where.kind !== 'compare' || where.operator !== '=') return undefined;
  const [named, value] = isDeviceId(where.left) ? [where.left, where.right] : [where.right, where.left];
  return isDeviceId(named) && value.kind === 'value' ? new Set([String(value.value)]) : undefined;
}

function isDeviceId(expression: Expression): boolean {
  if (expression.kind !== 'field') return false;
  const path = spelled(expression.path);
  return path.length === 1 && path[0] === 'deviceId';
}
