import { readFileSync } from 'node:fs';
import { isErrorName } from '../../simulator/errors.js';
import type { HubSettings, Simulator } from '../../simulator/index.js';
import { isObject, type Json } from '../../simulator/json.js';
import { Prng } from '../../simulator/prng.js';
import { type Setting, settingTable } from '../../simulator/settings.js';
import type { RestClient } from './client.js';
import { type Credentials, type FuzzedRequest, RequestFuzzer } from './fuzz-requests.js';
import { type RawAnswer, RawConnection } from './raw.js';

export interface FuzzResult {
  /** Answers by status; `none` = the connection ended without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** What was wrong with answers, or with the simulator afterwards; empty when all is well. */
  readonly problems: readonly string[];
}

/** Statuses that the service is known to give, by its codes (§7), and those of HTTP itself. */
const validStatuses = new Set([200, 204, 400, 401, 403, 404, 405, 408, 409, 412, 413, 417, 429, 431]);

/** Good tokens and some that allow little. */
export async function fuzzCredentials(sim: Simulator, client: RestClient): Promise<Credentials> {
  return [
    `Bearer ${await sim.bearerToken()}`,
    client.token(),
    client.token('service'),
    client.token('registryRead'),
    `Bearer ${await sim.bearerToken({ actions: ['devices/read'] })}`,
    'Bearer x.y.z',
    '',
  ];
}

/** Requests after which the hubs are filled anew, since most of what is there gets deleted. */
const refill = 100;

/**
 * Fills the hubs with a little of everything that requests may touch, and with nothing else. All but the first also
 * take another choice of every setting.
 */
function fill(sim: Simulator, random: Prng): void {
  for (const hub of sim.hubs) {
    hub.clear();
    hub.load([
      { deviceId: 'd1', tags: { city: 'Zürich' } },
      { deviceId: 'd2' },
      { deviceId: 'd2', moduleId: 'm' },
      { deviceId: 'edge', iotEdge: true },
      { deviceId: 'off', status: 'disabled' },
    ]);
    hub.loadConfigurations([{ id: 'c1', targetCondition: "tags.city='Zürich'", priority: 1 }]);
    if (hub !== sim.hubs[0]) hub.set(anySettings(random));
    // A documented 500, which would hide those that are mistakes; and nobody shall wait.
    hub.set({ deleteFinishedJob: 'ok', throttleQueue: 0 });
  }
}

function anySettings(random: Prng): Partial<HubSettings> {
  const chosen = Object.entries<Setting>(settingTable).flatMap(([name, setting]) => {
    if (setting.kind === 'number') return [];
    const values = setting.kind === 'flag' ? [true, false] : setting.choices;
    return [[name, values[random.below(values.length)]]];
  });
  return Object.fromEntries(chosen) as Partial<HubSettings>;
}

/** Sends so many bad requests, one after the other, and looks at every answer. */
export async function fuzz(
  sim: Simulator,
  credentials: Credentials,
  { requests, seed }: { readonly requests: number; readonly seed: number },
): Promise<FuzzResult> {
  const settings = new Prng(seed, 'settings');
  const fuzzer = new RequestFuzzer(seed, credentials);
  const ca = readFileSync(sim.caFile);
  const statuses: Record<string, number> = {};
  const problems: string[] = [];
  let connection = new RawConnection(ca, sim.port);
  for (let n = 0; n < requests; n++) {
    const request = fuzzer.next();
    if (n % refill === 0) fill(sim, settings);
    if (!connection.open) connection = new RawConnection(ca, sim.port);
    const answer = await connection.ask(request);
    const status = answer?.status ?? 'none';
    statuses[status] = (statuses[status] ?? 0) + 1;
    const wrong = complaint(request, answer);
    if (wrong !== undefined) problems.push(`request ${n}: ${wrong}\n${shown(request)}`);
    if (!request.framed || answer === undefined || answer.headers.connection === 'close') connection.close();
  }
  connection.close();
  problems.push(...sim.internalErrors());
  return { statuses, problems };
}

/** What is wrong with an answer, if anything. */
function complaint(request: FuzzedRequest, answer: RawAnswer | undefined): string | undefined {
  // Whoever hangs up in the middle may hear nothing; whoever sends a whole request must not.
  if (answer === undefined) return request.end ? undefined : 'no answer';
  if (!validStatuses.has(answer.status)) return `status ${answer.status} ${answer.text}`;
  if (request.head || answer.status === 204) return undefined;
  let body: Json;
  try {
    body = JSON.parse(answer.text) as Json;
  } catch {
    return `status ${answer.status}, no JSON: ${answer.text}`;
  }
  if (answer.headers['content-type']?.startsWith('application/json') !== true) return 'no Content-Type';
  if (answer.status < 400) return undefined;
  const code = answer.headers['iothub-errorcode'] ?? '';
  if (!isErrorName(code)) return `unknown iothub-errorcode '${code}'`;
  return hasEnvelope(body) ? undefined : `status ${answer.status}, no envelope: ${answer.text}`;
}

/** One of the two envelopes of errors, or the result of a bulk write (§7). */
function hasEnvelope(body: Json): boolean {
  if (!isObject(body)) return false;
  if (typeof body.Message === 'string') {
    return body.Message.startsWith('ErrorCode:') && typeof body.ExceptionMessage === 'string';
  }
  if (typeof body.errorCode === 'number') return typeof body.message === 'string';
  return body.isSuccessful === false && Array.isArray(body.errors);
}

function shown({ packets, end }: FuzzedRequest): string {
  const text = Buffer.concat(packets).toString('latin1');
  return JSON.stringify({ sent: text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text, end });
}
