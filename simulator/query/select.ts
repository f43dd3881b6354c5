import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import type { AggregateName, Column, FieldPath } from './query.js';
import { type Row, spelled } from './row.js';

/** The fields of one row, under their aliases or the last part of their names; those that are not there are left out. */
export function project(row: Row, columns: readonly Column[]): JsonObject {
  const picked: JsonObject = {};
  for (const column of columns) {
    if (column.kind !== 'field') continue;
    const value = row.value(column.path);
    if (value !== undefined) setKey(picked, aliasOf(column.path, column.alias), value);
  }
  return picked;
}

/**
 * Counts, sums and so on over rows, one result per value of `groupBy`, in the order in which the values came. Rows
 * without that field form a group of their own; without `groupBy` there is one group, even of nothing.
 */
export function aggregate(
  rows: Iterable<Row>,
  columns: readonly Column[],
  groupBy: FieldPath | undefined,
): JsonObject[] {
  const groups = new Map<string, Group>();
  if (groupBy === undefined) groups.set('', new Group(columns, undefined));
  for (const row of rows) {
    const value = groupBy === undefined ? undefined : row.value(groupBy);
    const key = groupBy === undefined ? '' : JSON.stringify(value ?? [value]);
    let group = groups.get(key);
    if (group === undefined) {
      group = new Group(columns, value);
      groups.set(key, group);
    }
    group.add(row);
  }
  return [...groups.values()].map((group) => group.json());
}

class Group {
  readonly #totals: readonly Total[];

  constructor(
    readonly columns: readonly Column[],
    readonly value: Json | undefined,
  ) {
    this.#totals = columns.map(() => ({ count: 0, sum: 0, low: undefined, high: undefined }));
  }

  add(row: Row): void {
    for (const [i, column] of this.columns.entries()) {
      const total = this.#totals[i];
      if (total === undefined || column.kind === 'field') continue;
      const value = column.path === undefined ? undefined : row.value(column.path);
      if (column.name === 'count') total.count++;
      else if (value !== undefined && !isObject(value) && !Array.isArray(value)) addValue(total, value);
    }
  }

  json(): JsonObject {
    const json: JsonObject = {};
    for (const [i, column] of this.columns.entries()) {
      const total = this.#totals[i];
      if (column.kind === 'field') {
        if (this.value !== undefined) setKey(json, aliasOf(column.path, column.alias), this.value);
      } else if (total !== undefined) {
        const value = result(column.name, total);
        if (value !== undefined) setKey(json, column.alias, value);
      }
    }
    return json;
  }
}

type Primitive = string | number | boolean | null;

interface Total {
  count: number;
  sum: number;
  low: Primitive | undefined;
  high: Primitive | undefined;
}

function addValue(total: Total, value: Primitive): void {
  if (typeof value === 'number') {
    total.count++;
    total.sum += value;
  }
  if (value === null || typeof value === 'boolean') return;
  if (total.low === undefined || smaller(value, total.low)) total.low = value;
  if (total.high === undefined || smaller(total.high, value)) total.high = value;
}

/** Values of different types keep the order in which they came. */
function smaller(one: Primitive, other: Primitive): boolean {
  if (typeof one === 'number' && typeof other === 'number') return one < other;
  return typeof one === 'string' && typeof other === 'string' && one < other;
}

function result(name: AggregateName, total: Total): Json | undefined {
  switch (name) {
    case 'count':
      return total.count;
    case 'sum':
      return total.sum;
    case 'avg':
      return total.count === 0 ? undefined : total.sum / total.count;
    case 'min':
      return total.low;
    default:
      return total.high;
  }
}

function aliasOf(path: FieldPath, alias: string | undefined): string {
  return alias ?? spelled(path).at(-1) ?? '';
}
