import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent, type ClientRequest } from 'node:http';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { type Activities, createActivities } from '../../activities/index.js';
import { Connections } from '../../azure/connections.js';
import { openKeyRing } from '../../azure/key-ring.js';
import { loadConfig, storageOf } from '../../config/index.js';
import { connectClient } from '../../worker/connection.js';
import { dataConverterOf } from '../../worker/data-converter.js';
import { createLogger } from '../../worker/log.js';
import { hubMetrics } from '../../worker/metrics.js';
import { installRuntime } from '../../worker/runtime.js';
import { createWorkerPair } from '../../worker/worker-pair.js';
import { enqueue, hubQueueIdOf } from '../../workflows/messages.js';
import { type Fault, fits, type News, type Order, type Point, type WorkerSpec } from './fault.js';

/*
 * A worker of hubferry's own workflows and activities, made as `worker/worker.ts` makes it. One call of an activity may
 * meet a fault. It takes tasks only when it is told to, so that a successor can stand by.
 */

/** A busy machine may take long, ms. */
const CONNECT_TIMEOUT = 60_000;

/** How soon the server asks another worker when one does not answer, ms. */
const STICKY = 500;

/** A call that goes on in this process. */
interface Live {
  readonly fault: Fault | null;
  /** Whether its fault has begun. */
  struck: boolean;
  readonly requests: string[];
  /** The sleeping call that this is another attempt of. */
  readonly sleeper: Live | undefined;
  /** For a sleeping call: whether the other attempt has come as far, and whether it has ended. */
  readonly asFar: Gate;
  readonly behind: Gate;
}

interface Gate {
  readonly open: () => void;
  readonly opened: Promise<void>;
}

function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

const live = new AsyncLocalStorage<Live>();
let armed: Fault | null = null;
/** Calls since then by workflow and activity id, and how many of them fit. */
const begun = new Set<string>();
let fitting = 0;
/** Opened at the end of the run. */
let over = gate();
/** Calls that sleep or are mute, by workflow and activity id. */
const held = new Map<string, { readonly call: Live; readonly ended: Promise<unknown> }>();

const tell = (news: News): void => void process.send?.(news);

/** Does to the call what its fault says, if this is the point. @returns what the call waits for, if it does. */
function pass(call: Live, here: Point): Promise<void> | 'lost' | undefined {
  const { fault, sleeper } = call;
  if (sleeper?.fault && isAt(sleeper.fault.at, here)) sleeper.asFar.open();
  if (fault === null || call.struck || !isAt(fault.at, here)) return undefined;
  call.struck = true;
  if (fault.then === 'die') die();
  tell({ news: 'struck' });
  if (fault.then === 'mute') return over.opened;
  if (fault.then === 'lose') return 'lost';
  // From now on no heartbeat of the call leaves this process.
  Object.defineProperty(Context.current(), 'heartbeat', { value: () => undefined });
  const wakes =
    fault.then === 'sleep beside' ? [call.asFar.opened, call.behind.opened] : [call.behind.opened];
  return Promise.race([...wakes, over.opened]);
}

class ConnectionBroken extends Error {
  readonly code = 'ECONNRESET';
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function isAt(at: Point, here: Point): boolean {
  if (typeof at === 'string' || typeof here === 'string') return at === here;
  if ('sent' in at) return 'sent' in here && new RegExp(at.sent).test(here.sent);
  return 'answered' in here && new RegExp(at.answered).test(here.answered);
}

type AddRequest = (this: Agent, request: ClientRequest, ...rest: unknown[]) => void;

/** Every request to a hub or to storage is handed to an agent before anything of it is sent. */
function watchRequests(): void {
  const prototype = Agent.prototype as unknown as { addRequest: AddRequest };
  const { addRequest } = prototype;
  prototype.addRequest = function (this: Agent, request, ...rest) {
    const call = live.getStore();
    if (call === undefined) return addRequest.call(this, request, ...rest);
    const name = `${request.method} ${request.path.split('?')[0]}`;
    call.requests.push(name);
    const sent = pass(call, { sent: name });
    const emit = request.emit.bind(request);
    request.emit = (event: string | symbol, ...args: unknown[]): boolean => {
      const waits = event === 'response' ? live.run(call, () => pass(call, { answered: name })) : undefined;
      if (waits === 'lost') return request.destroy(new ConnectionBroken()).destroyed;
      if (waits === undefined) return emit(event, ...args);
      void waits.then(() => emit(event, ...args));
      return true;
    };
    if (typeof sent !== 'object') return addRequest.call(this, request, ...rest);
    return void sent.then(() => addRequest.call(this, request, ...rest));
  };
}

/** What activities ask of workflows counts as a request, too. */
function watched<T extends object>(client: T, path = 'temporal'): T {
  return new Proxy(client, {
    get: (target, member) => {
      const value: unknown = Reflect.get(target, member, target);
      const place = `${path}/${String(member)}`;
      if (typeof value === 'object' && value !== null) return watched(value, place);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const begin = (): unknown => Reflect.apply(value, target, args);
        const call = live.getStore();
        if (member === 'getHandle') return watched(begin() as object, place);
        if (call === undefined) return begin();
        return member === 'list' ? listed(call, place, begin) : asked(call, place, begin);
      };
    },
  });
}

