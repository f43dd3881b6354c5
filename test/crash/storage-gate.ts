import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Requests that wait in front of the blob service until they are released. */
export interface Hold {
  /** Resolves when the first request waits. */
  readonly reached: Promise<void>;
  /** Lets everything through again. A request whose sender died meanwhile never arrives. */
  readonly release: () => void;
}

/** What becomes of a request; `cutReply` breaks the reply off in the middle of its body. */
export type Treatment = 'pass' | 'drop' | 'loseReply' | 'cutReply' | { readonly status: number };

/** Says what becomes of a request, `PUT /container/blob?query`, that has come in whole. */
export type Treat = (request: string) => Treatment | Promise<Treatment>;

interface Refusal {
  readonly status: number;
  /** Tells the request itself, signature and all. */
  readonly echo: boolean;
}

interface Rule {
  readonly pattern: RegExp;
  /** What a request that fits waits for; then it is answered like this, or goes on. */
  readonly wait: () => Promise<Refusal | null>;
}

/**
 * Stands between everybody and a blob service on loopback, and can stop a process at an exact request: what is held has
 * not happened yet, and goes on only when told. So a test kills at a point instead of at a time.
 */
export class StorageGate {
  readonly #target: URL;
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  readonly #rules = new Set<Rule>();
  /** For every request that no rule answers. */
  treat: Treat = () => 'pass';
  /** Signatures that came by, of SAS URIs and of Authorization headers. */
  readonly signatures = new Set<string>();

  private constructor(target: URL) {
    this.#target = target;
    this.#server.keepAliveTimeout = 60_000; // longer than any client keeps a socket: no request meets a closed one
  }

  /** @returns the gate, and the connection string that leads through it. */
  static async open(connectionString: string): Promise<{ gate: StorageGate; connectionString: string }> {
    const [setting, endpoint] = /BlobEndpoint=([^;]+)/.exec(connectionString) ?? [];
    if (setting === undefined || endpoint === undefined) throw new Error('there is no BlobEndpoint');
    const gate = new StorageGate(new URL(endpoint));
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    const through = new URL(endpoint);
    through.port = String((gate.#server.address() as AddressInfo).port);
    return { gate, connectionString: connectionString.replace(setting, `BlobEndpoint=${through.href}`) };
  }

  /** From now on holds every request that fits; requests are written as `PUT /container/blob?query`. */
  hold(pattern: RegExp): Hold {
    let release = (): void => undefined;
    let reach = (): void => undefined;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<null>((resolve) => (release = () => resolve(null)));
    const rule: Rule = {
      pattern,
      wait: () => {
        reach();
        return released;
      },
    };
    this.#rules.add(rule);
    return {
      reached,
      release: () => {
        this.#rules.delete(rule);
        release();
      },
    };
  }

  /**
   * From now on answers every request that fits with a status of its own.
   *
   * @param echo whether the answer tells the request, signature and all
   * @returns how to end that
   */
  refuse(pattern: RegExp, status: number, echo = false): () => void {
    const rule: Rule = { pattern, wait: () => Promise.resolve({ status, echo }) };
    this.#rules.add(rule);
    return () => void this.#rules.delete(rule);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    this.#note(url, request.headers.authorization);
    // Read to its end first, or the sender's death while it is held would not be seen.
    const body: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) body.push(part);
    const name = `${request.method} ${url.slice(this.#target.pathname.length)}`;
    for (const { pattern, wait } of this.#rules) {
      if (!pattern.test(name)) continue;
      const refusal = await wait();
      if (refusal !== null) {
        const said = `${url} ${request.headers.authorization}`.replace(/[<&]/g, ' ');
        response.writeHead(refusal.status, { 'Content-Type': 'application/xml' });
        response.end(refusal.echo ? `<Error><Code>Echo</Code><Message>${said}</Message></Error>` : undefined);
        return;
      }
    }
    const treatment = await this.treat(name);
    if (typeof treatment === 'object') response.writeHead(treatment.status).end();
    else if (treatment === 'drop') request.socket.destroy();
    else if (!request.socket.destroyed)
      await this.#forward(request, Buffer.concat(body), response, treatment);
  }

  async #forward(
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
    treatment: 'pass' | 'loseReply' | 'cutReply',
  ): Promise<void> {
    const { hostname, port } = this.#target;
    const { connection: _connection, ...headers } = request.headers;
    await new Promise<void>((resolve, reject) => {
      const forwarded = httpRequest(
        { hostname, port, method: request.method, path: request.url, headers, agent: false },
        (answer) => {
          if (treatment !== 'pass') {
            brokenOff(answer, response, treatment === 'cutReply').then(resolve, reject);
            return;
          }
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
          answer.once('error', reject);
          answer.pipe(response).once('close', resolve);
        },
      );
      forwarded.once('error', reject);
      forwarded.end(body);
    });
  }

  #note(url: string, authorization: string | undefined): void {
    const ofUri = new URL(url, this.#target).searchParams.get('sig');
    const ofHeader = /^SharedKey [^:]+:(.+)$/.exec(authorization ?? '')?.[1];
    for (const signature of [ofUri, ofHeader]) if (signature) this.signatures.add(signature);
  }
}

/** Takes the whole answer, and hands on half of its body or nothing. */
async function brokenOff(answer: IncomingMessage, response: ServerResponse, half: boolean): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
  const body = Buffer.concat(parts);
  if (half && body.length > 1) {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    await new Promise<void>((resolve) => response.write(body.subarray(0, body.length / 2), () => resolve()));
  }
  response.destroy();
}
