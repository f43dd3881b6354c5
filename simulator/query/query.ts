import { ServiceError } from '../errors.js';

export type Literal = string | number | boolean | null;

/** Names separated by dots, e.g. `properties.desired.level`. */
export type FieldPath = readonly string[];

export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly operand: Condition }
  | {
      readonly kind: 'compare';
      readonly path: FieldPath;
      readonly operator: ComparisonOperator;
      readonly value: Literal;
    }
  | { readonly kind: 'in'; readonly path: FieldPath; readonly values: readonly Literal[] }
  | {
      readonly kind: 'call';
      readonly name: FunctionName;
      readonly path: FieldPath;
      readonly argument: Literal;
    };

export type FunctionName = 'is_defined' | 'startswith' | 'endswith' | 'array_contains';

export type Selection =
  | { readonly kind: 'all' }
  | { readonly kind: 'count'; readonly alias: string }
  | {
      readonly kind: 'fields';
      readonly fields: readonly { readonly path: FieldPath; readonly alias: string }[];
    };

export interface Query {
  readonly selection: Selection;
  readonly from: 'devices' | 'devices.modules';
  readonly where: Condition | undefined;
}

/** Longest query text in bytes; a longer one is answered with PreconditionFailed (§1.6). */
const longestQuery = 8 * 1024;

/**
 * Parses the part of the query language that this simulator knows.
 * @throws {ServiceError} ArgumentInvalid for a syntax error, PreconditionFailed for a text that is too long.
 */
export function parseQuery(text: string): Query {
  if (Buffer.byteLength(text) > longestQuery)
    throw new ServiceError('PreconditionFailed', 'The query is too long.');
  return new Parser(tokenize(text)).query();
}

type Token =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'symbol'; readonly text: string };

const tokenPattern =
  /\s+|([A-Za-z_$][\w$]*)|(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(<>|!=|<=|>=|[=<>()[\],.*])/sy;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw badQuery(`unexpected character at position ${at}`);
    const [, word, number, quoted, symbol] = match;
    if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else if (number !== undefined) tokens.push({ kind: 'literal', value: Number(number) });
    else if (quoted !== undefined) tokens.push({ kind: 'literal', value: unescape(quoted.slice(1, -1)) });
    else if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol });
  }
  return tokens;
}

function unescape(text: string): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|.)/gs, (_match, escaped: string) =>
    escaped.length === 5 ? String.fromCharCode(Number.parseInt(escaped.slice(1), 16)) : escaped,
  );
}

const functionNames: readonly string[] = ['is_defined', 'startswith', 'endswith', 'array_contains'];

/** Recursive descent, one method per rule of the grammar. */
class Parser {
  #at = 0;
  constructor(readonly tokens: readonly Token[]) {}

  query(): Query {
    this.#expectWord('select');
    const selection = this.#selection();
    this.#expectWord('from');
    const source = this.#path().join('.').toLowerCase();
    if (source !== 'devices' && source !== 'devices.modules')
      throw badQuery(`unknown collection '${source}'`);
    const where = this.#takeWord('where') ? this.#or() : undefined;
    if (this.#at < this.tokens.length) throw badQuery('text after the end of the query');
    return { selection, from: source, where };
  }

  #selection(): Selection {
    if (this.#takeSymbol('*')) return { kind: 'all' };
    if (this.#isWord('count') && this.#symbolAfter() === '(') {
      this.#at++;
      this.#expectSymbol('(');
      this.#takeSymbol('*');
      this.#expectSymbol(')');
      return { kind: 'count', alias: this.#alias() ?? 'count' };
    }
    const fields = [];
    do {
      const path = this.#path();
      fields.push({ path, alias: this.#alias() ?? path.at(-1) ?? '' });
    } while (this.#takeSymbol(','));
    return { kind: 'fields', fields };
  }

  #alias(): string | undefined {
    if (!this.#takeWord('as')) return undefined;
    return this.#word();
  }

  #or(): Condition {
    let left = this.#and();
    while (this.#takeWord('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Condition {
    let left = this.#not();
    while (this.#takeWord('and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Condition {
    if (this.#takeWord('not')) return { kind: 'not', operand: this.#not() };
    if (this.#takeSymbol('(')) {
      const inner = this.#or();
      this.#expectSymbol(')');
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Condition {
    const token = this.#peek();
    if (token?.kind === 'word' && this.#symbolAfter() === '(') return this.#call(token.text.toLowerCase());
    const path = this.#path();
    if (this.#takeWord('in')) return { kind: 'in', path, values: this.#list() };
    const symbol = this.#peek();
    const operator = symbol?.kind === 'symbol' ? (symbol.text === '<>' ? '!=' : symbol.text) : undefined;
    if (!isOperator(operator)) throw badQuery('a comparison is missing');
    this.#at++;
    return { kind: 'compare', path, operator, value: this.#literal() };
  }

  #call(name: string): Condition {
    if (!functionNames.includes(name)) throw badQuery(`unknown function '${name}'`);
    this.#at++;
    this.#expectSymbol('(');
    const path = this.#path();
    let argument: Literal = null;
    if (name !== 'is_defined') {
      this.#expectSymbol(',');
      argument = this.#literal();
    }
    this.#expectSymbol(')');
    return { kind: 'call', name: name as FunctionName, path, argument };
  }

  #list(): Literal[] {
    this.#expectSymbol('[');
    const values: Literal[] = [];
    if (this.#takeSymbol(']')) return values;
    do values.push(this.#literal());
    while (this.#takeSymbol(','));
    this.#expectSymbol(']');
    return values;
  }

  #literal(): Literal {
    const token = this.#peek();
    this.#at++;
    if (token?.kind === 'literal') return token.value;
    const word = token?.kind === 'word' ? token.text.toLowerCase() : undefined;
    if (word === 'true') return true;
    if (word === 'false') return false;
    if (word === 'null') return null;
    throw badQuery('a value is missing');
  }

  #path(): string[] {
    const path = [this.#word()];
    while (this.#takeSymbol('.')) path.push(this.#word());
    return path;
  }

  #word(): string {
    const token = this.#peek();
    if (token?.kind !== 'word') throw badQuery('a name is missing');
    this.#at++;
    return token.text;
  }

  #peek(): Token | undefined {
    return this.tokens[this.#at];
  }
  #symbolAfter(): string | undefined {
    const token = this.tokens[this.#at + 1];
    return token?.kind === 'symbol' ? token.text : undefined;
  }
  #isWord(word: string): boolean {
    const token = this.#peek();
    return token?.kind === 'word' && token.text.toLowerCase() === word;
  }
  #takeWord(word: string): boolean {
    const found = this.#isWord(word);
    if (found) this.#at++;
    return found;
  }
  #takeSymbol(text: string): boolean {
    const token = this.#peek();
    const found = token?.kind === 'symbol' && token.text === text;
    if (found) this.#at++;
    return found;
  }
  #expectWord(word: string): void {
    if (!this.#takeWord(word)) throw badQuery(`'${word}' is missing`);
  }
  #expectSymbol(text: string): void {
    if (!this.#takeSymbol(text)) throw badQuery(`'${text}' is missing`);
  }
}

function isOperator(text: string | undefined): text is ComparisonOperator {
  return text !== undefined && ['=', '!=', '<', '<=', '>', '>='].includes(text);
}

function badQuery(why: string): ServiceError {
  return new ServiceError('ArgumentInvalid', `BadRequest: ${why}`);
}
