import type { Server as HttpServer, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Rendered } from './send.js';

/** Milliseconds that a client has to read why its connection ends. */
const farewell = 500;

/** Writes down a refusal with the envelope of whoever serves. */
export type Refuse = (status: number, text: string) => Rendered;

/**
 * Answers what never becomes a request: lines and headers that are not HTTP, too many of them, requests that never end,
 * CONNECT, and expectations. Node alone would answer without a body.
 */
export function answerBadHttp(server: HttpServer | HttpsServer, refuse: Refuse): void {
  const current = new WeakMap<Duplex, ServerResponse>();
  const refused = new WeakSet<Duplex>();
  const end = (socket: Duplex, status: number, text: string): void => {
    if (refused.has(socket)) return;
    refused.add(socket);
    socket.on('error', () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), farewell);
    socket.once('close', () => clearTimeout(timer));
    socket.end(raw(refuse(status, text)));
  };
  server.on('request', (request, response) => current.set(request.socket, response));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const [status, text] = problem(error.code ?? '');
    const response = current.get(socket);
    // In the middle of another reply nothing can be said any more.
    const busy = response?.headersSent === true && !response.writableFinished;
    if (status === undefined || busy || !socket.writable) socket.destroy();
    else end(socket, status, text);
  });
  server.on('connect', (_request, socket) => end(socket, 400, 'CONNECT is not served.'));
  server.on('checkExpectation', (_request, response) => {
    const { status, headers, body } = refuse(417, 'The expectation is not supported.');
    response.writeHead(status, { ...headers, Connection: 'close' });
    response.end(body);
  });
}

/** Status and text for an error of Node's HTTP parser; no status for a connection that is past saving. */
export function problem(code: string): [status: number | undefined, text: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'The headers are too large.'];
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return [413, 'The chunk extensions are too large.'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'The request took too long to arrive.'];
  // A request that breaks off in its middle: nobody may be listening, but some clients only close their half.
  if (code.startsWith('HPE_')) return [400, 'The request is not valid HTTP.'];
  return [undefined, ''];
}

function raw({ status, headers, body }: Rendered): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}Connection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
