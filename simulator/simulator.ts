import type { TokenAsk } from './access/bearer.js';
import type { SimulatedClock } from './clock.js';
import type { SimulatedHub } from './hub.js';
import type { Faults } from './traffic/faults.js';

/** A running simulator. */
export interface Simulator {
  /** The port that all hubs share. */
  readonly port: number;
  /** The port of the admin API, when one was asked for. */
  readonly adminPort?: number;
  /** The certificate that clients must trust, for NODE_EXTRA_CA_CERTS or the `ca` of an agent. */
  readonly caFile: string;
  readonly hubs: readonly SimulatedHub[];
  /** The time of all hubs. */
  readonly clock: SimulatedClock;
  /** Faults that may hit any of the hubs. */
  readonly faults: Faults;
  /** @throws {Error} for an unknown name. */
  hub(name: string): SimulatedHub;
  /** A token as Microsoft Entra ID would issue it, good for all hubs; by default with every right. */
  bearerToken(ask?: TokenAsk): Promise<string>;
  /** Mistakes of the simulator itself, of all hubs; there should be none. */
  internalErrors(): readonly string[];
  /** Resets all hubs, and what they share: the clock and faults. */
  reset(): void;
  /** Stops jobs, closes all connections and frees the ports. */
  close(): Promise<void>;
}
