import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { checkTokenAsk } from '../access/bearer.js';
import type { SimulatedHub } from '../hub.js';
import { checkJobFault } from '../jobs/job-faults.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import { splitLines } from '../lines.js';
import type { Listener } from '../listeners.js';
import type { FleetRecord } from '../records/full-record.js';
import { router } from '../routes/index.js';
import { checkSettings } from '../settings.js';
import type { Simulator } from '../simulator.js';
import { answerBadHttp } from '../traffic/bad-http.js';
import { checkFaultRule } from '../traffic/faults.js';
import type { ClockState, HubEntry } from './answers.js';

/**
 * The admin API: plain HTTP on 127.0.0.1, for tests and demos in other processes. It hands out keys to whoever asks
 * on this machine, which is why it listens only when told to, and never for a page in a browser. Answers are JSON, and
 * `{"error":"…"}` with a status from 400 on for what it refuses.
 *
 * - `GET /hubs`: names and connection strings
 * - `GET | PATCH | DELETE /clock`: PATCH takes `{"speed":n}`, DELETE goes back to the machine's time
 * - `POST /clock/advance`: `{"ms":n}`
 * - `GET | POST | DELETE /faults`, `DELETE /faults/{id}`: rules that may hit any hub
 * - `POST /token`: `{"roles":[…],"actions":[…],"expiresIn":seconds}`, each may be left out; a bearer token
 * - `GET | DELETE /counters`: of all hubs, by name
 * - `GET /internal-errors`: mistakes of the simulator itself
 * - `POST /reset`: all hubs, the clock, and faults
 * - `POST /hubs/{hub}/reset`
 * - `GET | DELETE /hubs/{hub}/counters`: requests by route
 * - `GET /hubs/{hub}/outcomes`: what they were answered, by route and status
 * - `GET | POST | DELETE /hubs/{hub}/records`: one JSON record per line; POST adds, DELETE also forgets configurations
 * - `GET | POST /hubs/{hub}/configurations`: an array
 * - `GET | PATCH /hubs/{hub}/settings`
 * - `GET | POST | DELETE /hubs/{hub}/faults`: GET and DELETE are about the faults of jobs, too
 * - `DELETE /hubs/{hub}/faults/{id}`
 * - `POST /hubs/{hub}/job-faults`
 * - `GET /hubs/{hub}/jobs`: import and export jobs
 * - `POST | DELETE /hubs/{hub}/slot`: a stranger's job takes it, or ends
 *
 * @param port 0 = a free one.
 * @throws {Error} with code EADDRINUSE that names the port.
 */
export async function listenAdmin(port: number, simulator: Simulator): Promise<Listener> {
  // Node would answer a request without Host itself, and without a body.
  const server = createServer({ requireHostHeader: false }, (request, response) => {
    handle(request, response, simulator).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendError(response, error);
    });
  });
  answerBadHttp(server, (status, text) => {
    const body = Buffer.from(JSON.stringify({ error: text }));
    const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) };
    return { status, headers, body };
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

/** What is asked for is not there. */
class NotThere extends Error {}

function sendError(response: ServerResponse, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  sendJson(response, error instanceof NotThere ? 404 : 400, { error: text });
}

interface Call {
  readonly simulator: Simulator;
  /** The `{id}` of the path. */
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** @returns what is sent as JSON; nothing: `{}`, unless the response has begun. */
type Action = (call: Call) => unknown;
type HubAction = (hub: SimulatedHub, call: Call) => unknown;

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  simulator: Simulator,
): Promise<void> {
  if (isBrowser(request)) {
    sendJson(response, 403, { error: 'the admin API does not serve browsers' });
    return;
  }
  const parts = (request.url ?? '').split('/').slice(1).map(decodeURIComponent);
  const result = await act(parts, { simulator, id: parts.at(-1) ?? '', request, response });
  if (!response.headersSent) sendJson(response, 200, result ?? {});
}

/** A web page that found the port must not be able to use it, neither directly nor by rebinding a name. */
function isBrowser({ headers }: IncomingMessage): boolean {
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  return (
    headers.origin !== undefined ||
    headers['sec-fetch-site'] !== undefined ||
    !['127.0.0.1', 'localhost'].includes(host)
  );
}

function act(parts: readonly string[], call: Call): unknown {
  const { request, simulator } = call;
  const [first = '', name, ...rest] = parts;
  if (first === 'hubs' && name !== undefined) {
    const hub = simulator.hubs.find((one) => one.name === name.toLowerCase());
    if (hub === undefined) throw new NotThere(`there is no hub '${name}'`);
    const action = hubActions[`${request.method} ${pattern(rest)}`];
    if (action !== undefined) return action(hub, call);
  }
  const action = actions[`${request.method} ${pattern(parts)}`];
  if (action !== undefined) return action(call);
  throw new NotThere(`the admin API has no ${request.method} ${request.url}`);
}

