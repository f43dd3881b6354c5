import type { HubSettings } from '../settings.js';

/** Classes of requests that have a throttle of their own (§5). */
export type OperationClass = 'registry' | 'twinReads' | 'twinUpdates' | 'queries' | 'jobs' | 'configurations';

export type Tier = HubSettings['tier'];

/** A budget: so many operations in so many seconds. */
export interface Rate {
  readonly amount: number;
  readonly seconds: number;
}

type Amount = (units: number) => number;

interface Quota {
  readonly seconds: number;
  /** For F1, B1 and S1, for B2 and S2, for B3 and S3. */
  readonly amounts: readonly [Amount, Amount, Amount];
}

const each =
  (amount: number): Amount =>
  (units) =>
    amount * units;

/** The table of quotas (§5). */
const quotas: Readonly<Record<OperationClass, Quota>> = {
  registry: { seconds: 60, amounts: [each(100), each(100), each(5_000)] },
  twinReads: { seconds: 1, amounts: [() => 100, (units) => Math.max(100, 10 * units), each(500)] },
  twinUpdates: { seconds: 1, amounts: [() => 50, (units) => Math.max(50, 5 * units), each(250)] },
  queries: { seconds: 60, amounts: [each(20), each(20), each(1_000)] },
  jobs: { seconds: 60, amounts: [each(100), each(100), each(5_000)] },
  configurations: { seconds: 60, amounts: [each(20), each(20), each(20)] },
};

/**
 * What a hub lets through. Twins and configurations are listed for the standard tiers only; the basic ones, which have
 * neither, get the figures of S1 to S3.
 * @param units of the hub; 0 gives a budget of nothing wherever units count.
 */
export function rateOf(operation: OperationClass, tier: Tier, units: number): Rate {
  const { seconds, amounts } = quotas[operation];
  const size = tier.endsWith('3') ? 2 : tier.endsWith('2') ? 1 : 0;
  return { amount: amounts[size](units), seconds };
}