function withWatchedWorkflows(client: Client): Client {
  const workflow = watched(client.workflow);
  return new Proxy(client, {
    get: (target, member) => {
      const value: unknown = Reflect.get(target, member, target);
      if (member === 'workflow') return workflow;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** What is asked for page by page, when it is read. */
async function* listed(call: Live, place: string, begin: () => unknown): AsyncGenerator {
  const pages = await asked(call, place, async () => begin);
  yield* (pages as () => AsyncIterable<unknown>)();
}

async function asked(call: Live, place: string, begin: () => unknown): Promise<unknown> {
  const name = `${place.includes('signal') ? 'PUT' : 'GET'} ${place}`;
  call.requests.push(name);
  await pass(call, { sent: name });
  const got = await begin();
  await pass(call, { answered: name });
  return got;
}

type Activity = (input: never) => Promise<unknown>;

/** The same activities, one call of which may meet the fault that is armed. */
function mortal(activities: Activities): Activities {
  const all = Object.entries(activities as unknown as Record<string, Activity>);
  return Object.fromEntries(all.map(([name, one]) => [name, mortalOf(name, one)])) as unknown as Activities;
}

function mortalOf(activity: string, body: Activity): Activity {
  return async (given) => {
    const { activityId, workflowExecution } = Context.current().info;
    const id = `${workflowExecution?.runId}/${activityId}`;
    const input = textsOf(given);
    // An attempt that a busy machine never got is no attempt.
    const isFirst = !begun.has(id);
    begun.add(id);
    const place = begun.size;
    const fault = isFirst ? taken({ activity, input }) : null;
    const sleeper = isFirst ? undefined : held.get(id)?.call;
    const call: Live = { fault, struck: false, requests: [], sleeper, asFar: gate(), behind: gate() };
    const working = live.run(call, async () => {
      await pass(call, 'entry');
      try {
        return await body(given);
      } finally {
        await pass(call, 'return');
        sleeper?.behind.open();
      }
    });
    if (fault !== null) held.set(id, { call, ended: working.catch(() => undefined) });
    try {
      return await working;
    } finally {
      if (isFirst) tell({ news: 'call', call: { activity, place, input, requests: call.requests } });
    }
  };
}

/** The fault that is armed, if this is the call that it is meant for. */
function taken(call: {
  readonly activity: string;
  readonly input: Readonly<Record<string, string>>;
}): Fault | null {
  const fault = armed;
  if (fault === null || !fits(fault, call)) return null;
  fitting += 1;
  if (fitting !== fault.nth) return null;
  armed = null;
  return fault;
}

function textsOf(given: object): Record<string, string> {
  const members = Object.entries(given) as [string, unknown][];
  const chunk = members.find(([name]) => name === 'chunk')?.[1] as { wave?: unknown } | undefined;
  const texts = members.filter((member): member is [string, string] => typeof member[1] === 'string');
  return { ...Object.fromEntries(texts), ...(typeof chunk?.wave === 'string' ? { wave: chunk.wave } : {}) };
}

async function main({ configFile, address, taskQueue, workflowBundle }: WorkerSpec): Promise<void> {
  installRuntime(createLogger({ level: 'silent' }));
  watchRequests();
  const config = loadConfig({ path: configFile });
  const ring = await openKeyRing(config);
  const { client } = await connectClient(
    { address, namespace: 'default' },
    { dataConverter: dataConverterOf(ring), connectTimeout: CONNECT_TIMEOUT },
  );
  const connections = new Connections(config, { observer: hubMetrics, keys: ring });
  // What is loaded at its first use is loaded now: on a busy machine it keeps heartbeats back for seconds.
  await connections.storage(storageOf(config).account).containerExists('warm-up');
  for (const { host } of config.hubs.values()) await connections.hub(host).listJobs();
  const activities = createActivities({
    connections,
    client: withWatchedWorkflows(client),
    version: '0.0.0-test',
    hubQueue: { type: 'hubQueue', signal: enqueue.name, idOf: hubQueueIdOf },
  });
  const worker = await createWorkerPair({
    connection: await NativeConnection.connect({ address }),
    namespace: 'default',
    activities: mortal(activities),
    ring,
    tuning: { taskQueue, workflowBundle, stickyTimeout: STICKY },
  });
  process.on('disconnect', die);
  if (!process.connected) die();
  process.on('message', (message: Order) => {
    if (message.order === 'work') void worker.run().catch(die);
    else if (message.order === 'arm') arm(message.fault);
    else void release();
  });
  tell({ news: 'ready' });
}

function arm(fault: Fault | null): void {
  armed = fault;
  fitting = 0;
  begun.clear();
}

async function release(): Promise<void> {
  over.open();
  await Promise.all([...held.values()].map(({ ended }) => ended));
  held.clear();
  armed = null;
  over = gate();
  tell({ news: 'released' });
}

await main(JSON.parse(process.argv[2] ?? '') as WorkerSpec);
