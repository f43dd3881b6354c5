import { AsyncLocalStorage } from 'node:async_hooks';
import type { Config, HubConfig, StorageConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { HubIdentityAccess } from './granted-access.js';
import type { Hub } from './hub.js';
import { type HubClient, type OpenHubOptions, openHub } from './hub-client.js';
import { type JobContainers, OwnContainers, PreparedContainer } from './job-containers.js';
import type { KeyRing } from './key-ring.js';
import { blobEndpointOf, openStorage, type Storage } from './storage.js';

export { isLoopbackHost } from './loopback.js';

/** One piece of work at hubs. */
export interface HubWork {
  /** The views that were handed out to it, so that its calls can be told even where it fails. */
  readonly views: Hub[];
  /** Calls a second that it may make at most, by host; left out: as many as the hub takes. */
  readonly rates: Readonly<Record<string, number>>;
  /** Ends its waits for a turn at a hub. */
  readonly signal: AbortSignal;
}

/** The piece of work that goes on. */
export const hubWork = new AsyncLocalStorage<HubWork>();

export interface ConnectionsOptions extends OpenHubOptions {
  /** What storage is sealed with, and opened. Left out: none. */
  readonly keys?: KeyRing;
}

/** The hubs and the storage that this worker has credentials for, each opened when it is first asked for. */
export class Connections {
  readonly #config: Config;
  readonly #options: ConnectionsOptions;
  readonly #hubs = new Map<string, HubClient>();
  #storage: Storage | undefined;

  constructor(config: Config, options: ConnectionsOptions = {}) {
    this.#config = config;
    this.#options = options;
  }

  /** The part of a hub's documented throttles that this worker uses. */
  get rates(): number {
    return this.#config.rates;
  }

  /**
   * A view of a hub: views share sockets, but each counts its own calls, so that activities at work at the same time do
   * not take each other's counts.
   *
   * @param host canonical
   * @throws HubferryError HUB_NOT_CONFIGURED_HERE
   */
  hub(host: string): Hub {
    let client = this.#hubs.get(host);
    if (client === undefined) {
      client = openHub(this.hubConfig(host), { rates: this.#config.rates, ...this.#options });
      this.#hubs.set(host, client);
    }
    const work = hubWork.getStore();
    const view = client.view({ rate: work?.rates[host], signal: work?.signal });
    work?.views.push(view);
    return view;
  }

  /** The first alias of a host in the file; `readOnly` holds for all of them. @throws HubferryError HUB_NOT_CONFIGURED_HERE */
  hubConfig(host: string): HubConfig {
    const hub = [...this.#config.hubs.values()].find((candidate) => candidate.host === host);
    if (hub !== undefined) return hub;
    throw new HubferryError(
      'HUB_NOT_CONFIGURED_HERE',
      `${this.#config.path} has no hub with the host ${host}`,
    );
  }

  /** @throws HubferryError STORAGE_NOT_CONFIGURED_HERE */
  storage(account: string): Storage {
    const config = this.#storageConfig(account);
    this.#storage ??= openStorage(config, this.#options);
    return this.#storage;
  }

  #storageConfig(account: string): StorageConfig {
    const { storage, path } = this.#config;
    if (storage?.account === account) return storage;
    const has = storage === null ? 'no storage' : `storage ${storage.account}`;
    throw new HubferryError('STORAGE_NOT_CONFIGURED_HERE', `${path} has ${has}; asked for was ${account}`);
  }

  /**
   * Where the jobs of a hub read and write: in the container made beforehand for them, if there is one, otherwise each in
   * one of its own. The hub opens it by its own identity where the configuration says so, otherwise by what the storage
   * account grants.
   *
   * @throws HubferryError HUB_NOT_CONFIGURED_HERE, STORAGE_NOT_CONFIGURED_HERE
   */
  jobContainers(host: string, account: string): JobContainers {
    const config = this.#storageConfig(account);
    const storage = this.storage(account);
    const { container, identity } = this.hubConfig(host);
    const access = identity === undefined ? storage.access : new HubIdentityAccess(blobEndpointOf(config));
    if (container === undefined) return new OwnContainers(storage, access);
    return new PreparedContainer(storage, access, container);
  }

  /** Closes all sockets. */
  close(): void {
    for (const hub of this.#hubs.values()) hub.close();
    this.#hubs.clear();
  }
}

/** The connections of a configuration; nothing is sent until they are used. */
export function createConnections(config: Config, options: ConnectionsOptions = {}): Connections {
  return new Connections(config, options);
}
