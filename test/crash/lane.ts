import { expect } from 'vitest';
import { type Azurite, startAzurite } from '../../demo/azurite.js';
import { imbalances, verifyImbalances } from '../../registry/ledger.js';
import type { SimulatedHub } from '../../simulator/index.js';
import type { RunReport } from '../../workflows/messages.js';
import type { Services } from '../support/services.js';
import { openTestStand, type TestStand } from '../support/stand.js';
import { until } from '../support/until.js';
import { contentOf } from '../support/whole-fleet.js';
import type { Call, Fault } from './fault.js';
import { MortalWorkers } from './mortal-workers.js';
import type { HubName, Scenario } from './scenarios.js';

const HUBS: readonly HubName[] = ['old', 'new', 'scratch'];

const PATIENCE = 120_000;

/** Warnings that tell of what became of a job whose creation was not answered, and change nothing. */
const HARMLESS = new Set(['JOB_ADOPTED']);

/** What must be the same however often, and at whatever point, a run was disturbed. */
export interface Trace {
  readonly reports: readonly unknown[];
  /** What each hub holds at the end. */
  readonly hubs: Readonly<Record<string, unknown>>;
  /** Jobs that each hub was given: their kinds, ends and numbers of lines. */
  readonly jobs: Readonly<Record<string, readonly string[]>>;
  /** Containers that are left, and the blobs of those that are not a run's own. RUN is written as its number. */
  readonly stored: readonly string[];
}

/** The jobs that each hub had been given before. */
type Earlier = ReadonlyMap<HubName, ReadonlySet<unknown>>;

export interface Passed {
  readonly trace: Trace;
  /** In the order in which they began. */
  readonly calls: readonly Call[];
}

/** Simulated hubs and mortal workers, for one run after the other. */
export interface Lane {
  /** A scenario to its end, with a fault in it or none; proves what needs no comparison. */
  pass(scenario: Scenario, fault: Fault | null): Promise<Passed>;
  close(): Promise<void>;
}

/** With a blob service of its own, since it looks at all that is stored there. */
export async function openLane(services: Services): Promise<Lane> {
  let workers: MortalWorkers | undefined;
  const azurite = await startAzurite();
  try {
    const stand = await openTestStand(
      { ...services, storageConnectionStrings: [azurite.connectionString] },
      HUBS.map((name) => ({ name })),
      { scratch: ', role: scratch' },
      '',
      {
        startWorker: async (place) => {
          const started = await MortalWorkers.start(place);
          workers = started;
          return () => started.close();
        },
      },
    );
    if (workers === undefined) throw new Error('the stand started no worker');
    return new OpenLane(stand, workers, azurite);
  } catch (error) {
    await azurite.stop();
    throw error;
  }
}

class OpenLane implements Lane {
  readonly #stand: TestStand;
  readonly #workers: MortalWorkers;

  readonly #azurite: Azurite;

  constructor(stand: TestStand, workers: MortalWorkers, azurite: Azurite) {
    this.#stand = stand;
    this.#workers = workers;
    this.#azurite = azurite;
  }

