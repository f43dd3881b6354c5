import { badQuery, type Token, tokenize } from './tokens.js';

export type Literal = string | number | boolean | null;

/** Names separated by dots, e.g. `properties.desired.level`. */
export type FieldPath = readonly string[];

export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%';

/** What can be computed from one twin. */
export type Expression =
  | { readonly kind: 'value'; readonly value: Literal | undefined }
  | { readonly kind: 'field'; readonly path: FieldPath }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expression[] }
  | { readonly kind: 'not'; readonly operand: Expression }
  | {
      readonly kind: 'compare';
      readonly left: Expression;
      readonly operator: ComparisonOperator;
      readonly right: Expression;
    }
  | {
      readonly kind: 'in';
      readonly operand: Expression;
      readonly values: readonly Literal[];
      readonly negated: boolean;
    }
  | { readonly kind: 'arithmetic'; readonly first: Expression; readonly steps: readonly ArithmeticStep[] }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly operands: readonly Expression[] };

export interface ArithmeticStep {
  readonly operator: ArithmeticOperator;
  readonly operand: Expression;
}

/** An expression that is asked whether it is true. */
export type Condition = Expression;

/** Functions by name, with the number of their arguments. */
const argumentCounts = {
  is_defined: 1,
  is_null: 1,
  is_bool: 1,
  is_number: 1,
  is_string: 1,
  is_object: 1,
  is_array: 1,
  is_primitive: 1,
  startswith: 2,
  endswith: 2,
  contains: 2,
  array_contains: 2,
} as const;

export type FunctionName = keyof typeof argumentCounts;

/** Routes spell these with an underscore; here both are taken. */
const spellings: ReadonlyMap<string, FunctionName> = new Map([
  ...Object.keys(argumentCounts).map((name): [string, FunctionName] => [name, name as FunctionName]),
  ['starts_with', 'startswith'],
  ['ends_with', 'endswith'],
]);

const aggregateNames = ['count', 'sum', 'avg', 'min', 'max'] as const;

export type AggregateName = (typeof aggregateNames)[number];

/** One column of a select list. */
export type Column =
  | { readonly kind: 'field'; readonly path: FieldPath; readonly alias: string | undefined }
  | {
      readonly kind: 'aggregate';
      readonly name: AggregateName;
      /** Undefined for COUNT(). */
      readonly path: FieldPath | undefined;
      readonly alias: string;
    };

export type Collection = 'devices' | 'devices.modules' | 'devices.jobs';

export interface Query {
  /** Undefined: `*`. */
  readonly columns: readonly Column[] | undefined;
  /** The most rows; undefined: all. */
  readonly top: number | undefined;
  readonly from: Collection;
  readonly where: Condition | undefined;
  readonly groupBy: FieldPath | undefined;
}

/** Parentheses and negations inside each other; a deeper text would only be there to break the parser. */
const deepestNesting = 100;

/**
 * Parses a query.
 * @throws {ServiceError} ArgumentInvalid for a syntax error, PreconditionFailed for a text over 8 KB (§1.6).
 */
export function parseQuery(text: string): Query {
  return new Parser(tokenize(text)).query();
}

/**
 * Parses what may stand behind WHERE, e.g. the target condition of a configuration.
 * @throws {ServiceError} ArgumentInvalid for a syntax error, PreconditionFailed for a text over 8 KB (§1.6).
 */
export function parseCondition(text: string): Condition {
  return new Parser(tokenize(text)).condition();
}

/** Every field that a condition looks at, as it was written. */
export function conditionFields(condition: Condition): FieldPath[] {
  switch (condition.kind) {
    case 'value':
      return [];
    case 'field':
      return [condition.path];
    case 'and':
    case 'or':
    case 'call':
      return condition.operands.flatMap(conditionFields);
    case 'not':
    case 'in':
      return conditionFields(condition.operand);
    case 'compare':
      return [condition.left, condition.right].flatMap(conditionFields);
    default:
      return [condition.first, ...condition.steps.map(({ operand }) => operand)].flatMap(conditionFields);
  }
}

/** Recursive descent, one method per rule of the grammar. */
class Parser {
  #at = 0;
  #nesting = 0;
  constructor(readonly tokens: readonly Token[]) {}

