import { setTimeout as pause } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { type CliRun, openStand, type Stand } from '../../demo/stand.js';
import { generateFleet, type SimulatedHub } from '../../simulator/index.js';
import { connectClient } from '../../worker/connection.js';
import { hubQueueIdOf, type InLine, type RunReport } from '../../workflows/messages.js';
import { StorageGate } from '../crash/storage-gate.js';
import { compiledCommand } from '../support/compiled.js';
import { modelOf } from '../support/policy-model.js';
import { until } from '../support/until.js';
import { contentOf, loadWholeFleet, olderState, wholeFleet } from '../support/whole-fleet.js';
import { Crew } from './crew.js';
import { ENDED, HEARTBEAT, type HubName, type Mix } from './mix.js';
import { Weather } from './weather.js';

/** Waits are short, and a dead worker is noticed soon. A mix adds its own. */
const SETTINGS = `{ heartbeat: ${HEARTBEAT}ms, slotWait: 100ms, poll: { first: 50ms, max: 200ms }, edgePoll: 100ms, visible: 2s }`;

/** Jobs that nothing of hubferry's may end, such as a stranger's that hangs, are ended by hand after so long, in ms. */
const BY_HAND = 30_000;

/** How often the same command is run again after an end that the mix explains. */
const AGAIN = 4;

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  /** Killed by the mix, so that it says nothing. */
  readonly killed: boolean;
  /** What it printed; null where that is no report. */
  readonly report: RunReport | null;
  /** What else it said, for whoever looks for a cause. */
  readonly said: string;
}

/** A job that a hub ran for somebody. */
export interface SeenJob {
  readonly hub: HubName;
  readonly type: string;
  readonly status: string;
  /** Null for a stranger's. */
  readonly container: string | null;
}

/** Everything that a judge has to know of a mix that was played. */
export interface Observed {
  readonly mix: Mix;
  /** Commands in their order; the last one ended the run, unless it is stuck. */
  readonly commands: readonly Ended[];
  readonly stuck: boolean;
  /** The last words of all runs, from storage. */
  readonly reports: readonly RunReport[];
  /** The source before and after; what the target had to hold, and holds: content by record. */
  readonly source: readonly [before: Content, after: Content];
  readonly target: readonly [wanted: Content, found: Content];
  readonly jobs: readonly SeenJob[];
  /** Requests that each hub got, by route. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Containers that are there now and were not before, and those with access that outlives its job. */
  readonly containers: readonly string[];
  readonly opened: readonly string[];
  /** Targets that a run still holds for itself. */
  readonly held: readonly string[];
  /** Workflows that still run but for the lines of hubs, and callers that still wait in these. */
  readonly workflows: readonly string[];
  readonly waiting: readonly string[];
  /** Secrets that a process printed, by what they are. */
  readonly leaks: readonly string[];
  /** How often each kind of fault struck. */
  readonly struck: ReadonlyMap<string, number>;
  readonly seconds: number;
}

export type Content = Readonly<Record<string, unknown>>;

/** Real processes around two simulated hubs, for one mix after the other. */
export interface Lane {
  /** @param patience ms after which a run that has not ended counts as stuck */
  play(mix: Mix, patience: number): Promise<Observed>;
  close(): Promise<void>;
}

export async function openLane(): Promise<Lane> {
  let gate: StorageGate | undefined;
  let direct = '';
  const stand = await openStand({
    command: compiledCommand('client/main'),
    hubs: [{ name: 'old' }, { name: 'new' }],
    seed: 5,
    settings: SETTINGS,
    storageThrough: async (connectionString) => {
      direct = connectionString;
      const opened = await StorageGate.open(connectionString);
      ({ gate } = opened);
      return opened.connectionString;
    },
  });
  if (gate === undefined) throw new Error('the stand did not ask for a gate');
  return new ProcessLane(stand, gate, BlobServiceClient.fromConnectionString(direct));
}

class ProcessLane implements Lane {
  readonly #stand: Stand;
  readonly #gate: StorageGate;
  /** Past the gate. */
  readonly #blobs: BlobServiceClient;
  readonly #crew: Crew;

  constructor(stand: Stand, gate: StorageGate, blobs: BlobServiceClient) {
    this.#stand = stand;
    this.#gate = gate;
    this.#blobs = blobs;
    this.#crew = new Crew(stand);
  }

