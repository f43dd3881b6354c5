import { TypeError as CelTypeError, Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js';
import type { Predicate } from '../registry/rules.js';

/** What expressions of rules may name: a `RecordView`. */
const ENVIRONMENT = new Environment({
  // `tags.?site.orValue('')`: without it every optional tag takes a has().
  enableOptionalTypes: true,
  // Twins mix types, so a list to look something up in may do so, too.
  homogeneousAggregateLiterals: false,
})
  .registerVariable('kind', 'string')
  .registerVariable('id', 'string')
  .registerVariable('moduleId', 'dyn')
  .registerVariable('status', 'string')
  .registerVariable('statusReason', 'string')
  .registerVariable({ name: 'authentication', schema: { type: 'string' } })
  .registerVariable('iotEdge', 'bool')
  .registerVariable('parent', 'dyn')
  .registerVariable('tags', 'map<string, dyn>')
  .registerVariable('desired', 'map<string, dyn>');

/** Why an expression cannot be compiled, in words for people. */
export class PredicateFault extends Error {}

/**
 * Compiles a CEL expression over a record, and checks its types as far as they are known before there is a record.
 *
 * @returns throws an Error in words for people where it cannot be evaluated for a record.
 * @throws PredicateFault
 */
export function compilePredicate(expression: string): Predicate {
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = ENVIRONMENT.parse(expression);
  } catch (error) {
    throw new PredicateFault(wordsOf(error, expression));
  }
  const { valid, type, error } = parsed.check();
  if (!valid) throw new PredicateFault(wordsOf(error, expression));
  if (type !== 'bool' && type !== 'dyn') throw new PredicateFault(`it gives ${type}, not true or false`);
  return (record) => {
    let value: unknown;
    try {
      value = parsed({ ...record });
    } catch (fault) {
      throw new Error(wordsOf(fault, expression), { cause: fault });
    }
    if (typeof value === 'boolean') return value;
    throw new Error('its expression gives something that is neither true nor false');
  };
}

/** The library's own words, and the part of the expression that they are about. */
function wordsOf(error: unknown, expression: string): string {
  const known =
    error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError;
  if (!known) return 'its expression cannot be evaluated';
  const { summary, range } = error;
  const part = range === undefined ? '' : expression.slice(range.start, range.end);
  return part === '' || part === expression ? summary : `${summary} (in ${part})`;
}
