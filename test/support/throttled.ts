import { OPERATION_CLASSES, type OperationClass, throttleOf } from '../../registry/throttles.js';
import type { FleetRecord, SimulatedHub } from '../../simulator/index.js';
import type { RunReport } from '../../workflows/messages.js';
import type { Services } from './services.js';
import { essence, FAST, openTestStand } from './stand.js';

/** One unit of S1, the smallest that is paid for. */
const SIZE = { tier: 'S1', units: 1 } as const;

export interface Throttling {
  readonly devices: number;
  /** Of those: edge devices, each with a manifest. */
  readonly edges: number;
  /** How many times as fast as the machine's the hubs' clock goes; all waits of the run are that much shorter. */
  readonly speed: number;
  /** The part of the throttles, as they are by that clock, that the worker uses. */
  readonly rates: number;
}

/** What became of a migration to a hub that throttles. */
export interface Throttled {
  readonly report: RunReport;
  /** Whether the target holds what the source does. */
  readonly arrived: boolean;
  /** Calls to the target, by class. */
  readonly calls: Readonly<Record<OperationClass, Calls>>;
  /** By the hubs' clock. */
  readonly seconds: number;
  /** What the throttles make of the calls that were answered, at least: classes are used one after the other. */
  readonly bound: number;
}

export interface Calls {
  /** By something else than 429. */
  readonly answered: number;
  readonly refused: number;
}

/** Migrates a fleet to a hub that throttles as one unit of S1 does, by a clock that goes faster. */
export async function throttledMigration(
  services: Services,
  { devices, edges, speed, rates }: Throttling,
): Promise<Throttled> {
  const hubs = ['old', 'new'].map((name) => ({ name, ...SIZE, throttling: true }));
  const stand = await openTestStand(services, hubs, {}, '', { rates: rates * speed });
  try {
    stand.hub('old').load(fleetOf(devices, edges));
    const { clock } = stand.simulator;
    clock.setSpeed(speed);
    const since = clock.now();
    const settings = {
      ...FAST,
      chunkLines: 50_000,
      partitionBytes: 2_000_000,
      poll: { first: 1_000 / speed, max: 10_000 / speed },
      settle: 30_000 / speed,
      edgePoll: 5_000 / speed,
      visible: 60_000,
      heartbeat: 30_000,
      jobDeadline: 600_000,
    };
    const report = await stand.migrated({ settings });
    const seconds = (clock.now() - since) / 1000;
    const calls = callsTo(stand.hub('new'));
    const arrived =
      JSON.stringify(essenceOf(stand.hub('new'))) === JSON.stringify(essenceOf(stand.hub('old')));
    return { report, arrived, calls, seconds, bound: boundOf(calls) };
  } finally {
    await stand.close();
  }
}

/** Every tenth device that is no edge device hangs below one, every hundredth has a module. */
function* fleetOf(devices: number, edges: number): Generator<FleetRecord> {
  for (let n = 0; n < edges; n++) {
    const deviceId = `edge-${n}`;
    yield { deviceId, iotEdge: true, tags: { n } };
    yield { deviceId, moduleId: '$edgeAgent', desired: { n }, authentication: { type: 'none' } };
    yield { deviceId, moduleId: '$edgeHub', desired: { n }, authentication: { type: 'none' } };
  }
  for (let n = 0; n < devices - edges; n++) {
    const deviceId = `device-${n}`;
    yield { deviceId, tags: { n }, ...(n % 10 === 0 ? { parent: `edge-${n % edges}` } : {}) };
    if (n % 100 === 0) yield { deviceId, moduleId: 'm', desired: { n } };
  }
}

const essenceOf = (hub: SimulatedHub): unknown =>
  Object.entries(essence(hub.dump())).toSorted(([a], [b]) => (a < b ? -1 : 1));

function callsTo(hub: SimulatedHub): Record<OperationClass, Calls> {
  const calls = Object.fromEntries(OPERATION_CLASSES.map((name) => [name, { answered: 0, refused: 0 }]));
  for (const [route, outcomes] of Object.entries(hub.outcomes())) {
    const of = calls[classOf(route)];
    if (of === undefined) continue;
    for (const [outcome, count] of Object.entries(outcomes))
      of[outcome === '429' ? 'refused' : 'answered'] += count;
  }
  return calls as Record<OperationClass, Calls>;
}

/** As docs/simulator.md has it. */
function classOf(route: string): OperationClass {
  if (/configurations|applyConfigurationContent/.test(route)) return 'configurations';
  if (route.startsWith('POST /devices/query')) return 'queries';
  if (/ \/jobs/.test(route)) return 'jobs';
  if (/ \/twins/.test(route)) return route.startsWith('GET ') ? 'twinReads' : 'twinWrites';
  return 'registry';
}

function boundOf(calls: Throttled['calls']): number {
  return OPERATION_CLASSES.reduce((sum, name) => {
    const { calls: held, seconds } = throttleOf(name, SIZE);
    return sum + (Math.max(0, calls[name].answered - held) / held) * seconds;
  }, 0);
}
