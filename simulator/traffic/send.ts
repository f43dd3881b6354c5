import { randomUUID } from 'node:crypto';
import { type ServerResponse, validateHeaderValue } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { SimulatedClock } from '../clock.js';
import { errorEnvelope, type ServiceError } from '../errors.js';
import type { Reply } from '../router.js';
import type { FaultRule } from './faults.js';

/** Milliseconds of the machine between the two halves of a split body: enough for two packets. */
const splitPause = 25;

/** A reply as it goes out. */
export interface Rendered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** @throws {Error} when the reply cannot be written down, which is a mistake of whoever made it. */
export function render({ status, json, headers = {} }: Reply): Rendered {
  const body = json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(json));
  const all = {
    ...headers,
    'x-ms-request-id': randomUUID(),
    // The Node client parses a body only when it is told that it is JSON (§1.1).
    ...(json === undefined ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
    ...(status === 204 ? {} : { 'Content-Length': String(body.length) }),
  };
  for (const [name, value] of Object.entries(all)) validateHeaderValue(name, value);
  return { status, headers: all, body };
}

/**
 * An error with its envelope and header (§7); throttled requests also lose their connection (§5).
 * @param status when it is not the one that the code begins with.
 */
export function errorReply(error: ServiceError, now: number, status = error.status): Reply {
  return {
    status,
    json: errorEnvelope(error.errorName, error.message, new Date(now)),
    headers: {
      'iothub-errorcode': error.errorName,
      ...(status === 429 ? { connection: 'close' } : {}),
    },
  };
}

/** Sends a reply, whole or as a fault wants it. Returns when there is nothing left to be sent. */
export async function send(
  response: ServerResponse,
  { status, headers, body }: Rendered,
  clock: SimulatedClock,
  fault?: FaultRule,
): Promise<void> {
  if (response.destroyed) return;
  if (fault?.kind === 'loseReply') {
    response.socket?.destroy();
    return;
  }
  response.writeHead(status, headers);
  if (fault?.kind === 'truncateBody') {
    const part = body.subarray(0, fault.byte ?? Math.floor(body.length / 2));
    response.flushHeaders();
    if (part.length > 0) await new Promise((resolve) => response.write(part, resolve));
    response.socket?.destroy();
  } else if (fault?.kind === 'splitBody') {
    response.socket?.setNoDelay(true);
    response.flushHeaders();
    if (fault.byte > 0) response.write(body.subarray(0, fault.byte));
    await pause(splitPause);
    response.end(body.subarray(fault.byte));
  } else if (fault?.kind === 'slowBody') {
    await sendSlowly(response, body, fault, clock);
  } else {
    response.end(body);
  }
}

async function sendSlowly(
  response: ServerResponse,
  body: Buffer,
  { bytes, ms }: { readonly bytes: number; readonly ms: number },
  clock: SimulatedClock,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.socket?.setNoDelay(true);
  response.flushHeaders();
  for (let at = 0; at < body.length; at += bytes) {
    if (at > 0) await clock.sleep(ms, gone.signal).catch(() => undefined);
    if (response.destroyed) return;
    response.write(body.subarray(at, at + bytes));
  }
  response.end();
}
