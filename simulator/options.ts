import type { HubSettings } from './settings.js';

/** One hub to be served. */
export interface HubOptions extends Partial<HubSettings> {
  /** Letters, digits and hyphens, as in `<name>.localhost`. */
  name: string;
  /** A port on which this hub answers whatever the Host header says; 0 = a free one. */
  ownPort?: number;
  /**
   * Connection string of the storage account in which the hub's managed identity has its role: identityBased jobs
   * (setting `jobIdentity`) reach containers of this account, whose URIs carry no signature.
   */
  identityStorage?: string;
  /** ARM ids of the user-assigned identities that the hub has; a job that names another one is refused. */
  userIdentities?: readonly string[];
}

export interface SimulatorOptions {
  hubs: HubOptions[];
  /** The port shared by all hubs; 0 (default) = a free one. */
  port?: number;
  /** Port of the admin API (plain HTTP on 127.0.0.1); 0 = a free one; false (default) = none. */
  adminPort?: number | false;
  /** Folder of the certificate authority; default: `hubferry/simulator` in the user's data folder. */
  caDir?: string;
  /** Makes policy keys, device keys, etags and generation ids the same at every start. */
  seed?: number;
}
