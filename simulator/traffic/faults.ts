import { type ErrorName, isErrorName } from '../errors.js';

/** What goes wrong with a request. */
export type FaultKind =
  /** Answered with this status and error code instead of being processed. */
  | { kind: 'status'; status: number; code?: ErrorName }
  /** Processed after so many milliseconds. */
  | { kind: 'delay'; ms: number }
  /** The connection is destroyed before anything is processed. */
  | { kind: 'drop' }
  /** Processed, then the connection is destroyed without a reply. */
  | { kind: 'loseReply' }
  /** Processed; the reply breaks off in the middle of its body. */
  | { kind: 'truncateBody' }
  /** Processed; the body comes in two packets, cut after `byte` bytes. */
  | { kind: 'splitBody'; byte: number };

/** A fault for requests of one route (as counters name it, e.g. `GET /jobs/{id}`; left out: all routes). */
export type FaultRule = FaultKind & {
  route?: string;
  /** How many requests it hits; default 1. */
  times?: number;
};

/** The request faults of one hub. The first rule that fits and is not used up wins. */
export class Faults {
  #rules: FaultRule[] = [];

  add(rule: FaultRule): void {
    this.#rules.push({ ...rule });
  }

  clear(): void {
    this.#rules = [];
  }

  list(): readonly FaultRule[] {
    return this.#rules;
  }

  /** The fault of a request that arrives now, if any. */
  take(route: string): FaultRule | undefined {
    const rule = this.#rules.find((one) => one.route === undefined || one.route === route);
    if (rule === undefined) return undefined;
    rule.times = (rule.times ?? 1) - 1;
    if (rule.times <= 0) this.#rules = this.#rules.filter((one) => one !== rule);
    return rule;
  }
}

/**
 * Checks a rule that came through the admin port.
 * @param routes the names of all routes.
 * @throws {TypeError} that says what is wrong.
 */
export function checkFaultRule(value: unknown, routes: readonly string[]): FaultRule {
  if (typeof value !== 'object' || value === null) throw new TypeError('fault: not an object');
  const rule = value as Partial<Record<string, unknown>>;
  const whole = (name: string, low: number, high: number, needed: boolean): void => {
    const given = rule[name];
    if (given === undefined && !needed) return;
    if (!Number.isSafeInteger(given) || (given as number) < low || (given as number) > high) {
      throw new TypeError(`fault: '${name}' must be an integer from ${low} to ${high}`);
    }
  };
  const { route, code } = rule;
  if (route !== undefined && !(typeof route === 'string' && routes.includes(route))) {
    throw new TypeError(`fault: unknown route ${JSON.stringify(route)}; routes are ${routes.join(', ')}`);
  }
  whole('times', 1, Number.MAX_SAFE_INTEGER, false);
  switch (rule.kind) {
    case 'status':
      whole('status', 400, 599, true);
      if (code !== undefined && !(typeof code === 'string' && isErrorName(code))) {
        throw new TypeError(`fault: unknown code ${JSON.stringify(code)}`);
      }
      break;
    case 'delay':
      whole('ms', 0, 86_400_000, true);
      break;
    case 'splitBody':
      whole('byte', 0, Number.MAX_SAFE_INTEGER, true);
      break;
    case 'drop':
    case 'loseReply':
    case 'truncateBody':
      break;
    default:
      throw new TypeError(`fault: unknown kind ${JSON.stringify(rule.kind)}`);
  }
  return value as FaultRule;
}
