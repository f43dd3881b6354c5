import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { ServiceError } from '../errors.js';

/** Largest request body in bytes; nothing in scope comes near it. */
const largestBody = 4 * 1024 * 1024;

/** Bytes of a body that is too large which are read and thrown away, so that its sender comes to the answer. */
const mostDrained = 64 * 1024 * 1024;

/** Deepest nesting of JSON that is looked at. Twins nest 10 levels (§5), manifests of edge devices a few more. */
const deepestJson = 64;

/** The client broke off while it sent its body. */
export class ClientGone extends Error {}

/**
 * Reads a body to its end.
 * @throws {ServiceError} MessageTooLarge; {ClientGone}.
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Not the plain loop: leaving that one would destroy the connection, and the answer with it.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= largestBody) chunks.push(chunk);
      else if (bytes > mostDrained) break;
    }
  } catch {
    throw new ClientGone('the client broke off');
  }
  if (bytes > largestBody) throw new ServiceError('MessageTooLarge', 'The body is too large.');
  return Buffer.concat(chunks);
}

/**
 * Refuses what no handler should have to look at. Replacing bytes that are not UTF-8 would change ids and values, and
 * nesting without end would exhaust the stack of whoever walks through it.
 * @throws {ServiceError} IotHubFormatError
 */
export function checkBody(body: Buffer): void {
  if (!isUtf8(body)) throw new ServiceError('IotHubFormatError', 'The body is not valid UTF-8.');
  if (nesting(body) > deepestJson) {
    throw new ServiceError('IotHubFormatError', `The body is nested deeper than ${deepestJson} levels.`);
  }
}

const quote = 0x22;
const backslash = 0x5c;

/** How deep brackets nest in JSON text, those in strings not counted. */
function nesting(body: Buffer): number {
  let depth = 0;
  let deepest = 0;
  let inText = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i];
    if (inText) {
      if (byte === backslash) i++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) {
      inText = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return deepest;
}
