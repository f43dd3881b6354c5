import { isObject, type Json } from '../json.js';
import type { StoredRecord } from '../records/records.js';
import { defaultSettings } from '../settings.js';
import type { ArithmeticOperator, ComparisonOperator, Condition, Expression, FunctionName } from './query.js';
import { Row } from './row.js';

/**
 * Tells whether a record meets a condition, whatever the settings of its hub. A configuration's `*` is none; its caller
 * handles it.
 * @param condition from `parseCondition`.
 */
export function matchesCondition(record: StoredRecord, condition: Condition): boolean {
  return holds(new Row(record, defaultSettings), condition);
}

/** True when the condition is true of the row: everything else counts as false, undefined included. */
export function holds(row: Row, condition: Condition): boolean {
  return evaluate(row, condition) === true;
}

/**
 * The value of an expression. Undefined when a field that it needs is not there: such a condition is not met, not
 * even under NOT.
 */
function evaluate(row: Row, expression: Expression): Json | undefined {
  switch (expression.kind) {
    case 'value':
      return expression.value;
    case 'field':
      return row.value(expression.path);
    case 'and':
      return join(row, expression.operands, false);
    case 'or':
      return join(row, expression.operands, true);
    case 'not': {
      const inner = evaluate(row, expression.operand);
      return typeof inner === 'boolean' ? !inner : undefined;
    }
    case 'in': {
      const value = evaluate(row, expression.operand);
      return value === undefined
        ? undefined
        : expression.values.some((one) => one === value) !== expression.negated;
    }
    case 'compare':
      return compare(evaluate(row, expression.left), expression.operator, evaluate(row, expression.right));
    case 'arithmetic': {
      let total = evaluate(row, expression.first);
      for (const { operator, operand } of expression.steps) {
        total = calculate(total, operator, evaluate(row, operand));
      }
      return total;
    }
    default: {
      const [value, argument] = expression.operands.map((operand) => evaluate(row, operand));
      return call(expression.name, value, argument);
    }
  }
}

/** `winner` decides at once: false for AND, true for OR. */
function join(row: Row, operands: readonly Expression[], winner: boolean): boolean | undefined {
  let known = true;
  for (const operand of operands) {
    const value = evaluate(row, operand);
    if (value === winner) return winner;
    if (typeof value !== 'boolean') known = false;
  }
  return known ? !winner : undefined;
}

function call(name: FunctionName, value: Json | undefined, argument: Json | undefined): boolean | undefined {
  switch (name) {
    case 'is_defined':
      return value !== undefined;
    case 'is_null':
      return value === null;
    case 'is_bool':
      return typeof value === 'boolean';
    case 'is_number':
      return typeof value === 'number';
    case 'is_string':
      return typeof value === 'string';
    case 'is_object':
      return isObject(value);
    case 'is_array':
      return Array.isArray(value);
    case 'is_primitive':
      return isPrimitive(value);
    case 'array_contains':
      return argument !== undefined && Array.isArray(value) && value.includes(argument);
    default:
      if (typeof value !== 'string' || typeof argument !== 'string') return undefined;
      if (name === 'startswith') return value.startsWith(argument);
      return name === 'endswith' ? value.endsWith(argument) : value.includes(argument);
  }
}

function isPrimitive(value: Json | undefined): value is string | number | boolean | null {
  return value !== undefined && (value === null || typeof value !== 'object');
}

/** Only primitive values can be compared, and only those of one type by size. */
function compare(
  left: Json | undefined,
  operator: ComparisonOperator,
  right: Json | undefined,
): boolean | undefined {
  if (!isPrimitive(left) || !isPrimitive(right)) return undefined;
  if (operator === '=') return left === right;
  if (operator === '!=') return left !== right;
  if (typeof left === 'number' && typeof right === 'number') return inOrder(left - right, operator);
  if (typeof left !== 'string' || typeof right !== 'string') return undefined;
  return inOrder(left < right ? -1 : Number(left > right), operator);
}

/** `difference` is negative when the left side is the smaller one. */
function inOrder(difference: number, operator: ComparisonOperator): boolean {
  if (operator === '<') return difference < 0;
  if (operator === '<=') return difference <= 0;
  return operator === '>' ? difference > 0 : difference >= 0;
}

function calculate(
  left: Json | undefined,
  operator: ArithmeticOperator,
  right: Json | undefined,
): number | undefined {
  if (typeof left !== 'number' || typeof right !== 'number') return undefined;
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    default:
      return left % right;
  }
}
