import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';
import { type HubClient, type OpenHubOptions, openHub } from '../../azure/hub-client.js';

/** A small HTTPS server on loopback that answers as a test says. */
export interface Service {
  readonly port: number;
  readonly ca: string;
  /** What was asked so far. */
  readonly asked: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  /** How many connections were opened. */
  connections(): number;
  answer(handler: Handler): void;
  /** Forgets what was asked, and closes all connections. */
  forget(): void;
  close(): Promise<void>;
}

export type Handler = (response: ServerResponse, request: IncomingMessage) => void;

export async function startService(
  names: readonly string[] = ['localhost', 'hub.localhost'],
): Promise<Service> {
  const certificate = await generate([{ name: 'commonName', value: 'hubferry test' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...(names.includes('localhost') ? [{ type: 7 as const, ip: '127.0.0.1' }] : []),
        ],
      },
    ],
  });
  const asked: Service['asked'] = [];
  let handle: Handler = (response) => response.end();
  const server = createServer({ key: certificate.private, cert: certificate.cert }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      handle(response, request);
    });
  });
  let connections = 0;
  server.on('secureConnection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: portOf(server),
    ca: certificate.cert,
    asked,
    connections: () => connections,
    answer: (handler) => {
      handle = handler;
    },
    forget: () => {
      asked.length = 0;
      connections = 0;
      server.closeAllConnections();
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

/** A key that must never be seen in a message. */
export const PLANTED_KEY = 'aHViZmVycnktcGxhbnRlZC1rZXktMDEyMzQ1Njc4OQ==';

/** A client of a service, trusting it. */
export function hubAt(host: string, options: OpenHubOptions & { readOnly?: boolean } = {}): HubClient {
  const { readOnly = false, ...rest } = options;
  const connectionString = `HostName=${host};SharedAccessKeyName=iothubowner;SharedAccessKey=${PLANTED_KEY}`;
  return openHub(
    { alias: 'a', host, connectionString, readOnly, tier: 'S1', units: 1, maxRecords: 1_000_000 },
    rest,
  );
}

/** Answers with JSON, in one piece. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Handler {
  return (response) => {
    response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', ...headers });
    response.end(JSON.stringify(body));
  };
}
