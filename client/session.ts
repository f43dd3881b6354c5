import type { Client } from '@temporalio/client';
import { isLoopbackHost } from '../azure/loopback.js';
import { type Config, hubOf, loadConfig, storageOf } from '../config/index.js';
import { HubferryError } from '../registry/errors.js';
import type { RunSettings } from '../registry/settings.js';
import { connectClient, ensureSearchAttributes } from '../worker/connection.js';
import { ensureEmbedded } from '../worker/embedded.js';
import type { CommonOptions } from './options.js';

/** A configuration and a connection to the Temporal server that serves it. */
export interface Session {
  readonly config: Config;
  readonly client: Client;
  /** Canonical URL of the storage account, without credentials. */
  readonly account: string;
  readonly settings: RunSettings;
  close(): Promise<void>;
}

/** Reads and checks the configuration; makes no network call. */
export function configOf(options: CommonOptions): Config {
  return loadConfig({ ...(options.config ? { path: options.config } : {}), set: options.set });
}

/**
 * Connects to the configured Temporal server, or to the embedded one, which is started where it does not run.
 *
 * @throws HubferryError STORAGE_MISSING, TEMPORAL_UNREACHABLE, TEMPORAL_REFUSED, SERVER_NOT_FOUND,
 *   OTHER_CONFIGURATION
 */
export async function openSession(config: Config, say: (line: string) => void): Promise<Session> {
  const { account } = storageOf(config);
  const temporal = config.temporal ?? (await ensureEmbedded(config, { log: say }));
  const { connection, client } = await connectClient(temporal);
  try {
    // A namespace that no worker of ours has seen lacks the attribute without which no run can start.
    await ensureSearchAttributes(connection, temporal.namespace);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return { config, client, account, settings: config.settings, close: () => connection.close() };
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

/** A hub by its alias, and the host it stands for. */
export function sourceAndTarget(
  config: Config,
  source: string,
  target: string,
): { source: string; target: string } {
  const from = hubOf(config, source);
  const to = hubOf(config, target);
  if (from.host === to.host) {
    throw new HubferryError('SAME_HUB', `${source} and ${target} are the same hub, ${from.host}.`);
  }
  return { source: from.host, target: to.host };
}
