import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';

export interface RestRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** With the query string, percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A value to be sent as JSON, or a Buffer that is JSON already. */
  readonly body?: unknown;
  /** Whether sending it twice is harmless; true for GET. */
  readonly repeatable?: boolean;
}

/** An answer of the hub, whatever its status. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RestOptions {
  /** Host, with its port if it has one. */
  readonly host: string;
  /** Brings the time limit: see `HubAgent`. */
  readonly agent: Agent;
  /** The value of the Authorization header; asked for on every request. */
  readonly authorize: () => string | Promise<string>;
}

/**
 * A small REST client of a hub, for all bodies with user content: Microsoft's client decodes each network packet on its
 * own, which destroys a character that straddles two.
 *
 * @throws the socket's own error (with `code`) if there is no whole answer, what `authorize` throws; a status is never an
 *   error here
 */
export async function callRest(options: RestOptions, call: RestRequest): Promise<RestAnswer> {
  try {
    return await send(options, call);
  } catch (error) {
    // A kept-alive socket that the server closed just as it was taken again.
    const repeatable = call.repeatable ?? call.method === 'GET';
    if (repeatable && error instanceof StaleSocket) return await send(options, call);
    throw error instanceof StaleSocket ? error.cause : error;
  }
}

class StaleSocket extends Error {}

function bytesOf(body: unknown): Buffer | undefined {
  if (body === undefined || Buffer.isBuffer(body)) return body;
  return Buffer.from(JSON.stringify(body), 'utf8');
}

async function send({ host, agent, authorize }: RestOptions, call: RestRequest): Promise<RestAnswer> {
  const body = bytesOf(call.body);
  const given = authorize();
  const authorization = typeof given === 'string' ? given : await given;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host,
        agent,
        method: call.method,
        path: call.path,
        headers: {
          Authorization: authorization,
          'Request-Id': randomUUID(),
          'User-Agent': 'hubferry',
          ...(body === undefined
            ? {}
            : { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length }),
          ...call.headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      },
    );
    request.on('error', (error) => {
      const stale = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET';
      reject(stale ? new StaleSocket('stale socket', { cause: error }) : error);
    });
    request.end(body);
  });
}
