/** Calls that have a throttle of their own (facts §5); each is of one class. */
export type OperationClass = 'registry' | 'twinReads' | 'twinWrites' | 'queries' | 'jobs' | 'configurations';

/** Of a hub, as its configuration says; they decide its throttles. */
export interface HubSize {
  readonly tier: string;
  readonly units: number;
  /** The part of its throttles that is to be used. Left out: all. */
  readonly rates?: number;
}

/** So many calls in so many seconds, whenever in them they come. */
export interface Throttle {
  readonly calls: number;
  readonly seconds: number;
}

interface Documented {
  readonly seconds: number;
  /** Calls of a unit: of F1, B1 and S1, of B2 and S2, of B3 and S3. */
  readonly perUnit: readonly [first: number, second: number, third: number];
  /** Calls that a hub takes however few units it has. */
  readonly least?: number;
}

/** What Microsoft documents ("IoT Hub quotas and throttling"; facts §5). */
const DOCUMENTED: Readonly<Record<OperationClass, Documented>> = {
  registry: { seconds: 60, perUnit: [100, 100, 5_000] },
  twinReads: { seconds: 1, perUnit: [0, 10, 500], least: 100 },
  twinWrites: { seconds: 1, perUnit: [0, 5, 250], least: 50 },
  queries: { seconds: 60, perUnit: [20, 20, 1_000] },
  jobs: { seconds: 60, perUnit: [100, 100, 5_000] },
  configurations: { seconds: 60, perUnit: [20, 20, 20] },
};

export const OPERATION_CLASSES = Object.keys(DOCUMENTED) as readonly OperationClass[];

/** What a hub lets through of one class, or the part of it that is to be used. */
export function throttleOf(operation: OperationClass, { tier, units, rates = 1 }: HubSize): Throttle {
  const { seconds, perUnit, least = 0 } = DOCUMENTED[operation];
  const [first, second, third] = perUnit;
  const calls = tier.endsWith('3') ? third : tier.endsWith('2') ? second : first;
  return { calls: Math.max(least, calls * units) * rates, seconds };
}