  query(): Query {
    this.#expectWord('select');
    const top = this.#takeWord('top') ? this.#rowCount() : undefined;
    const columns = this.#takeSymbol('*') ? undefined : this.#columns();
    this.#expectWord('from');
    const from = this.#collection();
    const where = this.#takeWord('where') ? this.#or() : undefined;
    const groupBy = this.#takeWord('group') ? this.#groupBy() : undefined;
    if (this.#at < this.tokens.length) throw badQuery('text after the end of the query');
    const query = { columns, top, from, where, groupBy };
    checkShape(query);
    return query;
  }

  condition(): Condition {
    const condition = this.#or();
    if (this.#at < this.tokens.length) throw badQuery('text after the end of the condition');
    return condition;
  }

  #rowCount(): number {
    const token = this.#peek();
    if (token?.kind !== 'literal' || !Number.isInteger(token.value)) throw badQuery('a number is missing');
    this.#at++;
    return Number(token.value);
  }

  #collection(): Collection {
    const name = this.#path().join('.').toLowerCase();
    if (name === 'devices' || name === 'devices.modules' || name === 'devices.jobs') return name;
    throw badQuery(`unknown collection '${name}'`);
  }

  #groupBy(): FieldPath {
    this.#expectWord('by');
    return this.#path();
  }

  #columns(): Column[] {
    const columns: Column[] = [];
    do columns.push(this.#column());
    while (this.#takeSymbol(','));
    return columns;
  }

  #column(): Column {
    const name = this.#symbolAfter() === '(' ? this.#peekWord() : undefined;
    const aggregate = aggregateNames.find((one) => one === name);
    if (aggregate === undefined) return { kind: 'field', path: this.#path(), alias: this.#alias() };
    this.#at++;
    this.#expectSymbol('(');
    if (aggregate === 'count') this.#takeSymbol('*');
    const path = aggregate === 'count' ? undefined : this.#path();
    this.#expectSymbol(')');
    return { kind: 'aggregate', name: aggregate, path, alias: this.#alias() ?? aggregate };
  }

  #alias(): string | undefined {
    return this.#takeWord('as') ? this.#name() : undefined;
  }

  #or(): Expression {
    return this.#chain('or', () => this.#and());
  }

  #and(): Expression {
    return this.#chain('and', () => this.#not());
  }

  #chain(kind: 'and' | 'or', next: () => Expression): Expression {
    const first = next();
    const operands = [first];
    while (this.#takeWord(kind)) operands.push(next());
    return operands.length === 1 ? first : { kind, operands };
  }

  #not(): Expression {
    if (!this.#takeWord('not')) return this.#comparison();
    return { kind: 'not', operand: this.#nested(() => this.#not()) };
  }

  #comparison(): Expression {
    const left = this.#sum();
    if (this.#takeWord('in')) return { kind: 'in', operand: left, values: this.#list(), negated: false };
    if (this.#takeWord('nin')) return { kind: 'in', operand: left, values: this.#list(), negated: true };
    if (this.#takeWord('not')) {
      this.#expectWord('in');
      return { kind: 'in', operand: left, values: this.#list(), negated: true };
    }
    const operator = comparisonOperators.get(this.#peekSymbol() ?? '');
    if (operator === undefined) return left;
    this.#at++;
    return { kind: 'compare', left, operator, right: this.#sum() };
  }

  #sum(): Expression {
    return this.#arithmetic(['+', '-'], () => this.#arithmetic(['*', '/', '%'], () => this.#operand()));
  }

  #arithmetic(operators: readonly ArithmeticOperator[], next: () => Expression): Expression {
    const first = next();
    const steps: ArithmeticStep[] = [];
    for (;;) {
      const operator = operators.find((one) => this.#takeSymbol(one));
      if (operator === undefined) return steps.length === 0 ? first : { kind: 'arithmetic', first, steps };
      steps.push({ operator, operand: next() });
    }
  }

  #operand(): Expression {
    if (this.#takeSymbol('(')) {
      const inner = this.#nested(() => this.#or());
      this.#expectSymbol(')');
      return inner;
    }
    if (this.#isConstant()) return { kind: 'value', value: this.#constant() };
    const token = this.#peek();
    if (token?.kind === 'word' && !token.bracketed && this.#symbolAfter() === '(') {
      return this.#call(token.text.toLowerCase());
    }
    return { kind: 'field', path: this.#path() };
  }

  #call(spelling: string): Expression {
    const name = spellings.get(spelling);
    if (name === undefined) throw badQuery(`unknown function '${spelling}'`);
    this.#at++;
    this.#expectSymbol('(');
    const operands: Expression[] = [];
    do operands.push(this.#nested(() => this.#sum()));
    while (this.#takeSymbol(','));
    this.#expectSymbol(')');
    if (operands.length !== argumentCounts[name]) throw badQuery(`wrong number of arguments for '${name}'`);
    return { kind: 'call', name, operands };
  }

  #list(): Literal[] {
    this.#expectSymbol('[');
    const values: Literal[] = [];
    if (this.#takeSymbol(']')) return values;
    do values.push(this.#constant() ?? null);
    while (this.#takeSymbol(','));
    this.#expectSymbol(']');
    return values;
  }

  #isConstant(): boolean {
    const token = this.#peek();
    if (token?.kind === 'literal') return true;
    if (token?.kind === 'symbol') return token.text === '-';
    return constants.has(this.#peekWord() ?? '');
  }

  #constant(): Literal | undefined {
    const negative = this.#takeSymbol('-');
    const token = this.#peek();
    this.#at++;
    if (token?.kind === 'literal') {
      if (!negative) return token.value;
      if (typeof token.value === 'number') return -token.value;
    }
    if (token?.kind === 'word' && !token.bracketed && !negative && constants.has(token.text.toLowerCase())) {
      return constants.get(token.text.toLowerCase());
    }
    throw badQuery('a value is missing');
  }

  #path(): string[] {
    const path = [this.#name()];
    while (this.#takeSymbol('.')) path.push(this.#name());
    return path;
  }

  #name(): string {
    const token = this.#peek();
    if (token?.kind !== 'word') throw badQuery('a name is missing');
    // The one word that is documented as reserved; as a name it must be written [[group]].
    if (!token.bracketed && token.text.toLowerCase() === 'group') throw badQuery("'group' is reserved");
    this.#at++;
    return token.text;
  }

  #nested(inner: () => Expression): Expression {
    if (++this.#nesting > deepestNesting) throw badQuery('the query is nested too deeply');
    const expression = inner();
    this.#nesting--;
    return expression;
  }

  #peek(): Token | undefined {
    return this.tokens[this.#at];
  }
  #peekWord(): string | undefined {
    const token = this.#peek();
    return token?.kind === 'word' && !token.bracketed ? token.text.toLowerCase() : undefined;
  }
  #peekSymbol(): string | undefined {
    const token = this.#peek();
    return token?.kind === 'symbol' ? token.text : undefined;
  }
  #symbolAfter(): string | undefined {
    const token = this.tokens[this.#at + 1];
    return token?.kind === 'symbol' ? token.text : undefined;
  }
  #takeWord(word: string): boolean {
    const found = this.#peekWord() === word;
    if (found) this.#at++;
    return found;
  }
  #takeSymbol(text: string): boolean {
    const found = this.#peekSymbol() === text;
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

const comparisonOperators: ReadonlyMap<string, ComparisonOperator> = new Map<string, ComparisonOperator>([
  ['=', '='],
  ['!=', '!='],
  ['<>', '!='],
  ['<', '<'],
  ['<=', '<='],
  ['>', '>'],
  ['>=', '>='],
]);

const constants: ReadonlyMap<string, Literal | undefined> = new Map<string, Literal | undefined>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['undefined', undefined],
]);

/** What the grammar allows but the documentation does not. */
function checkShape({ columns, from, groupBy }: Query): void {
  if (from === 'devices.jobs' && (columns !== undefined || groupBy !== undefined)) {
    throw badQuery('devices.jobs knows SELECT * only');
  }
  if (groupBy !== undefined && from !== 'devices') throw badQuery('GROUP BY is for devices only');
  const grouped = groupBy?.join('.');
  if (columns === undefined) {
    if (groupBy !== undefined) throw badQuery('SELECT * cannot be grouped');
    return;
  }
  if (groupBy === undefined && !columns.some(({ kind }) => kind === 'aggregate')) return;
  for (const column of columns) {
    if (column.kind === 'field' && column.path.join('.') !== grouped) {
      throw badQuery(`'${column.path.join('.')}' is not grouped`);
    }
  }
}
