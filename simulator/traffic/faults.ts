import { type ErrorName, errorCodes, isErrorName } from '../errors.js';
import { Prng } from '../prng.js';

/** What goes wrong with a request. */
export type FaultKind =
  /** Answered with this status and error code instead of being processed; each follows from the other. */
  | { kind: 'status'; status: number; code?: ErrorName }
  | { kind: 'status'; status?: number; code: ErrorName }
  /** Processed after so many simulated milliseconds. */
  | { kind: 'delay'; ms: number }
  /** The connection is destroyed before anything is processed. */
  | { kind: 'drop' }
  /** Processed, then the connection is destroyed without a reply. */
  | { kind: 'loseReply' }
  /** Processed; the reply breaks off after `byte` bytes of its body (default: in the middle). */
  | { kind: 'truncateBody'; byte?: number }
  /** Processed; the body comes in two packets, cut after `byte` bytes. */
  | { kind: 'splitBody'; byte: number }
  /** Processed; the body comes in packets of so many bytes with so many simulated milliseconds between them. */
  | { kind: 'slowBody'; bytes: number; ms: number }
  /** A connection is closed before a request can be sent: at once on a hub's own port, else in the TLS handshake. */
  | { kind: 'refuseConnection' };

/** A fault and whom it hits. */
export type FaultRule = FaultKind & {
  /**
   * The route as counters name it, e.g. `GET /jobs/{id}`, or the beginning of some with a star, e.g. `GET *`. Left out:
   * all routes. Connections have no route.
   */
  route?: string;
  /** How many requests that fit pass before the first is hit; default 0. */
  skip?: number;
  /** How many requests it hits; default 1. */
  times?: number;
  /** With which probability it hits a request that fits, 0 to 1; default 1. */
  probability?: number;
  /** Decides which ones, the same at every run; default 1. */
  seed?: number;
};

/** A rule in place, with what is left of `skip` and `times`. */
export type PlacedFault = FaultRule & { readonly id: string };

interface Place {
  readonly id: string;
  readonly rule: FaultRule;
  readonly random: Prng;
  skip: number;
  times: number;
}

/**
 * The faults of one hub, or of all. Rules are asked in the order in which they were added; the first that hits wins,
 * and the rules of all hubs come last.
 */
export class Faults {
  #places: Place[] = [];
  #lastId = 0;

  /** @param ofAll rules that all hubs share. */
  constructor(readonly ofAll?: Faults) {}

  /** @returns the rule's id. */
  add(rule: FaultRule): string {
    const id = String(++this.#lastId);
    const { skip = 0, times = 1, seed = 1 } = rule;
    this.#places.push({ id, rule: { ...rule }, random: new Prng(seed, 'fault'), skip, times });
    return id;
  }

  /** @returns false when there is no such rule, maybe because it is used up. */
  remove(id: string): boolean {
    const before = this.#places.length;
    this.#places = this.#places.filter((place) => place.id !== id);
    return this.#places.length < before;
  }

  clear(): void {
    this.#places = [];
  }

  list(): readonly PlacedFault[] {
    return this.#places.map(({ id, rule, skip, times }) => ({ ...rule, skip, times, id }));
  }

  /** The fault of a request that arrives now, if any. */
  take(route: string): FaultRule | undefined {
    const fits = (rule: FaultRule): boolean =>
      rule.kind !== 'refuseConnection' && (rule.route === undefined || covers(rule.route, route));
    return this.#take(fits) ?? this.ofAll?.take(route);
  }

  /** True when a connection that is made now must be refused. */
  takeConnection(): boolean {
    const own = this.#take((rule) => rule.kind === 'refuseConnection') !== undefined;
    return own || this.ofAll?.takeConnection() === true;
  }

  #take(fits: (rule: FaultRule) => boolean): FaultRule | undefined {
    for (const place of this.#places) {
      if (!fits(place.rule)) continue;
      if (place.skip > 0) {
        place.skip--;
        continue;
      }
      const { probability = 1 } = place.rule;
      if (probability < 1 && !place.random.chance(probability)) continue;
      place.times--;
      if (place.times <= 0) this.remove(place.id);
      return place.rule;
    }
    return undefined;
  }
}

/** Whether a rule's `route` means this one. */
function covers(wanted: string, route: string): boolean {
  return wanted.endsWith('*') ? route.startsWith(wanted.slice(0, -1)) : route === wanted;
}

/** The usual code of a status, where more than one begins with it. */
const usualCodes = new Map<number, ErrorName>([
  [404, 'DeviceNotFound'],
  [409, 'DeviceAlreadyExists'],
  [429, 'ThrottlingBacklogTimeout'],
]);

/** The status and code of a fault: the one that is left out follows from the other. */
export function faultAnswer(fault: { status?: number; code?: ErrorName }): {
  readonly status: number;
  readonly code: ErrorName;
} {
  const { code, status } = fault;
  if (code !== undefined) return { status: status ?? Math.floor(errorCodes[code] / 1000), code };
  if (status === undefined) return { status: 500, code: 'ServerError' };
  const names = Object.keys(errorCodes).filter(isErrorName);
  const first = names.find((name) => Math.floor(errorCodes[name] / 1000) === status);
  const other = status >= 500 ? 'ServerError' : 'GenericBadRequest';
  return { status, code: usualCodes.get(status) ?? first ?? other };
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
  const { route, code, probability } = rule;
  if (route !== undefined) {
    const known = typeof route === 'string' && [...routes, 'unknown'].some((one) => covers(route, one));
    if (!known) {
      throw new TypeError(`fault: unknown route ${JSON.stringify(route)}; routes are ${routes.join(', ')}`);
    }
  }
  if (
    probability !== undefined &&
    !(typeof probability === 'number' && probability >= 0 && probability <= 1)
  ) {
    throw new TypeError("fault: 'probability' must be a number from 0 to 1");
  }
  const highest = Number.MAX_SAFE_INTEGER;
  whole('times', 1, highest, false);
  whole('skip', 0, highest, false);
  whole('seed', -highest, highest, false);
  switch (rule.kind) {
    case 'status':
      whole('status', 400, 599, code === undefined);
      if (code !== undefined && !(typeof code === 'string' && isErrorName(code))) {
        throw new TypeError(`fault: unknown code ${JSON.stringify(code)}`);
      }
      break;
    case 'delay':
      whole('ms', 0, 86_400_000, true);
      break;
    case 'truncateBody':
      whole('byte', 0, highest, false);
      break;
    case 'splitBody':
      whole('byte', 0, highest, true);
      break;
    case 'slowBody':
      whole('bytes', 1, highest, true);
      whole('ms', 0, 86_400_000, true);
      break;
    case 'refuseConnection':
      if (route !== undefined) throw new TypeError("fault: a connection has no 'route'");
      break;
    case 'drop':
    case 'loseReply':
      break;
    default:
      throw new TypeError(`fault: unknown kind ${JSON.stringify(rule.kind)}`);
  }
  return value as FaultRule;
}
