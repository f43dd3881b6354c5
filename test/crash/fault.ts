/** What is to happen to one call of an activity. */
export interface Fault {
  readonly activity: string;
  /** Which of its calls that fit, counted from 1 in the order in which they begin. */
  readonly nth: number;
  /** Only calls fit whose input has members that end so. Left out: all. */
  readonly input?: Readonly<Record<string, string>>;
  readonly at: Point;
  /**
   * - `die`: the worker is killed with SIGKILL.
   * - `mute`: what the call came to never reaches the server.
   * - `lose`: the answer to the request never comes; the connection breaks.
   * - `sleep …`: the call stands still and no heartbeat of it reaches the server, which makes another attempt. When that
   *   one has come as far (`beside`), or has ended (`behind`), the call goes on to its end as if nothing had been.
   */
  readonly then: 'die' | 'mute' | 'lose' | 'sleep beside' | 'sleep behind';
}

/** `sent` and `answered` are about the first request of the call that fits, a regular expression. */
export type Point = 'entry' | 'return' | { readonly sent: string } | { readonly answered: string };

/** One call of an activity. */
export interface Call {
  readonly activity: string;
  /** Its place among all calls, in the order in which they began. */
  readonly place: number;
  /** The members of its input that are texts, and `wave`, the wave of its chunk. */
  readonly input: Readonly<Record<string, string>>;
  /** What it asked of hubs, storage and Temporal, such as `PUT /container/blob`; without queries. */
  readonly requests: readonly string[];
}

/** A request that changes something. */
export const WRITES = String.raw`^(PUT|PATCH|DELETE|POST(?! .*/query$)) `;

/** Whether a call is one of those among which a fault counts. */
export function fits(
  { activity, input = {} }: Pick<Fault, 'activity' | 'input'>,
  call: Pick<Call, 'activity' | 'input'>,
): boolean {
  return (
    call.activity === activity &&
    Object.entries(input).every(([name, value]) => call.input[name]?.endsWith(value))
  );
}

/** What a worker is started with. */
export interface WorkerSpec {
  readonly configFile: string;
  readonly address: string;
  readonly taskQueue: string;
  readonly workflowBundle: string;
}

/** What the test tells a worker. */
export type Order =
  /** Take tasks. */
  | { readonly order: 'work' }
  /** A run begins; do this to one of its calls. */
  | { readonly order: 'arm'; readonly fault: Fault | null }
  /** The run is over: calls that stand still or are mute end. */
  | { readonly order: 'release' };

/** What a worker tells the test. */
export type News =
  | { readonly news: 'ready' }
  | { readonly news: 'call'; readonly call: Call }
  /** The armed fault has begun. A worker that dies of it says nothing. */
  | { readonly news: 'struck' }
  /** No call stands still or is mute any more. */
  | { readonly news: 'released' };
