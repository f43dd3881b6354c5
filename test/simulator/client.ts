import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { SimulatedHub, Simulator } from '../../simulator/index.js';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body in the packets in which it came. */
  readonly chunks: readonly Buffer[];
  readonly json: Body;
}

/** A reply's body, as loosely typed as tests need it. */
export interface Body {
  [name: string]: Body;
}

export interface Ask {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly policy?: Parameters<SimulatedHub['connectionString']>[0];
  /** Replaces the Authorization header; empty: none. */
  readonly authorization?: string;
  /** Default `2021-04-12`. */
  readonly apiVersion?: string;
}

/** A field of a reply that must be text. */
export function asText(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`text expected, not ${JSON.stringify(value)}`);
  return value;
}

/** The id in the reply of POST /jobs/create. */
export function jobIdOf(created: Answer): string {
  return asText(created.json.jobId);
}

/** A bare client of the REST API: nothing of the project's own adapters is in the way. */
export class RestClient {
  readonly #agent: https.Agent;

  constructor(
    readonly sim: Simulator,
    readonly hub: SimulatedHub,
  ) {
    this.#agent = new https.Agent({ ca: readFileSync(sim.caFile), keepAlive: true });
  }

  token(
    policy: Ask['policy'] = 'iothubowner',
    resource = this.hub.hostName,
    expires = Math.floor(Date.now() / 1000) + 3600,
    key = this.hub.keys[policy ?? 'iothubowner'],
  ): string {
    const signature = createHmac('sha256', Buffer.from(key, 'base64'))
      .update(`${resource}\n${expires}`)
      .digest('base64');
    return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expires}&skn=${policy}`;
  }

  ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const authorization = ask.authorization ?? this.token(ask.policy);
    const body =
      ask.body === undefined ? undefined : typeof ask.body === 'string' ? ask.body : JSON.stringify(ask.body);
    const joint = path.includes('?') ? '&' : '?';
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: '127.0.0.1',
          port: this.sim.port,
          servername: `${this.hub.name}.localhost`,
          method,
          path: `${path}${joint}api-version=${ask.apiVersion ?? '2021-04-12'}`,
          agent: this.#agent,
          headers: {
            host: this.hub.hostName,
            ...(authorization === '' ? {} : { authorization }),
            ...(body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
            ...ask.headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const json = (text === '' ? undefined : JSON.parse(text)) as Body;
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, chunks, json });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Creates a job and polls it to its end. @returns its last state. */
  async job(body: unknown): Promise<Body> {
    const created = await this.ask('POST', '/jobs/create', { body });
    if (created.status !== 200) throw new Error(`job refused: ${created.status} ${created.text}`);
    return this.ended(jobIdOf(created));
  }

  /** Polls a job until it has ended. */
  async ended(jobId: string): Promise<Body> {
    for (;;) {
      const { json } = await this.ask('GET', `/jobs/${jobId}`);
      if (['completed', 'failed', 'cancelled'].includes(asText(json.status))) return json;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
