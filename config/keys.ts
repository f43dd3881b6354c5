import { maskSecrets } from '../registry/secrets.js';
import type { KeyConfig } from './model.js';

/** One entry of `keys:`, as it is written. */
type WrittenKey = string | { readonly vault: string; readonly secret: string };

/**
 * The keys of a configuration, in the order of the file, and which of them new data is sealed with.
 *
 * @throws Error from `fault` where `keyId` names a key that is not there
 */
export function keysFrom(
  written: Readonly<Record<string, WrittenKey>>,
  keyId: string | undefined,
  fault: (words: string) => Error,
): { readonly keys: readonly KeyConfig[]; readonly keyId: string | null } {
  const keys = Object.entries(written).map(([id, key]): KeyConfig => {
    return typeof key === 'string' ? { id, key } : { id, ...key };
  });
  if (keyId === undefined) return { keys, keyId: null };
  if (keys.some(({ id }) => id === keyId)) return { keys, keyId };
  const ids = keys.map(({ id }) => id).join(', ');
  // Somebody may have put the key itself there.
  throw fault(`\`keys:\` has no "${maskSecrets(keyId)}"; it has ${ids === '' ? 'none' : ids}`);
}