  async play(mix: Mix, patience: number): Promise<Observed> {
    const hubs = { old: this.#stand.simulator.hub('old'), new: this.#stand.simulator.hub('new') };
    const began = performance.now();
    await this.#crew.workers(mix.workers);
    for (const hub of Object.values(hubs)) hub.reset();
    load(mix, hubs);
    const before = { source: contentOf(hubs.old), target: contentOf(hubs.new) };
    const known = {
      jobs: new Set(Object.values(hubs).flatMap((hub) => listed(hub).map(({ jobId }) => jobId))),
      containers: new Set(await this.#containers()),
      reports: new Set((await this.#reports()).map(({ run }) => run)),
      printed: this.#stand.output().length,
    };
    const weather = new Weather(mix, hubs, this.#crew);
    this.#gate.treat = (request) => weather.treat(request);
    weather.begin();
    this.#stand.simulator.clock.setSpeed(mix.speed);
    const commands: Ended[] = [];
    const over = new AbortController();
    const stuck = !(await inTime(this.#conduct(mix, hubs, commands, over.signal), patience));
    over.abort();
    const struck = weather.end();
    this.#gate.treat = () => 'pass';
    // Not back to the machine's time: jobs would be of the future.
    this.#stand.simulator.clock.setSpeed(1);
    if (stuck) this.#crew.command?.kill('SIGKILL');
    await this.#crew.whole();
    const left = stuck ? { workflows: [], waiting: [] } : await this.#leftRunning(hubs);
    const counts = Object.fromEntries(Object.values(hubs).map((hub) => [hub.hostName, hub.counts()]));
    const containers = (await this.#containers()).filter((name) => !known.containers.has(name));
    const printed = this.#stand.output().slice(known.printed);
    return {
      mix,
      commands,
      stuck,
      reports: (await this.#reports()).filter(({ run }) => !known.reports.has(run)),
      source: [plain(before.source), plain(contentOf(hubs.old))],
      target: [plain(modelOf(before.source, before.target, mix)), plain(contentOf(hubs.new))],
      jobs: jobsOf(hubs, known.jobs),
      counts,
      containers,
      opened: await this.#withAccess(containers),
      held: await this.#held(),
      ...left,
      leaks: leaksIn(printed, hubs),
      struck,
      seconds: (performance.now() - began) / 1000,
    };
  }

  async close(): Promise<void> {
    await this.#stand.close();
    await this.#gate.close();
  }

  /** What a user does: the command, and the same again where that is what the last one calls for. */
  async #conduct(
    mix: Mix,
    hubs: Record<HubName, SimulatedHub>,
    commands: Ended[],
    over: AbortSignal,
  ): Promise<void> {
    const watch = setInterval(() => {
      for (const hub of Object.values(hubs)) endByHand(hub, BY_HAND * mix.speed);
    }, 1_000);
    try {
      for (let failures = 0; failures < AGAIN && !over.aborted; ) {
        const ended = await this.#command(mix);
        if (over.aborted) return;
        commands.push(ended);
        if (ended.killed) continue;
        const outcome = ended.report?.outcome;
        if (outcome === 'parked') await this.#resume(ended.report?.run ?? '', hubs);
        else if (outcome === 'verified') return;
        else failures++;
      }
    } finally {
      clearInterval(watch);
    }
  }

  async #command({ existing, extra, settings }: Mix): Promise<Ended> {
    const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `settings.${name}=${value}`]);
    const policy = ['--existing', existing, '--extra', extra, '--max-delete', '1000', '--yes'];
    const config = ['--config', this.#stand.configFile];
    const run: CliRun = this.#stand.cli(['migrate', 'old', 'new', '--json', ...policy, ...set, ...config]);
    this.#crew.command = run.child;
    const { code, stdout, stderr } = await run.ended;
    this.#crew.command = undefined;
    return { code, killed: run.child.signalCode === 'SIGKILL', report: parsed(stdout), said: stderr };
  }

  /** What whoever looks after a parked run does: sees that nobody holds the slot any more, and says so. */
  async #resume(run: string, hubs: Record<HubName, SimulatedHub>): Promise<void> {
    for (const hub of Object.values(hubs)) for (const { jobId } of active(hub)) hub.jobs.cancel(jobId);
    await this.#stand.cli(['resume', run, '--config', this.#stand.configFile]).ended;
  }

  async #containers(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.#blobs.listContainers()) names.push(name);
    return names;
  }

  /** Containers whose access is still given to somebody, or that anybody may read. */
  async #withAccess(containers: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const name of containers) {
      const container = this.#blobs.getContainerClient(name);
      if (!(await container.exists())) continue; // deleted meanwhile, and told of all the same
      const policy = await container.getAccessPolicy();
      if (policy.signedIdentifiers.length > 0 || policy.blobPublicAccess !== undefined) found.push(name);
    }
    return found;
  }

  async #held(): Promise<string[]> {
    const shared = this.#blobs.getContainerClient('hubferry');
    const held: string[] = [];
    for await (const { name } of shared.listBlobsFlat({ prefix: 'owners/' })) held.push(name);
    return held;
  }

  async #reports(): Promise<RunReport[]> {
    const shared = this.#blobs.getContainerClient('hubferry');
    if (!(await shared.exists())) return [];
    const reports: RunReport[] = [];
    for await (const { name } of shared.listBlobsFlat({ prefix: 'runs/' })) {
      const report = parsed((await shared.getBlobClient(name).downloadToBuffer()).toString());
      if (report) reports.push(report);
    }
    return reports.toSorted((one, other) => one.started.localeCompare(other.started));
  }

