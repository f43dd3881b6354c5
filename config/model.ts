import type { ConnectionOptions } from '@temporalio/client';
import { HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import type { RunSettings } from '../registry/settings.js';

/** Tiers of an IoT hub; they decide its throttles. */
export const TIERS = ['F1', 'B1', 'B2', 'B3', 'S1', 'S2', 'S3'] as const;
export type Tier = (typeof TIERS)[number];

/** One entry of `hubs:`. */
export interface HubConfig {
  readonly alias: string;
  /** The hub's canonical host name (see `canonicalHost`): two aliases of one host are one hub. */
  readonly host: string;
  /** Secret. `HostName` in it is the canonical one. Null: Microsoft Entra ID. */
  readonly connectionString: string | null;
  /** No registry writes and no import jobs. True for all aliases of a host as soon as it is for one. */
  readonly readOnly: boolean;
  readonly tier: Tier;
  readonly units: number;
  /** How many devices plus modules the hub takes. */
  readonly maxRecords: number;
  /** `scratch`: a hub that drills may fill and empty. */
  readonly role?: 'scratch';
  /**
   * Whose right to storage the hub's jobs use: `system` for the hub's own identity, or the ARM id of a user-assigned one.
   * Left out: that of a SAS which each job is given.
   */
  readonly identity?: string;
  /** The container made beforehand for this hub's jobs; no other hub has it. Left out: each job gets one of its own. */
  readonly container?: string;
}

/** The storage account that snapshots, plans and reports are kept in. */
export interface StorageConfig {
  /** Secret. Null: Microsoft Entra ID. */
  readonly connectionString: string | null;
  /**
   * The blob endpoint, lower case host, no final slash, no credentials; with `container`, a slash and its name come after
   * it. By this name workflows know where things are kept: a worker that is told another container is told another account.
   */
  readonly account: string;
  /** The one container, made beforehand, in which all is kept that is no hub's. Left out: containers are made. */
  readonly container?: string;
}

/** One entry of `keys:`: a key of AES-256 that what hubferry leaves elsewhere is sealed with. */
export type KeyConfig = WrittenKeyConfig | VaultKeyConfig;

export interface WrittenKeyConfig {
  /** By this name it is found again; it stands in clear beside all that is sealed. */
  readonly id: string;
  /** Secret: base64 of 32 bytes. */
  readonly key: string;
}

/** A key that is read from Azure Key Vault, as the identity of the process. */
export interface VaultKeyConfig {
  readonly id: string;
  /** `https://x.vault.azure.net`. */
  readonly vault: string;
  /** Name of the secret that holds it, as base64 of 32 bytes. */
  readonly secret: string;
}

type TLSConfig = Exclude<ConnectionOptions['tls'], boolean | null | undefined>;
type Metadata = NonNullable<ConnectionOptions['metadata']>;

/** How a Temporal server is to be convinced of who we are. Secret. */
export interface TemporalAccess {
  /** True: TLS with the system's certificates. */
  readonly tls?: TLSConfig | boolean;
  readonly apiKey?: string;
  readonly metadata?: Metadata;
}

export interface TemporalConfig {
  /** `host:port` of the frontend. */
  readonly address: string;
  readonly namespace: string;
  /** Left out: none, and no TLS. */
  readonly access?: TemporalAccess;
}

export interface Config {
  /** Absolute path of the file. */
  readonly path: string;
  /**
   * SHA-256 (hex) of what the file resolves to, secrets by their digest: what a worker is started with. Settings of runs
   * are not part of it: they travel in the run's input, so they must not make the embedded worker look like another one.
   */
  readonly hash: string;
  /** By alias, in the order of the file. */
  readonly hubs: ReadonlyMap<string, HubConfig>;
  readonly storage: StorageConfig | null;
  readonly temporal: TemporalConfig | null;
  readonly settings: RunSettings;
  /** In the order of the file. */
  readonly keys: readonly KeyConfig[];
  /** The key that new data is sealed with, one of `keys`; null: nothing is sealed. */
  readonly keyId: string | null;
  /** Where a worker serves its metrics, `address:port`; null: nowhere. It concerns that process only, and no run. */
  readonly metricsAddress: string | null;
  /** The part of the documented throttles of hubs that a worker uses. It concerns that process only, and no run. */
  readonly rates: number;
}

/** The hub of an alias. @throws HubferryError HUB_UNKNOWN, with the aliases there are. */
export function hubOf(config: Config, alias: string): HubConfig {
  const hub = config.hubs.get(alias);
  if (hub !== undefined) return hub;
  const aliases = [...config.hubs.keys()].join(', ');
  throw new HubferryError(
    'HUB_UNKNOWN',
    // Somebody may have given a connection string instead of an alias.
    `${config.path} has no hub "${maskSecrets(alias)}"; it has ${aliases === '' ? 'none' : aliases}`,
  );
}

/** The storage account. @throws HubferryError STORAGE_MISSING. */
export function storageOf(config: Config): StorageConfig {
  if (config.storage !== null) return config.storage;
  throw new HubferryError('STORAGE_MISSING', `${config.path} has no \`storage:\``);
}
