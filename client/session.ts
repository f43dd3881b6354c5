import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { openKeyRing } from '../azure/key-ring.js';
import { isLoopbackHost } from '../azure/loopback.js';
import { openStorage, type Storage } from '../azure/storage.js';
import { type Config, loadConfig, storageOf } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import { embeddedServer } from '../registry/server.js';
import type { RunSettings } from '../registry/settings.js';
import { connectClient, ensureSearchAttributes, type TemporalAddress } from '../worker/connection.js';
import { dataConverterOf } from '../worker/data-converter.js';
import { ensureEmbedded } from '../worker/embedded.js';
import { homeOf } from '../worker/home.js';
import { readLock } from '../worker/lock.js';
import type { CommonOptions } from './options.js';
import { say as sayOnStderr } from './print.js';

/** A configuration and a connection to the Temporal server that serves it. */
export interface Session {
  readonly config: Config;
  /** Ask for it anew after `revive`. */
  readonly client: Client;
  /** The Temporal server by a name that people understand. Only it knows how its runs stand. */
  readonly server: string;
  /** Canonical URL of the storage account, without credentials. */
  readonly account: string;
  readonly settings: RunSettings;
  /**
   * Embedded mode: starts again what was killed together with its supervisor. What `hubferry down` ended stays so.
   *
   * @throws HubferryError as `openSession`
   */
  revive(): Promise<void>;
  close(): Promise<void>;
}

/** Reads and checks the configuration; makes no network call. */
export function configOf(options: Pick<CommonOptions, 'config' | 'set'>): Config {
  return loadConfig({ ...(options.config ? { path: options.config } : {}), set: options.set });
}

/** The storage account of a configuration, with its keys. @throws HubferryError STORAGE_MISSING, or as `openKeyRing` */
export async function storageWithKeys(config: Config): Promise<Storage> {
  const storage = storageOf(config);
  return openStorage(storage, { keys: await openKeyRing(config) });
}

/**
 * Connects to the configured Temporal server, or to the embedded one, which is started where it does not run.
 *
 * @throws HubferryError STORAGE_MISSING, TEMPORAL_UNREACHABLE, TEMPORAL_REFUSED, SERVER_NOT_FOUND,
 *   OTHER_CONFIGURATION, or as `openKeyRing`
 */
export async function openSession(config: Config, say = sayOnStderr): Promise<Session> {
  const { account } = storageOf(config);
  const dataConverter = dataConverterOf(await openKeyRing(config));
  const find = async (): Promise<TemporalAddress> =>
    config.temporal ?? (await ensureEmbedded(config, { log: say }));
  let temporal = await find();
  let link = await connect(temporal, dataConverter);
  const links = [link];
  return {
    config,
    account,
    settings: config.settings,
    server: serverOf(config),
    get client() {
      return link.client;
    },
    revive: async () => {
      if (config.temporal !== null || wasStopped()) return;
      const before = temporal.address;
      temporal = await find();
      if (temporal.address === before) return; // the connection comes back by itself
      link = await connect(temporal, dataConverter);
      links.push(link);
    },
    close: async () => void (await Promise.all(links.map(({ connection }) => connection.close()))),
  };
}

async function connect(
  temporal: TemporalAddress,
  dataConverter: DataConverter,
): ReturnType<typeof connectClient> {
  const link = await connectClient(temporal, { dataConverter });
  try {
    // A namespace that no worker of ours has seen lacks the attribute without which no run can start.
    await ensureSearchAttributes(link.connection, temporal.namespace);
    return link;
  } catch (error) {
    await link.connection.close();
    throw error;
  }
}

function serverOf({ temporal }: Config): string {
  return temporal ? `${temporal.address}/${temporal.namespace}` : embeddedServer(hostname(), homeOf().folder);
}

/** Whether the embedded server was told to end: only one that was killed leaves a lock in another state. */
function wasStopped(): boolean {
  const state = readLock(homeOf())?.state;
  return state === undefined || state === 'stopped';
}

/**
 * The jobs of a hub read and write the storage account themselves.
 *
 * @throws HubferryError STORAGE_MISSING; STORAGE_NOT_REACHABLE_BY_HUB for storage on loopback while a hub is not
 */
export function storageWithinReach(config: Config, hosts: readonly string[]): void {
  const { account } = storageOf(config);
  const far = hosts.find((host) => !isLoopbackHost(host));
  if (far !== undefined && isLoopbackHost(new URL(account).hostname)) {
    throw new HubferryError(
      'STORAGE_NOT_REACHABLE_BY_HUB',
      `${far} cannot reach the storage account ${account}.`,
    );
  }
}