  async #leftRunning(
    hubs: Record<HubName, SimulatedHub>,
  ): Promise<{ readonly workflows: string[]; readonly waiting: string[] }> {
    const { address } = this.#stand.temporal;
    const { client, connection } = await connectClient({ address, namespace: 'default' });
    const running = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { workflowId } of client.workflow.list({ query: "ExecutionStatus='Running'" }))
        if (!workflowId.startsWith('hub-queue/')) ids.push(workflowId);
      return ids;
    };
    try {
      // The index of the server lags behind, and the clean-up behind the command.
      await until('no workflow runs', async () => (await running()).length === 0, 60_000).catch(
        () => undefined,
      );
      const lines = await Promise.all(
        Object.values(hubs).map((hub) =>
          client.workflow
            .getHandle(hubQueueIdOf(hub.hostName))
            .query<readonly InLine[]>('line')
            .catch(() => []),
        ),
      );
      return { workflows: await running(), waiting: lines.flat().map(({ container }) => container) };
    } finally {
      await connection.close();
    }
  }
}

function load({ fleet, target }: Mix, hubs: Record<HubName, SimulatedHub>): void {
  const { kind, records, seed } = fleet;
  const whole = kind === 'whole';
  const all = () =>
    whole ? wholeFleet(records) : generateFleet({ devices: records, seed, plain: kind === 'plain' });
  if (whole) loadWholeFleet(hubs.old, records);
  else hubs.old.load(all());
  if (target.state === 'older') hubs.new.load(olderState(all()));
  if (target.state === 'some') {
    const devices = [...hubs.old.dump()].filter(
      ({ moduleId, iotEdge, deviceScope }) =>
        moduleId === undefined && iotEdge !== true && deviceScope === undefined,
    );
    hubs.new.load(devices.filter((_, n) => n % 2 === 0));
  }
  hubs.new.load(generateFleet({ devices: target.extra, seed: seed + 1, prefix: 'extra-' }));
}

/** True when it was done before the time was up. */
async function inTime(work: Promise<void>, ms: number): Promise<boolean> {
  const late = new AbortController();
  const limit = pause(ms, false, { signal: late.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), limit]);
  } finally {
    late.abort();
  }
}

/** What is read here of a job as a hub lists it. */
interface ListedJob {
  readonly jobId: string;
  readonly type: string;
  readonly status: string;
  readonly startTimeUtc: string;
  readonly outputBlobContainerUri?: string;
}

function listed(hub: SimulatedHub): ListedJob[] {
  return hub.jobs.list() as unknown as ListedJob[];
}

function active(hub: SimulatedHub): ListedJob[] {
  return listed(hub).filter(({ status }) => !ENDED.includes(status));
}

/** Ends what has held the slot for too long, as whoever runs the hub would. */
function endByHand(hub: SimulatedHub, after: number): void {
  for (const job of active(hub))
    if (hub.clock.now() - Date.parse(job.startTimeUtc) > after) hub.jobs.cancel(job.jobId);
}

/** Jobs since then, with the containers that they were given. */
function jobsOf(hubs: Record<HubName, SimulatedHub>, known: ReadonlySet<string>): SeenJob[] {
  return (['old', 'new'] as const).flatMap((hub) => {
    hubs[hub].set({ jobShowsUris: true, jobLag: 0 });
    return listed(hubs[hub])
      .filter(({ jobId }) => !known.has(jobId))
      .map(({ type, status, outputBlobContainerUri: uri }) => ({
        hub,
        type,
        status,
        container: uri === undefined ? null : (new URL(uri).pathname.split('/').at(-1) ?? null),
      }));
  });
}

/** Without what cannot be told in JSON, so that what is left out equals what is undefined. */
function plain(content: Content): Content {
  return JSON.parse(JSON.stringify(content)) as Content;
}

function parsed(text: string): RunReport | null {
  try {
    const value = JSON.parse(text) as RunReport;
    return typeof value.outcome === 'string' ? value : null;
  } catch {
    return null;
  }
}

function leaksIn(text: string, hubs: Record<HubName, SimulatedHub>): string[] {
  const secrets = new Map<string, string>();
  for (const hub of Object.values(hubs)) {
    secrets.set(hub.keys.iothubowner, `the key of ${hub.name}`);
    for (const { deviceId, authentication } of hub.dump())
      if (authentication.type === 'sas') secrets.set(authentication.primaryKey, `the key of ${deviceId}`);
  }
  const leaks = [...secrets].filter(([secret]) => text.includes(secret)).map(([, what]) => what);
  return /[?&]sig=/.test(text) ? [...leaks, 'a signature'] : leaks;
}
