import { type ChildProcess, fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SimulatorAdmin } from '../simulator/index.js';
import { startAzurite } from '../test/simulator/azurite.js';
import { startBlobSink } from './blob-sink.js';
import type { Answer, Ask, Memory } from './hub-process.js';

/**
 * How much memory a hub needs and how fast its jobs are: hubs in a process of their own, jobs through HTTPS, dump and
 * load through the admin port.
 *
 *     npm run bench:simulator -- --devices 10000,100000,1000000 --fleet mixed,plain --storage sink
 *
 * `sink` is a blob storage that costs next to nothing; `azurite` shares the machine with the hub.
 */
const { values: options } = parseArgs({
  options: {
    devices: { type: 'string', default: '10000,100000,1000000' },
    fleet: { type: 'string', default: 'mixed,plain' },
    storage: { type: 'string', default: 'sink' },
    json: { type: 'boolean', default: false },
  },
});

interface Step extends Memory {
  readonly seconds: number;
  readonly devicesPerSecond: number;
}

interface Result {
  readonly fleet: string;
  readonly devices: number;
  readonly storage: string;
  readonly blobMB: number;
  readonly load: Step;
  readonly export: Step;
  /** In a process of its own, like `copy`. */
  readonly import: Step & { readonly refused: number };
  /** From one admin port to another. */
  readonly copy: Step;
}

