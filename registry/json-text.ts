import { isJsonObject, type JsonObject } from './record.js';

/** What a value is printed as: text, and values that are printed in turn. */
export type Piece = string | { readonly value: unknown };

/**
 * A parsed JSON value as text, nested however deep: `JSON.stringify` ends with the call stack, and a registry may hold
 * lists in lists for as long as a line is.
 *
 * @param piecesOf what an object is printed as; left out: as `JSON.stringify` prints it
 */
export function jsonText(
  root: unknown,
  piecesOf: (object: JsonObject) => readonly Piece[] = members,
): string {
  let text = '';
  const todo: Piece[] = [{ value: root }];
  for (let piece = todo.pop(); piece !== undefined; piece = todo.pop()) {
    if (typeof piece === 'string') text += piece;
    else if (Array.isArray(piece.value)) stack(todo, listed(piece.value));
    else if (isJsonObject(piece.value)) stack(todo, piecesOf(piece.value));
    else text += piece.value === undefined ? 'null' : JSON.stringify(piece.value);
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