  async pass(scenario: Scenario, fault: Fault | null): Promise<Passed> {
    await this.#clear();
    scenario.load({ old: this.#hub('old'), new: this.#hub('new'), scratch: this.#hub('scratch') });
    this.#workers.takeCalls();
    let struck = fault === null;
    void this.#workers.arm(fault).then(() => (struck = true));
    const earlier: Earlier = new Map(
      HUBS.map((name) => [
        name,
        new Set(
          this.#hub(name)
            .jobs.list()
            .map(({ jobId }) => jobId),
        ),
      ]),
    );
    const reports = await scenario.run(this.#stand);
    await this.#workers.release();
    expect(struck, 'the fault has come to pass').toBe(true);
    await this.#nothingRuns();
    const errors = reports.flatMap(({ error }) => error?.message ?? []).join(' ');
    expect(reports.map(endOf), errors).toEqual(scenario.ends);
    for (const report of reports) expectBalance(report);
    for (const [from, to] of scenario.equal ?? [])
      expect(contentOf(this.#hub(to))).toEqual(contentOf(this.#hub(from)));
    const calls = this.#workers.takeCalls().toSorted((a, b) => a.place - b.place);
    return { trace: await this.#trace(reports, earlier), calls: calls.map((call) => this.#named(call)) };
  }

  async close(): Promise<void> {
    await this.#stand.close();
    await this.#azurite.stop();
  }

  #hub(name: HubName): SimulatedHub {
    return this.#stand.hub(name);
  }

  /** The same call with the names of hubs, whose hosts are others in each lane. */
  #named(call: Call): Call {
    const names = new Map<string, string>(HUBS.map((name) => [this.#hub(name).hostName, name]));
    const input = Object.entries(call.input).map(([name, value]) => [name, names.get(value) ?? value]);
    return { ...call, input: Object.fromEntries(input) as Call['input'] };
  }

  #jobs(name: HubName, earlier: Earlier): string[] {
    const jobs = this.#hub(name).jobs.list();
    const own = jobs.filter(({ jobId }) => earlier.get(name)?.has(jobId) !== true);
    return own.map(({ type, status }) => JSON.stringify({ type, status })).toSorted();
  }

  async #clear(): Promise<void> {
    for (const name of HUBS) this.#hub(name).reset();
    const { storage } = this.#stand;
    for await (const container of storage.listContainers('')) await storage.deleteContainer(container);
  }

  /** No workflow of this lane is left but the lines of the hubs, which wait for the next caller. */
  async #nothingRuns(): Promise<void> {
    const { client, taskQueue } = this.#stand;
    const query = `TaskQueue='${taskQueue}' AND ExecutionStatus='Running'`;
    const open = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
      return ids.filter((id) => !id.startsWith('hub-queue/'));
    };
    await until('no workflow runs any more', async () => (await open()).length === 0, PATIENCE);
  }

  async #trace(reports: readonly RunReport[], earlier: Earlier): Promise<Trace> {
    const numbers = new Map(reports.map(({ run }, n) => [run, `RUN${n + 1}`]));
    const { storage } = this.#stand;
    const nameless = (text: string): string => {
      let plain = text;
      for (const [run, number] of numbers) plain = plain.replaceAll(run, number);
      // Runs that a run has started.
      return plain.replaceAll(/\d{8}-\d{6}-[a-z0-9]{6}/g, 'RUN');
    };
    const stored: string[] = [];
    for await (const container of storage.listContainers('')) {
      stored.push(nameless(container));
      if (container === 'hubferry')
        for await (const { name } of storage.list(container, ''))
          stored.push(nameless(`${container}/${name}`));
    }
    const each = <T>(of: (name: HubName) => T): Record<string, T> =>
      Object.fromEntries(HUBS.map((name) => [name, of(name)]));
    return {
      reports: reports.map(essenceOf),
      // The cut-over writes the name of its run into the reasons of statuses.
      hubs: each((name) => JSON.parse(nameless(withoutKeys(contentOf(this.#hub(name))))) as unknown),
      jobs: each((name) => this.#jobs(name, earlier)),
      stored: stored.toSorted(),
    };
  }
}

function expectBalance({ ledger, verify, outcome }: RunReport): void {
  if (outcome === 'skipped') return;
  const { systemModules, configurations, ...records } = ledger;
  for (const one of [records, systemModules, configurations ?? []].flat())
    expect(imbalances(one)).toEqual([]);
  if (verify && outcome !== 'cancelled') expect(verifyImbalances(records, verify)).toEqual([]);
}

const endOf = ({ outcome, error }: RunReport): string =>
  error === null || outcome === 'cancelled' ? outcome : `${outcome} ${error.code}`;

/** Of a report what does not depend on times, names and numbers of tries. */
function essenceOf(report: RunReport): unknown {
  const { outcome, error, ledger, verify, warnings, rejected, kinds, found, fields, cleaned, newKeys } =
    report;
  return {
    outcome,
    error: error?.code ?? null,
    ledger,
    verify,
    warnings: warnings
      .flatMap(({ code, count }) => (HARMLESS.has(code) ? [] : [`${code} ${count}`]))
      .toSorted(),
    rejected,
    kinds,
    found,
    fields,
    cleaned,
    newKeys,
    jobs: report.jobs.map(({ type, status, lines }) => `${type} ${status} ${lines}`).toSorted(),
    passes: report.follow?.count,
    retention: report.retention,
    probe: report.probe,
  };
}

/** Keys that a hub or a run makes are others each time. */
function withoutKeys(content: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(content, (name, value: unknown) =>
    /^(primary|secondary)Key$/.test(name) ? 'KEY' : value,
  );
}
