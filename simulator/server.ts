import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, requireAccess } from './access/access.js';
import type { SimulatedClock } from './clock.js';
import { ServiceError } from './errors.js';
import type { HubState } from './hub-state.js';
import type { Reply, Route } from './router.js';
import { router } from './routes/index.js';
import { ClientGone, checkBody, readBody } from './traffic/body.js';
import { type FaultRule, faultAnswer } from './traffic/faults.js';
import type { InternalErrors } from './traffic/internal-errors.js';
import { errorReply, type Rendered, render, send } from './traffic/send.js';

/** Versions that a hub accepts (§1.1). */
const apiVersions: readonly string[] = [
  '2018-06-30',
  '2020-03-13',
  '2020-05-31-preview',
  '2020-09-30',
  '2021-04-12',
  '2024-03-31',
];

/** What is served at a port. */
export interface Site {
  /** The hub for a Host header, without port, lower case; empty when there is none. */
  findHub(host: string): HubState | undefined;
  readonly clock: SimulatedClock;
  readonly internalErrors: InternalErrors;
}

interface Asked {
  readonly method: string;
  readonly host: string;
  /** As sent. */
  readonly path: string;
  readonly search: string;
}

/** Answers one request; never throws, since nobody could do anything about it. */
export async function serve(request: IncomingMessage, response: ServerResponse, site: Site): Promise<void> {
  try {
    const asked = readTarget(request);
    const hub = hasOneHost(request) ? site.findHub(asked.host) : undefined;
    if (hub !== undefined) {
      await serveHub(request, response, hub, asked);
      return;
    }
    await readBody(request).catch((error: unknown) => {
      if (!(error instanceof ServiceError)) throw error;
    });
    closeUnlessComplete(request, response);
    const error = new ServiceError('GenericBadRequest', `No hub answers as '${asked.host}'.`);
    await send(response, render(errorReply(error, site.clock.now())), site.clock);
  } catch (error) {
    // Bad HTTP in a body was answered already, and whoever is gone hears nothing.
    if (error instanceof ClientGone) return;
    site.internalErrors.add('server', error);
    request.socket.destroy();
  }
}

async function serveHub(
  request: IncomingMessage,
  response: ServerResponse,
  hub: HubState,
  asked: Asked,
): Promise<void> {
  const name = routeName(asked);
  hub.counters.count(name);
  const fault = hub.faults.take(name);
  if (fault?.kind === 'drop') {
    hub.counters.countOutcome(name, 'dropped');
    request.socket.destroy();
    return;
  }
  try {
    const reply = await answer(request, hub, asked, fault);
    closeUnlessComplete(request, response);
    hub.counters.countOutcome(name, fault?.kind === 'loseReply' ? 'dropped' : reply.status);
    await send(response, reply, hub.clock, fault);
  } catch (error) {
    if (!(error instanceof ClientGone) && !hub.closing.aborted) throw error;
    hub.counters.countOutcome(name, 'aborted');
    if (hub.closing.aborted) request.socket.destroy();
  }
}

/** What is left of a body without end must not be taken for the next request. */
function closeUnlessComplete(request: IncomingMessage, response: ServerResponse): void {
  if (!request.complete) response.setHeader('Connection', 'close');
}

async function answer(
  request: IncomingMessage,
  hub: HubState,
  asked: Asked,
  fault: FaultRule | undefined,
): Promise<Rendered> {
  try {
    const body = await readBody(request);
    // After the body, so that a client that gives up meanwhile has asked all the same.
    if (fault?.kind === 'delay') await hub.clock.sleep(fault.ms, hub.closing);
    return render(
      fault?.kind === 'status' ? faultReply(fault, hub) : await handle(request, hub, asked, body),
    );
  } catch (error) {
    if (error instanceof ClientGone || (hub.closing.aborted && error === hub.closing.reason)) throw error;
    if (error instanceof ServiceError) return render(errorReply(error, hub.clock.now()));
    hub.internalErrors.add(routeName(asked), error);
    const answered = new ServiceError('ServerError', 'An internal error occurred.');
    return render(errorReply(answered, hub.clock.now()));
  }
}

async function handle(request: IncomingMessage, hub: HubState, asked: Asked, body: Buffer): Promise<Reply> {
  const { method, host, path, search } = asked;
  const found = router.find(method, path);
  if (found === undefined) {
    throw new ServiceError('InvalidOperation', `The simulator does not serve ${method} ${path}.`);
  }
  const { route, params } = found;
  const principal = await authenticate({ header: request.headers.authorization, host, path }, hub);
  requireAccess(principal, route.access, hub);
  const query = new URLSearchParams(search);
  if (!apiVersions.includes(query.get('api-version') ?? '')) {
    throw new ServiceError('InvalidProtocolVersion', 'The api-version is missing or not supported.');
  }
  checkBody(body);
  const header = (name: string): string | undefined => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  const call = { hub, principal, params, query, header, body };
  await hub.throttle.pass({ operation: operationOf(route, hub), weight: route.weight?.(call) ?? 1, method });
  return route.handle(call);
}

function operationOf({ operation }: Route, hub: HubState): Exclude<Route['operation'], 'applyThrottle'> {
  return operation === 'applyThrottle' ? hub.settings.applyThrottle : operation;
}

function faultReply(fault: Extract<FaultRule, { kind: 'status' }>, hub: HubState): Reply {
  const { status, code } = faultAnswer(fault);
  const text = status === 429 ? 'The request has been throttled. Wait 10 seconds and try again.' : 'Fault';
  return errorReply(new ServiceError(code, text), hub.clock.now(), status);
}

function routeName({ method, path }: Asked): string {
  try {
    return router.find(method, path)?.route.name ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

/** HTTP/1.1 wants exactly one Host header; Node would take the first of two. */
function hasOneHost(request: IncomingMessage): boolean {
  const given = request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  return given === 1 || (given === 0 && request.httpVersion === '1.0');
}

/** Takes `/path?query` apart, and `https://host/path?query`, which HTTP/1.1 allows, too. */
function readTarget(request: IncomingMessage): Asked {
  const url = request.url ?? '/';
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url);
  const target = absolute?.[2] ?? url;
  const mark = target.indexOf('?');
  const host = absolute?.[1] ?? request.headers.host ?? '';
  return {
    method: readMethod(request),
    host: host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, ''),
    path: mark === -1 ? target : target.slice(0, mark),
    search: mark === -1 ? '' : target.slice(mark + 1),
  };
}

/** Microsoft's client for Java cannot send PATCH: it sends POST with a header that says so. */
function readMethod({ method = 'GET', headers }: IncomingMessage): string {
  return method === 'POST' && headers['x-http-method-override'] === 'PATCH' ? 'PATCH' : method;
}
