import type { Config, KeyConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { readVaultKey, type VaultOptions } from './key-vault.js';
import { scrub } from './scrub.js';

/** A key of AES-256. */
export interface Key {
  /** Stands in clear beside all that is sealed with the key. */
  readonly id: string;
  /** Secret: 32 bytes. */
  readonly bytes: Buffer;
}

/** The keys of a process: one to seal with, and all to open with, so that a new one can follow an old one. */
export interface KeyRing {
  /** Null: nothing is sealed. */
  readonly current: Key | null;
  /** @throws HubferryError KEY_UNKNOWN; KEY_VAULT_UNAUTHORIZED or KEY_VAULT_NO_KEY where its vault does not give it */
  find(id: string): Key;
}

/**
 * The keys of a configuration. Those in a vault are asked for once in the life of a process. One that its vault does not
 * give is told when it is needed, so that a key of old times which is gone does not stop new work.
 *
 * @throws HubferryError as `readVaultKey`, for the current key; KEY_VAULT_UNREACHABLE and SIGN_IN_FAILED for any
 */
export async function openKeyRing(
  { path, keys, keyId }: Pick<Config, 'path' | 'keys' | 'keyId'>,
  options: VaultOptions = {},
): Promise<KeyRing> {
  const found = new Map(
    await Promise.all(keys.map(async (key) => [key.id, await bytesOrFault(key, options)] as const)),
  );
  const find = (id: string): Key => {
    const bytes = found.get(id);
    if (bytes === undefined) throw unknownKey(path, id, [...found.keys()]);
    if (bytes instanceof HubferryError) throw bytes;
    return { id, bytes };
  };
  return { current: keyId === null ? null : find(keyId), find };
}

/** A ring without keys: nothing is sealed, and nothing sealed can be read. */
export const NO_KEYS: KeyRing = {
  current: null,
  find: (id) => {
    throw unknownKey('this process', id, []);
  },
};

function unknownKey(who: string, id: string, ids: readonly string[]): HubferryError {
  return new HubferryError(
    'KEY_UNKNOWN',
    `this was sealed with key ${scrub(id)}; ${who} has ${ids.length === 0 ? 'no keys' : ids.join(', ')}`,
  );
}

async function bytesOrFault(key: KeyConfig, options: VaultOptions): Promise<Buffer | HubferryError> {
  if ('key' in key) return Buffer.from(key.key, 'base64');
  const name = `${key.vault}/${key.secret}`;
  const asked = vaultKeys.get(name) ?? readVaultKey(key, options);
  vaultKeys.set(name, asked);
  try {
    return await asked;
  } catch (error) {
    vaultKeys.delete(name);
    const lasting = error instanceof HubferryError && LASTING.has(error.code);
    if (lasting) return error;
    throw error;
  }
}

const LASTING: ReadonlySet<string> = new Set(['KEY_VAULT_UNAUTHORIZED', 'KEY_VAULT_NO_KEY']);

/** By vault and secret. */
const vaultKeys = new Map<string, Promise<Buffer>>();
