import { setTimeout as pause } from 'node:timers/promises';
import type { TokenCredential } from '@azure/identity';
import type { Registry } from 'azure-iothub';
import type { HubConfig } from '../config/model.js';
import { addCalls, type HubCalls, NO_CALLS } from '../registry/hub-calls.js';
import { type HubSize, type OperationClass, throttleOf } from '../registry/throttles.js';
import { HubAgent } from './agent.js';
import { Budget } from './budget.js';
import { type HubCredentials, hubCredentials } from './hub-credentials.js';
import { HubAnswerError, type HubCall, hubAnswerError, hubSilentError } from './hub-errors.js';
import { callRegistry } from './microsoft-registry.js';
import { Pace } from './pace.js';
import { callRest, type RestAnswer, type RestRequest } from './rest.js';

/** Told what passes between this process and its hubs. */
export interface HubObserver {
  /** A request was sent. */
  called(host: string, kind: keyof HubCalls): void;
  /** The hub answered with 429. */
  throttled(host: string): void;
  /** A call that was answered so waits before it is made again. */
  backsOff(seconds: number): void;
  /** A call waits for its turn. */
  waits(host: string, seconds: number): void;
}

export interface OpenHubOptions {
  readonly observer?: HubObserver;
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | Buffer;
  /** Milliseconds that the hub may be silent; 60 s by default. */
  readonly timeout?: number;
  /** Whose tokens of Microsoft Entra ID are used; left out, those of this process. */
  readonly credential?: TokenCredential;
  /** The part of the hub's documented throttles that may be used; 1 by default. */
  readonly rates?: number;
}

/** How the calls of one piece of work go. */
export interface Manner {
  /** Calls a second at most, but for those about jobs; left out: as many as the hub lets through. */
  readonly rate?: number | undefined;
  /** Ends its waits for a turn. */
  readonly signal?: AbortSignal | undefined;
}

/** A call, and by which throttle it goes. */
export interface Throttled extends HubCall {
  readonly operation: OperationClass;
  readonly counts: keyof HubCalls;
}

/** What all views of a hub share. */
export interface Connection {
  readonly host: string;
  readonly readOnly: boolean;
  readonly credentials: HubCredentials;
  /** Whose right to storage its jobs use: `system`, or the ARM id of a user-assigned identity; null: that of a SAS. */
  readonly identity: string | null;
  readonly agent: HubAgent;
  readonly registry: Registry;
  /**
   * Creates jobs, each on a socket of its own: a kept-alive one that the server has just closed would look like a lost
   * reply, after which nobody knows whether there is a job.
   */
  readonly creator: HubAgent;
  /** Spaces the calls of views that are to spare the hub. */
  readonly pace: Pace;
  /** What is left of the hub's throttles, by class. */
  readonly budgets: (operation: OperationClass) => Budget;
  readonly observer: HubObserver | null;
}

/** Nothing is sent yet. */
export function connect(
  hub: HubConfig,
  { credential, observer, rates = 1, ...options }: OpenHubOptions,
): Connection {
  const agent = new HubAgent(options);
  const credentials = hubCredentials(hub, credential);
  return {
    host: hub.host,
    readOnly: hub.readOnly,
    credentials,
    identity: hub.identity ?? null,
    agent,
    registry: credentials.registry(agent),
    creator: new HubAgent({ ...options, keepAlive: false }),
    pace: new Pace(),
    budgets: budgetsOf({ tier: hub.tier, units: hub.units, rates }),
    observer: observer ?? null,
  };
}

function budgetsOf(size: HubSize): Connection['budgets'] {
  const budgets = new Map<OperationClass, Budget>();
  return (operation) => {
    const budget = budgets.get(operation) ?? new Budget(throttleOf(operation, size));
    budgets.set(operation, budget);
    return budget;
  };
}

/** Makes the calls of one view of a hub: each in its turn, counted, and again when the hub refused it for now. */
export class HubCaller {
  readonly #connection: Connection;
  readonly #manner: Manner;
  #calls = NO_CALLS;

  constructor(connection: Connection, manner: Manner) {
    this.#connection = connection;
    this.#manner = manner;
  }

  /** The calls sent since the last take; the count starts again at zero. */
  takeCalls(): HubCalls {
    const calls = this.#calls;
    this.#calls = NO_CALLS;
    return calls;
  }

  #count(kind: keyof HubCalls): void {
    this.#calls = addCalls(this.#calls, { ...NO_CALLS, [kind]: 1 });
    this.#connection.observer?.called(this.#connection.host, kind);
  }

  /** A call of Microsoft's client. */
  async ask<T>(call: Throttled, run: (registry: Registry) => Promise<T>): Promise<T> {
    return await this.#inTurn(call, () => callRegistry(call, () => run(this.#connection.registry)));
  }

  /** @param counts left out: by the class of the operation */
  call(
    what: string,
    operation: OperationClass,
    counts: keyof HubCalls = operation === 'jobs' ? 'jobs' : 'other',
  ): Throttled {
    const { host, credentials } = this.#connection;
    return { host, policy: credentials.policy, what, operation, counts };
  }

  /** A call of our own client that ends with a status below 300. */
  async rest(
    call: Throttled,
    request: RestRequest,
    agent: HubAgent = this.#connection.agent,
  ): Promise<RestAnswer> {
    const { credentials } = this.#connection;
    const options = { host: credentials.host, agent, authorize: credentials.authorize };
    return await this.#inTurn(call, async () => {
      const answer = await callRest(options, request).catch((error: unknown) => {
        throw hubSilentError(call, error);
      });
      if (answer.status >= 300 || answer.status < 200) throw hubAnswerError(call, answer);
      return answer;
    });
  }

  /**
   * Makes a call when it is its turn, and again when the hub refused it for there being too many: it was not carried out,
   * so that nothing is done twice.
   */
  async #inTurn<T>(call: Throttled, make: () => Promise<T>): Promise<T> {
    const { budgets, observer } = this.#connection;
    const budget = budgets(call.operation);
    for (let tries = 0; ; tries++) {
      await this.#turn(call, budget);
      const sentAt = performance.now();
      this.#count(call.counts);
      try {
        const answer = await make();
        budget.served();
        return answer;
      } catch (error) {
        if (!(error instanceof HubAnswerError) || error.status !== THROTTLED) throw error;
        observer?.throttled(this.#connection.host);
        budget.refused(sentAt);
        if (tries === RETRIES) throw error;
        const asked = Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER);
        const wait = Math.max(asked, budget.backOff(tries));
        observer?.backsOff(wait / 1000);
        await this.#pause(wait);
      }
    }
  }

  async #turn({ operation }: Throttled, budget: Budget): Promise<void> {
    const rate = operation === 'jobs' ? undefined : this.#manner.rate;
    const wait = Math.max(this.#connection.pace.wait(rate), budget.take());
    if (wait === 0) return;
    this.#connection.observer?.waits(this.#connection.host, wait / 1000);
    try {
      await this.#pause(wait);
    } catch (error) {
      budget.giveBack();
      throw error;
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#manner;
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  }
}

/** How often a call that was refused with 429 is made again, before whoever made it is told. */
const RETRIES = 4;

/** The longest wait that an answer may ask for, ms. Hubs ask for none (facts §5), proxies on the way may. */
const LONGEST_RETRY_AFTER = 60_000;

/** The status by which a hub asks for fewer calls. */
const THROTTLED = 429;
