import { isJsonObject, type JsonObject } from './record.js';

/** What a value is printed as: text, and values that are printed in turn. */
export type Piece = string | { readonly value: unknown };

/**
 * A parsed JSON value as text, nested however deep: `JSON.stringify` ends with the call stack, and a registry may hold
 * lists in lists for as long as a line is.
 *
 * @param piecesOf what an object is printed as; left out: as `JSON.stringify` prints it
 */
export function jsonText(root: unknown, piecesOf: PiecesOf = members): string {
  return shallowText(root, piecesOf, SHALLOW);
}

type PiecesOf = (object: JsonObject) => readonly Piece[];

/** Levels that are printed by calls of calls, which is quicker. */
const SHALLOW = 64;

function shallowText(value: unknown, piecesOf: PiecesOf, levels: number): string {
  const isList = Array.isArray(value);
  if (!isList && !isJsonObject(value)) return scalarText(value);
  if (levels === 0) return deepText(value, piecesOf);
  let text = '';
  if (isList) {
    for (const item of value) text += `${text === '' ? '' : ','}${shallowText(item, piecesOf, levels - 1)}`;
    return `[${text}]`;
  }
  for (const piece of piecesOf(value))
    text += typeof piece === 'string' ? piece : shallowText(piece.value, piecesOf, levels - 1);
  return text;
}

const scalarText = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));

function deepText(root: unknown, piecesOf: PiecesOf): string {
  let text = '';
  const todo: Piece[] = [{ value: root }];
  for (let piece = todo.pop(); piece !== undefined; piece = todo.pop()) {
    if (typeof piece === 'string') text += piece;
    else if (Array.isArray(piece.value)) stack(todo, listed(piece.value));
    else if (isJsonObject(piece.value)) stack(todo, piecesOf(piece.value));
    else text += scalarText(piece.value);
  }
  return text;
}

/** The first one comes to lie on top. One by one, since as arguments they would need the call stack, too. */
function stack(todo: Piece[], pieces: readonly Piece[]): void {
  for (const piece of pieces.toReversed()) todo.push(piece);
}

/** A list of values, printed. */
function listed(values: readonly unknown[]): Piece[] {
  return ['[', ...values.flatMap((value, index) => [...(index === 0 ? [] : [',']), { value }]), ']'];
}

function members(object: JsonObject): Piece[] {
  const printed = Object.keys(object).flatMap((name, index) => [
    `${index === 0 ? '' : ','}${JSON.stringify(name)}:`,
    { value: object[name] },
  ]);
  return ['{', ...printed, '}'];
}
