import type { Configurations } from './configurations.js';
import type { Counters } from './counters.js';
import type { Faults } from './faults.js';
import type { Jobs } from './jobs.js';
import type { HubSettings } from './options.js';
import type { Queries } from './query-run.js';
import type { PolicyName } from './sas.js';
import type { RegistryStore } from './store.js';

/** Everything that one hub is made of, as route handlers and the server need it. */
export interface HubState {
  readonly name: string;
  readonly settings: HubSettings;
  readonly keys: Readonly<Record<PolicyName, string>>;
  readonly store: RegistryStore;
  readonly configurations: Configurations;
  readonly queries: Queries;
  readonly jobs: Jobs;
  readonly faults: Faults;
  readonly counters: Counters;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