/** A simulator in a process of its own. */
class HubProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly ready: Extract<Answer, { kind: 'ready' }>,
  ) {}

  static async start(): Promise<HubProcess> {
    const child = fork(fileURLToPath(new URL('hub-process.ts', import.meta.url)));
    return new HubProcess(child, await answerOf(child, 'ready'));
  }

  async load(devices: number, plain: boolean): Promise<number> {
    const loaded = answerOf(this.child, 'loaded');
    this.child.send({ kind: 'load', devices, plain } satisfies Ask);
    return (await loaded).seconds;
  }

  async memory(): Promise<Memory> {
    const told = answerOf(this.child, 'memory');
    this.child.send({ kind: 'memory' } satisfies Ask);
    const { rss, peakRss, heap } = await told;
    return { rss, peakRss, heap };
  }

  /** Runs a job and waits for its end. @returns seconds. */
  async job(body: object): Promise<number> {
    const started = performance.now();
    const { jobId } = (await this.#ask('POST', '/jobs/create', body)) as { jobId: string };
    for (;;) {
      const { status } = (await this.#ask('GET', `/jobs/${jobId}`)) as { status: string };
      if (status === 'completed') return secondsSince(started);
      if (status !== 'enqueued' && status !== 'running') throw new Error(`the job is ${status}`);
      await pause(50);
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const { port, caFile, adminPort } = this.ready;
    const [hub] = await new SimulatorAdmin(adminPort).hubs();
    const [, host = '', key = ''] =
      /HostName=([^;]+);.*SharedAccessKey=(.+)$/.exec(hub?.connectionString ?? '') ?? [];
    const expires = Math.floor(Date.now() / 1000) + 3600;
    const signed = createHmac('sha256', Buffer.from(key, 'base64')).update(`${host}\n${expires}`);
    const signature = encodeURIComponent(signed.digest('base64'));
    const request = https.request({
      host: '127.0.0.1',
      port,
      servername: 'a.localhost',
      ca: readFileSync(caFile),
      method,
      path: `${path}?api-version=2021-04-12`,
      agent: false,
      headers: {
        host,
        authorization: `SharedAccessSignature sr=${host}&sig=${signature}&se=${expires}&skn=iothubowner`,
      },
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

async function answerOf<K extends Answer['kind']>(
  child: ChildProcess,
  kind: K,
): Promise<Extract<Answer, { kind: K }>> {
  const ended = new AbortController();
  const crashed = once(child, 'exit', { signal: ended.signal }).then(([code, signal]) => {
    throw new Error(`the simulator ended (${code ?? signal})`);
  });
  const [answer] = (await Promise.race([once(child, 'message', { signal: ended.signal }), crashed])) as [
    Answer,
  ];
  crashed.catch(() => undefined);
  ended.abort();
  if (answer.kind !== kind) throw new Error(`the simulator answered ${answer.kind} instead of ${kind}`);
  return answer as Extract<Answer, { kind: K }>;
}

interface Storage {
  readonly uri: string;
  size(name: string): Promise<number>;
  lines(name: string): Promise<number>;
  stop(): Promise<void>;
}

async function startStorage(kind: string): Promise<Storage> {
  if (kind === 'sink') {
    const sink = await startBlobSink();
    return {
      uri: sink.containerUri,
      size: async (name) => sink.size(name),
      lines: async (name) => sink.lines(name),
      stop: () => sink.close(),
    };
  }
  if (kind !== 'azurite') throw new Error(`--storage ${kind}: sink or azurite`);
  const azurite = await startAzurite();
  const container = await azurite.container('fleet');
  return {
    uri: azurite.uri(container),
    size: async (name) => (await container.getBlobClient(name).getProperties()).contentLength ?? 0,
    lines: async (name) =>
      (await container.getBlobClient(name).downloadToBuffer()).toString().split('\n').length - 1,
    stop: () => azurite.stop(),
  };
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

async function step(hub: HubProcess, devices: number, seconds: number): Promise<Step> {
  const rounded = Math.round(seconds * 100) / 100;
  return { seconds: rounded, devicesPerSecond: Math.round(devices / seconds), ...(await hub.memory()) };
}

async function measure(fleet: string, devices: number, kind: string): Promise<Result> {
  const storage = await startStorage(kind);
  try {
    const source = await HubProcess.start();
    const load = await step(source, devices, await source.load(devices, fleet === 'plain'));
    const exported = await step(
      source,
      devices,
      await source.job({ type: 'export', outputBlobContainerUri: storage.uri }),
    );
    const copyTarget = await HubProcess.start();
    const copy = await step(copyTarget, devices, await copyRecords(source, copyTarget));
    await Promise.all([source.stop(), copyTarget.stop()]);
    const target = await HubProcess.start();
    const uris = { inputBlobContainerUri: storage.uri, outputBlobContainerUri: storage.uri };
    const imported = await step(target, devices, await target.job({ type: 'import', ...uris }));
    await target.stop();
    return {
      fleet,
      devices,
      storage: kind,
      blobMB: Math.round((await storage.size('devices.txt')) / 1024 / 1024),
      load,
      export: exported,
      import: { ...imported, refused: await storage.lines('importErrors.log') },
      copy,
    };
  } finally {
    await storage.stop();
  }
}

async function copyRecords(from: HubProcess, to: HubProcess): Promise<number> {
  const started = performance.now();
  const dump = await fetch(`http://127.0.0.1:${from.ready.adminPort}/hubs/a/records`);
  const loaded = await fetch(`http://127.0.0.1:${to.ready.adminPort}/hubs/a/records`, {
    method: 'POST',
    body: dump.body,
    duplex: 'half',
  });
  if (!loaded.ok) throw new Error(`load: ${loaded.status} ${await loaded.text()}`);
  await loaded.arrayBuffer();
  return secondsSince(started);
}

function table(results: readonly Result[]): string {
  const rows = [['fleet', 'devices', 'step', 's', 'devices/s', 'RSS MB', 'peak MB', 'heap MB']];
  for (const result of results) {
    for (const name of ['load', 'export', 'import', 'copy'] as const) {
      const { seconds, devicesPerSecond, rss, peakRss, heap } = result[name];
      rows.push(
        [result.fleet, result.devices, name, seconds, devicesPerSecond, rss, peakRss, heap].map(String),
      );
    }
  }
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ')).join('\n');
}

const results: Result[] = [];
for (const fleet of options.fleet.split(',')) {
  for (const devices of options.devices.split(',').map(Number)) {
    results.push(await measure(fleet, devices, options.storage));
  }
}
if (!options.json) process.stdout.write(`${table(results)}\n`);
process.stdout.write(`${JSON.stringify(results)}\n`);
