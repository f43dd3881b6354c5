import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { requireAccess } from './access/access.js';
import { verifyToken } from './access/sas.js';
import { errorEnvelope, ServiceError } from './errors.js';
import type { HubState } from './hub-state.js';
import type { Reply } from './router.js';
import { router } from './routes/index.js';
import type { FaultRule } from './traffic/faults.js';

/** Versions that a hub accepts (§1.1). */
const apiVersions: readonly string[] = [
  '2018-06-30',
  '2020-03-13',
  '2020-05-31-preview',
  '2020-09-30',
  '2021-04-12',
  '2024-03-31',
];

/** Largest request body in bytes; nothing in scope comes near it. */
const largestBody = 4 * 1024 * 1024;

/** Milliseconds between the two halves of a split body: enough for two packets. */
const splitPause = 25;

/** Answers one request. `findHub` maps the Host header (without port, lower case) to a hub. */
export async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  findHub: (host: string) => HubState | undefined,
): Promise<void> {
  const host = (request.headers.host ?? '').toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  const hub = findHub(host);
  if (hub === undefined) {
    request.resume();
    send(
      response,
      errorReply(new ServiceError('GenericBadRequest', `No hub answers as '${host}'.`), Date.now()),
    );
    return;
  }
  const [path, search] = splitTarget(request.url ?? '/');
  const name = routeName(request.method ?? 'GET', path);
  hub.counters.count(name);
  const fault = hub.faults.take(name);
  if (fault?.kind === 'drop') {
    request.socket.destroy();
    return;
  }
  if (fault?.kind === 'delay') await hub.clock.sleep(fault.ms);
  const reply = await answer(request, hub, { host, path, search, fault });
  if (fault?.kind === 'loseReply') request.socket.destroy();
  else if (fault?.kind === 'truncateBody') await sendBroken(response, reply);
  else if (fault?.kind === 'splitBody') await sendSplit(response, reply, fault.byte);
  else send(response, reply);
}

interface Asked {
  readonly host: string;
  readonly path: string;
  readonly search: string;
  readonly fault: FaultRule | undefined;
}

async function answer(request: IncomingMessage, hub: HubState, asked: Asked): Promise<Reply> {
  try {
    const body = await readBody(request);
    if (asked.fault?.kind === 'status') return faultReply(asked.fault, hub.clock.now());
    const found = router.find(request.method ?? 'GET', asked.path);
    if (found === undefined) {
      throw new ServiceError(
        'InvalidOperation',
        `The simulator does not serve ${request.method} ${asked.path}.`,
      );
    }
    const policy = verifyToken({
      header: request.headers.authorization,
      keys: hub.keys,
      hosts: [asked.host, `${hub.name}.localhost`],
      path: asked.path,
      now: Date.now(),
    });
    const principal = { kind: 'sas', policy } as const;
    requireAccess(principal, found.route.access, hub);
    const query = new URLSearchParams(asked.search);
    if (!apiVersions.includes(query.get('api-version') ?? '')) {
      throw new ServiceError('InvalidProtocolVersion', 'The api-version is missing or not supported.');
    }
    const header = (name: string): string | undefined => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    };
    return await found.route.handle({ hub, principal, params: found.params, query, header, body });
  } catch (error) {
    if (error instanceof ServiceError) return errorReply(error, hub.clock.now());
    return errorReply(new ServiceError('ServerError', 'An internal error occurred.'), hub.clock.now());
  }
}

function routeName(method: string, path: string): string {
  try {
    return router.find(method, path)?.route.name ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

function splitTarget(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark === -1 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read on to the end, so that the client gets the answer instead of a broken pipe.
    if (bytes <= largestBody) chunks.push(chunk);
  }
  if (bytes > largestBody) throw new ServiceError('MessageTooLarge', 'The body is too large.');
  return Buffer.concat(chunks);
}

function errorReply(error: ServiceError, now: number): Reply {
  return {
    status: error.status,
    json: errorEnvelope(error.errorName, error.message, new Date(now)),
    headers: {
      'iothub-errorcode': error.errorName,
      ...(error.status === 429 ? { connection: 'close' } : {}),
    },
  };
}

function faultReply(fault: Extract<FaultRule, { kind: 'status' }>, now: number): Reply {
  const code = fault.code ?? defaultCode(fault.status);
  const text =
    fault.status === 429 ? 'The request has been throttled. Wait 10 seconds and try again.' : 'Fault';
  return {
    status: fault.status,
    json: errorEnvelope(code, text, new Date(now)),
    headers: { 'iothub-errorcode': code, ...(fault.status === 429 ? { connection: 'close' } : {}) },
  };
}

function defaultCode(status: number): string {
  if (status === 429) return 'ThrottlingBacklogTimeout';
  if (status === 503) return 'ServiceUnavailable';
  return status >= 500 ? 'ServerError' : 'GenericBadRequest';
}

function head(response: ServerResponse, reply: Reply): Buffer {
  const body = reply.json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(reply.json));
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.setHeader(name, value);
  response.setHeader('x-ms-request-id', randomUUID());
  // The Node client parses a body only when it is told that it is JSON (§1.1).
  if (reply.json !== undefined) response.setHeader('Content-Type', 'application/json; charset=utf-8');
  if (reply.status !== 204) response.setHeader('Content-Length', body.length);
  response.statusCode = reply.status;
  return body;
}

function send(response: ServerResponse, reply: Reply): void {
  response.end(head(response, reply));
}

async function sendBroken(response: ServerResponse, reply: Reply): Promise<void> {
  const body = head(response, reply);
  await new Promise((resolve) => response.write(body.subarray(0, Math.floor(body.length / 2)), resolve));
  response.socket?.destroy();
}

async function sendSplit(response: ServerResponse, reply: Reply, byte: number): Promise<void> {
  const body = head(response, reply);
  response.socket?.setNoDelay(true);
  response.flushHeaders();
  if (byte > 0) response.write(body.subarray(0, byte));
  await pause(splitPause);
  response.end(body.subarray(byte));
}
