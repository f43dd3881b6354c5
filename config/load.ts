import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { z } from 'zod';
import { HubferryError } from '../registry/errors.js';
import { ConnectionStringFault, hubConnection, storageConnection } from './connection-strings.js';
import { type Path, replaceReferences } from './environment.js';
import { configInvalid } from './faults.js';
import { keysFrom } from './keys.js';
import type { Config, HubConfig, StorageConfig, TemporalConfig } from './model.js';
import { type Override, override, parseOverride } from './overrides.js';
import { containersOf } from './prepared-containers.js';
import { configSchema } from './schema.js';
import { temporalFromEnvironment } from './temporal-environment.js';
import { YamlSource } from './yaml-source.js';

/** The file that is looked for in the working directory. */
export const CONFIG_FILE = 'hubferry.yaml';

type Written = z.output<typeof configSchema>;

export interface LoadOptions {
  /** The file; left out, `hubferry.yaml` in `cwd`. */
  readonly path?: string;
  readonly cwd?: string;
  /** Where `${NAME}` is looked up; left out, the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Overrides such as `settings.settle=1s`. */
  readonly set?: readonly string[];
}

/**
 * Reads, resolves and checks `hubferry.yaml`. No network is touched.
 *
 * @throws HubferryError CONFIG_NOT_FOUND, CONFIG_INVALID, ENV_NOT_SET, CONNECTION_STRING_INVALID (each with file, line,
 *   column and path), USAGE for a malformed override
 */
export function loadConfig(options: LoadOptions): Config {
  const name = options.path ?? CONFIG_FILE;
  const path = resolve(options.cwd ?? process.cwd(), name);
  return { path, ...parseConfig(name, readText(path), options) };
}

/**
 * The same of a text.
 *
 * @param name how the file is called in messages
 * @throws HubferryError as `loadConfig`, but CONFIG_NOT_FOUND
 */
export function parseConfig(
  name: string,
  text: string,
  options: Pick<LoadOptions, 'env' | 'set'>,
): Omit<Config, 'path'> {
  const source = new YamlSource(name, text);
  const overrides = (options.set ?? []).map(parseOverride);
  const env = options.env ?? process.env;
  const value = replaceReferences(source.value(), env, (at) => source.where(at));

  const written = check(value, source, []);
  const hubs = hubsOf(written, source);
  const storage = storageFrom(written, source);
  const temporal = temporalFrom(written, source, env);
  const metricsAddress = written.settings.metricsPort ?? null;
  const keys = keysFrom(
    written.keys,
    written.settings.keyId,
    (words) => new HubferryError('CONFIG_INVALID', `${source.where(['settings', 'keyId'])}: ${words}`),
  );
  const { rates } = written.settings;
  const hash = hashOf({ hubs: [...hubs.values()], storage, temporal, metricsAddress, rates, ...keys }, env);
  const {
    metricsPort: _,
    rates: _rates,
    keyId: _keyId,
    ...settings
  } = check(override(value, overrides), source, overrides).settings;
  return { hash, hubs, storage, temporal, settings, metricsAddress, rates, ...keys };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new HubferryError(
      'CONFIG_NOT_FOUND',
      code === 'ENOENT' || code === 'ENOTDIR' ? `there is no ${path}` : `${path} cannot be read (${code})`,
    );
  }
}

function check(value: unknown, source: YamlSource, overrides: readonly Override[]): Written {
  const result = configSchema.safeParse(value ?? {}, { reportInput: true });
  if (result.success) return result.data;
  throw configInvalid(result.error.issues, source, overrides);
}

function hubsOf(written: Written, source: YamlSource): Map<string, HubConfig> {
  const hubs = Object.entries(written.hubs).map(([alias, hub]): HubConfig => {
    const { connectionString, hostName = '', role, identity, container, ...rest } = hub;
    const path = ['hubs', alias, 'connectionString'];
    const connection =
      connectionString === undefined
        ? { host: hostName, connectionString: null }
        : connectionAt(path, source, () => hubConnection(connectionString));
    return {
      alias,
      ...rest,
      ...connection,
      ...(role === undefined ? {} : { role }),
      ...(identity === undefined ? {} : { identity }),
      ...(container === undefined ? {} : { container }),
    };
  });
  // A worker knows a hub by its host only, so a protection given under one alias must hold under all.
  const guarded = new Set(hubs.filter((hub) => hub.readOnly).map((hub) => hub.host));
  const containers = containersOf(hubs, written.storage?.container, source);
  return new Map(
    hubs.map((hub) => {
      const container = containers.get(hub.host);
      const readOnly = guarded.has(hub.host);
      return [hub.alias, { ...hub, readOnly, ...(container === undefined ? {} : { container }) }];
    }),
  );
}

function storageFrom(written: Written, source: YamlSource): StorageConfig | null {
  if (written.storage === undefined) return null;
  const { connectionString: text, accountUrl = '' } = written.storage;
  const hint = 'Copy the connection string under "Access keys" of the storage account.';
  const storage =
    text === undefined
      ? { account: accountUrl, connectionString: null }
      : connectionAt(['storage', 'connectionString'], source, () => storageConnection(text), hint);
  const { container } = written.storage;
  if (container === undefined) return storage;
  return { ...storage, account: `${storage.account}/${container}`, container };
}

function temporalFrom(
  { temporal }: Written,
  source: YamlSource,
  env: NodeJS.ProcessEnv,
): TemporalConfig | null {
  if (temporal === undefined) return null;
  const { address, namespace = 'default', profile } = temporal;
  if (address !== undefined) return { address, namespace };
  return temporalFromEnvironment(profile, env, source.where(['temporal', 'environment']));
}

function connectionAt<T>(path: Path, source: YamlSource, read: () => T, hint?: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConnectionStringFault)) throw error;
    throw new HubferryError('CONNECTION_STRING_INVALID', `${source.where(path)}: ${error.message}`, hint);
  }
}

type Hashed = Omit<Config, 'path' | 'hash' | 'hubs' | 'settings'> & { readonly hubs: readonly HubConfig[] };

function hashOf(config: Hashed, env: NodeJS.ProcessEnv): string {
  const { hubs, storage, temporal, metricsAddress: metrics, rates, keys, keyId } = config;
  const byAlias = hubs.toSorted((a, b) => (a.alias < b.alias ? -1 : 1));
  const byId = keys.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const signsIn =
    [...hubs, storage].some((one) => one?.connectionString === null) || keys.some((key) => 'vault' in key);
  return sha256(
    JSON.stringify(
      [
        byAlias,
        storage,
        temporal,
        ...(signsIn ? [sha256(identityOf(env))] : []),
        ...(metrics === null ? [] : [{ metrics }]),
        ...(rates === 1 ? [] : [{ rates }]),
        ...(keys.length === 0 ? [] : [{ keys: byId, keyId }]),
      ],
      (name, value: unknown) =>
        (name === 'connectionString' || name === 'key') && typeof value === 'string' ? sha256(value) : value,
    ),
  );
}

/** What Microsoft's library finds out who we are by: with other values a worker would be somebody else. */
function identityOf(env: NodeJS.ProcessEnv): string {
  const names = Object.keys(env).filter((name) => /^(?:AZURE|IDENTITY|MSI)_/.test(name));
  return JSON.stringify(names.toSorted().map((name) => [name, env[name]]));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