/** The path by which the tables below know an action: what follows `faults` is an id. */
function pattern(parts: readonly string[]): string {
  return parts.map((part, i) => (parts[i - 1] === 'faults' ? '{id}' : part)).join('/');
}

const actions: Readonly<Record<string, Action>> = {
  'GET hubs': ({ simulator }) => simulator.hubs.map(entry),
  'GET clock': ({ simulator }) => clockState(simulator),
  'PATCH clock': async ({ simulator, request }) => {
    simulator.clock.setSpeed(await readNumber(request, 'speed'));
    return clockState(simulator);
  },
  'DELETE clock': ({ simulator }) => {
    simulator.clock.reset();
    return clockState(simulator);
  },
  'POST clock/advance': async ({ simulator, request }) => {
    simulator.clock.advance(await readNumber(request, 'ms'));
    return clockState(simulator);
  },
  'GET faults': ({ simulator }) => ({ requests: simulator.faults.list() }),
  'POST faults': async ({ simulator, request }) => ({
    id: simulator.faults.add(checkFaultRule(await readJson(request), router.names)),
  }),
  'DELETE faults': ({ simulator }) => simulator.faults.clear(),
  'DELETE faults/{id}': ({ simulator, id }) => needed(simulator.faults.remove(id), id),
  'POST token': async ({ simulator, request }) => ({
    token: await simulator.bearerToken(checkTokenAsk(await readObject(request))),
  }),
  'GET counters': ({ simulator }) =>
    Object.fromEntries(simulator.hubs.map((hub) => [hub.name, hub.counts()])),
  'DELETE counters': ({ simulator }) => {
    for (const hub of simulator.hubs) hub.resetCounters();
  },
  'GET internal-errors': ({ simulator }) => simulator.internalErrors(),
  'POST reset': ({ simulator }) => simulator.reset(),
};

const hubActions: Readonly<Record<string, HubAction>> = {
  'POST reset': (hub) => hub.reset(),
  'GET counters': (hub) => hub.counts(),
  'DELETE counters': (hub) => hub.resetCounters(),
  'GET outcomes': (hub) => hub.outcomes(),
  'GET records': (hub, { response }) => sendRecords(hub, response),
  'POST records': async (hub, { request }) => ({ loaded: await loadLines(hub, request) }),
  'DELETE records': (hub) => hub.clear(),
  'GET configurations': (hub) => hub.configurations.list(),
  'POST configurations': async (hub, { request }) => {
    const configurations = await readJson(request);
    if (!Array.isArray(configurations) || !configurations.every(isObject)) {
      throw new TypeError('an array of configurations is needed');
    }
    hub.loadConfigurations(configurations);
  },
  'GET settings': (hub) => hub.settings,
  'PATCH settings': async (hub, { request }) => {
    hub.set(checkSettings(await readObject(request)));
    return hub.settings;
  },
  'GET faults': (hub) => ({ requests: hub.faults.list(), jobs: hub.jobs.faults.list() }),
  'POST faults': async (hub, { request }) => ({
    id: hub.addFault(checkFaultRule(await readJson(request), router.names)),
  }),
  'DELETE faults': (hub) => hub.clearFaults(),
  'DELETE faults/{id}': (hub, { id }) => needed(hub.removeFault(id), id),
  'POST job-faults': async (hub, { request }) => hub.addJobFault(checkJobFault(await readJson(request))),
  'GET jobs': (hub) => hub.jobs.list(),
  'POST slot': async (hub, { request }) => {
    const { type } = await readObject(request);
    return { jobId: hub.occupySlot(type === 'import' ? 'import' : 'export') };
  },
  'DELETE slot': (hub) => hub.releaseSlot(),
};

function needed(found: boolean, id: string): void {
  if (!found) throw new NotThere(`there is no fault '${id}'`);
}

function entry(hub: SimulatedHub): HubEntry {
  return {
    name: hub.name,
    hostName: hub.hostName,
    ownHostName: hub.ownHostName ?? null,
    connectionString: hub.connectionString(),
  };
}

function clockState({ clock }: Simulator): ClockState {
  return { now: new Date(clock.now()).toISOString(), speed: clock.speed };
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

async function readNumber(request: IncomingMessage, name: string): Promise<number> {
  const value = (await readObject(request))[name];
  if (typeof value !== 'number') throw new TypeError(`'${name}' must be a number`);
  return value;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}
