import type { BearerTokens } from './access/bearer.js';
import type { PolicyName } from './access/sas.js';
import type { SimulatedClock } from './clock.js';
import type { Configurations } from './configurations/configurations.js';
import type { Jobs } from './jobs/jobs.js';
import type { Queries } from './query/query-run.js';
import type { RegistryStore } from './records/store.js';
import type { HubSettings } from './settings.js';
import type { Counters } from './traffic/counters.js';
import type { Faults } from './traffic/faults.js';
import type { InternalErrors } from './traffic/internal-errors.js';
import type { Throttle } from './traffic/throttle.js';

/** Everything that one hub is made of, as route handlers and the server need it. */
export interface HubState {
  readonly name: string;
  readonly settings: HubSettings;
  readonly keys: Readonly<Record<PolicyName, string>>;
  readonly tokens: BearerTokens;
  readonly store: RegistryStore;
  readonly configurations: Configurations;
  readonly queries: Queries;
  readonly jobs: Jobs;
  readonly faults: Faults;
  readonly throttle: Throttle;
  readonly counters: Counters;
  readonly internalErrors: InternalErrors;
  readonly clock: SimulatedClock;
  /** Fires when the hub is closed: whoever waits must let go. */
  readonly closing: AbortSignal;
}
