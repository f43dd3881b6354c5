import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { SimulatedHub } from '../hub.js';
import { checkJobFault } from '../jobs/job-faults.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import { splitLines } from '../lines.js';
import type { Listener } from '../listeners.js';
import type { FleetRecord } from '../records/full-record.js';
import { router } from '../routes/index.js';
import { checkSettings } from '../settings.js';
import { checkFaultRule } from '../traffic/faults.js';

/** A hub as GET /hubs of the admin port shows it. */
export interface HubEntry {
  readonly name: string;
  readonly hostName: string;
  readonly ownHostName: string | null;
  /** Of policy iothubowner. */
  readonly connectionString: string;
}

/**
 * The admin API: plain HTTP on 127.0.0.1, for tests and demos in other processes. It hands out keys to whoever asks
 * on this machine, which is why it listens only when told to, and never for a page in a browser.
 *
 * - `GET /hubs`
 * - `GET | DELETE /hubs/{hub}/counters`
 * - `GET | POST | DELETE /hubs/{hub}/records` (one JSON record per line; POST adds, DELETE forgets everything)
 * - `POST /hubs/{hub}/configurations` (array)
 * - `GET | PATCH /hubs/{hub}/settings`
 * - `GET | POST | DELETE /hubs/{hub}/faults`, `POST /hubs/{hub}/job-faults` (DELETE clears both kinds)
 * - `POST | DELETE /hubs/{hub}/slot`
 *
 * @param port 0 = a free one.
 * @throws {Error} with code EADDRINUSE that names the port.
 */
export async function listenAdmin(port: number, hubs: readonly SimulatedHub[]): Promise<Listener> {
  const server = createServer((request, response) => {
    handle(request, response, hubs).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw Object.assign(new Error(`port ${port} is in use`), { code: 'EADDRINUSE' });
  }
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  hubs: readonly SimulatedHub[],
): Promise<void> {
  // A web page that found the port must not be able to use it, neither directly nor by rebinding a name.
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (request.headers.origin !== undefined || !['127.0.0.1', 'localhost'].includes(host)) {
    sendJson(response, 403, { error: 'the admin API does not serve browsers' });
    return;
  }
  const [collection, name, what, ...rest] = (request.url ?? '').split('/').slice(1).map(decodeURIComponent);
  if (collection === 'hubs' && name === undefined && request.method === 'GET') {
    sendJson(response, 200, hubs.map(entry));
    return;
  }
  const hub = hubs.find((one) => one.name === name?.toLowerCase());
  if (collection !== 'hubs' || hub === undefined) {
    sendJson(response, 404, { error: `there is no hub '${name ?? ''}'` });
    return;
  }
  const action = rest.length === 0 ? actions[`${request.method} ${what}`] : undefined;
  if (action === undefined) {
    sendJson(response, 404, { error: `the admin API has no ${request.method} ${request.url}` });
    return;
  }
  const result = await action(hub, request, response);
  if (!response.headersSent) sendJson(response, 200, result ?? {});
}

type Action = (hub: SimulatedHub, request: IncomingMessage, response: ServerResponse) => unknown;

const actions: Readonly<Record<string, Action>> = {
  'GET counters': (hub) => hub.counts(),
  'DELETE counters': (hub) => hub.resetCounters(),
  'GET records': (hub, _request, response) => sendRecords(hub, response),
  'POST records': async (hub, request) => ({ loaded: await loadLines(hub, request) }),
  'DELETE records': (hub) => hub.clear(),
  'POST configurations': async (hub, request) => {
    const configurations = await readJson(request);
    if (!Array.isArray(configurations) || !configurations.every(isObject)) {
      throw new TypeError('an array of configurations is needed');
    }
    hub.loadConfigurations(configurations);
  },
  'GET settings': (hub) => hub.settings,
  'PATCH settings': async (hub, request) => {
    hub.set(checkSettings(await readObject(request)));
    return hub.settings;
  },
  'GET faults': (hub) => ({ requests: hub.faults.list(), jobs: hub.jobs.faults.list() }),
  'POST faults': async (hub, request) => hub.addFault(checkFaultRule(await readJson(request), router.names)),
  'DELETE faults': (hub) => hub.clearFaults(),
  'POST job-faults': async (hub, request) => hub.addJobFault(checkJobFault(await readJson(request))),
  'POST slot': async (hub, request) => {
    const { type } = await readObject(request);
    return { jobId: hub.occupySlot(type === 'import' ? 'import' : 'export') };
  },
  'DELETE slot': (hub) => hub.releaseSlot(),
};

function entry(hub: SimulatedHub): HubEntry {
  return {
    name: hub.name,
    hostName: hub.hostName,
    ownHostName: hub.ownHostName ?? null,
    connectionString: hub.connectionString(),
  };
}

async function sendRecords(hub: SimulatedHub, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  for (const record of hub.dump()) {
    if (!response.write(`${JSON.stringify(record)}\n`)) await once(response, 'drain');
  }
  response.end();
}

async function loadLines(hub: SimulatedHub, request: IncomingMessage): Promise<number> {
  let loaded = 0;
  for await (const line of splitLines(request as AsyncIterable<Buffer>)) {
    const record: unknown = JSON.parse(line);
    if (!isObject(record) || typeof record.deviceId !== 'string') {
      throw new TypeError(`record ${loaded + 1}: deviceId is missing`);
    }
    loaded += hub.load([record as unknown as FleetRecord]);
  }
  return loaded;
}

async function readJson(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Json);
}

async function readObject(request: IncomingMessage): Promise<JsonObject> {
  const body = await readJson(request);
  if (!isObject(body)) throw new TypeError('a JSON object is needed');
  return body;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}
