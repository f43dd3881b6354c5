import { ServiceError } from '../errors.js';

export type Token =
  /** `bracketed`: was written `[[name]]`, so that it is a name whatever it looks like. */
  | { readonly kind: 'word'; readonly text: string; readonly bracketed: boolean }
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'symbol'; readonly text: string };

/** Longest text in bytes; a longer one is answered with PreconditionFailed (§1.6). */
const longestText = 8 * 1024;

const tokenPattern = new RegExp(
  [
    String.raw`\s+`,
    String.raw`([A-Za-z_$][\w$]*)`,
    String.raw`\[\[([^[\]]+)\]\]`,
    String.raw`(0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)`,
    String.raw`('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")`,
    String.raw`(<>|!=|<=|>=|[=<>()[\],.*+\-/%])`,
  ].join('|'),
  'sy',
);

/**
 * Cuts a query or a condition into tokens.
 * @throws {ServiceError} ArgumentInvalid for a character that fits nowhere, PreconditionFailed for a text over 8 KB.
 */
export function tokenize(text: string): Token[] {
  if (Buffer.byteLength(text) > longestText) {
    throw new ServiceError('PreconditionFailed', 'The query is too long.');
  }
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw badQuery(`unexpected character at position ${at}`);
    const [, word, bracketed, number, quoted, symbol] = match;
    if (word !== undefined) tokens.push({ kind: 'word', text: word, bracketed: false });
    else if (bracketed !== undefined) tokens.push({ kind: 'word', text: bracketed, bracketed: true });
    else if (number !== undefined) tokens.push({ kind: 'literal', value: Number(number) });
    else if (quoted !== undefined) tokens.push({ kind: 'literal', value: unescape(quoted.slice(1, -1)) });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol });
  }
  return tokens;
}

/** What every syntax error is answered with (§1.6, seen live). */
export function badQuery(why: string): ServiceError {
  return new ServiceError('ArgumentInvalid', `BadRequest: ${why}`);
}

function unescape(text: string): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|.)/gs, (_match, escaped: string) => {
    if (escaped.length === 5) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    if (escaped === "'" || escaped === '"' || escaped === '\\') return escaped;
    throw badQuery(`unknown escape '\\${escaped}'`);
  });
}
