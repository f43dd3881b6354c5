import type { Access, Principal } from './access/access.js';
import { ServiceError } from './errors.js';
import type { HubState } from './hub-state.js';
import type { OperationClass } from './traffic/rates.js';

/** A request after routing: parameters are percent-decoded exactly once. */
export interface Call {
  readonly hub: HubState;
  /** Who asks. */
  readonly principal: Principal;
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  header(name: string): string | undefined;
  readonly body: Buffer;
}

export interface Reply {
  readonly status: number;
  /** Left out: an empty body. */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  /** Method and path with `{…}` for a parameter; the name in counters and fault rules. */
  readonly name: string;
  readonly access: Access;
  /** The budget that a request counts against when the hub throttles; a switch where it is not documented (§5). */
  readonly operation: OperationClass | 'applyThrottle';
  /** How many operations the request counts as; left out: one. Bulk writes count every device (§5). */
  readonly weight?: (call: Call) => number;
  readonly handle: (call: Call) => Reply | Promise<Reply>;
}

/** Finds routes by method and path segments. */
export class Router {
  readonly #routes: {
    readonly route: Route;
    readonly method: string;
    readonly segments: readonly string[];
  }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => {
      const [method = '', path = ''] = route.name.split(' ');
      return { route, method, segments: path.split('/').slice(1) };
    });
  }

  get routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  get names(): string[] {
    return this.#routes.map(({ route }) => route.name);
  }

  /**
   * @param path as sent, without query. Every segment is decoded once, after splitting, since ids may hold any of
   * `% # ? * $ ' @ ; , =`. A slash at the end is tolerated: Microsoft's clients send it.
   * @returns undefined when no route fits.
   * @throws {ServiceError} ArgumentInvalid for a broken percent escape.
   */
  find(
    method: string,
    path: string,
  ): { readonly route: Route; readonly params: readonly string[] } | undefined {
    const raw = path.split('/').slice(1);
    if (raw.length > 1 && raw.at(-1) === '') raw.pop();
    for (const { route, method: wanted, segments } of this.#routes) {
      if (wanted !== method || segments.length !== raw.length) continue;
      const params: string[] = [];
      const fits = segments.every((segment, i) => {
        const given = raw[i] ?? '';
        if (!segment.startsWith('{')) return segment.toLowerCase() === given.toLowerCase();
        params.push(given);
        return true;
      });
      if (fits) return { route, params: params.map(decodeSegment) };
    }
    return undefined;
  }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ServiceError('ArgumentInvalid', 'The path holds a broken percent escape.');
  }
}
