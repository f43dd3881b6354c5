import type { Client } from '@temporalio/client';
import type { Connections } from '../azure/connections.js';

/** What the worker hands to the activities. */
export interface Deps {
  readonly connections: Connections;
  readonly client: Client;
  /** Of hubferry. */
  readonly version: string;
  /** How to reach a hub's queue; handed in by the worker, since activities do not import workflows. */
  readonly hubQueue: {
    readonly type: string;
    readonly signal: string;
    readonly idOf: (host: string) => string;
    /** Under worker versioning: a queue serves runs of all builds, so it goes over to the current one. */
    readonly versioningOverride?: 'AUTO_UPGRADE';
  };
}
