import type { TokenCredential } from '@azure/identity';
import type { VaultKeyConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { KEY_WORDS, keyText } from '../registry/key-text.js';
import { isJsonObject } from '../registry/record.js';
import { entraCredential } from './entra.js';
import { textOrNull } from './json.js';
import { isLoopbackHost } from './loopback.js';
import { scrub } from './scrub.js';
import { direct } from './storage-transport.js';

/** As for storage: what lasts longer is for whoever asks again. */
const RETRY = { maxRetries: 2, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 };

/** Milliseconds for one key, tries included. */
const CALL_TIMEOUT = 60_000;

export interface VaultOptions {
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | Buffer;
  /** Whose tokens of Microsoft Entra ID are used; left out, those of this process. */
  readonly credential?: TokenCredential;
}

/**
 * Reads a key from Azure Key Vault: the newest version of a secret. Its library is loaded here, since most
 * configurations have no such key.
 *
 * @throws HubferryError KEY_VAULT_UNREACHABLE, KEY_VAULT_UNAUTHORIZED, KEY_VAULT_NO_KEY, SIGN_IN_FAILED
 */
export async function readVaultKey(
  { id, vault, secret }: VaultKeyConfig,
  { ca, credential }: VaultOptions = {},
): Promise<Buffer> {
  const what = `key ${id} (secret ${secret} of ${vault})`;
  let value: string | undefined;
  try {
    const url = new URL(vault);
    const { SecretClient } = await import('@azure/keyvault-secrets');
    const client = new SecretClient(vault, entraCredential(credential), {
      retryOptions: RETRY,
      // A challenge names the domain that tokens are for, which is not that of this machine.
      disableChallengeResourceVerification: isLoopbackHost(url.host),
      ...direct(url, ca),
    });
    ({ value } = await client.getSecret(secret, { abortSignal: AbortSignal.timeout(CALL_TIMEOUT) }));
  } catch (error) {
    throw vaultError(what, error);
  }
  const key = keyText(value ?? '');
  if (key !== null) return Buffer.from(key, 'base64');
  throw new HubferryError('KEY_VAULT_NO_KEY', `the value of ${what} is no key: ${KEY_WORDS}`);
}

function vaultError(what: string, error: unknown): HubferryError {
  if (error instanceof HubferryError) return error;
  const fault = isJsonObject(error) ? error : {};
  const status = typeof fault['statusCode'] === 'number' ? fault['statusCode'] : null;
  const code = scrub(textOrNull(fault['code']) ?? '');
  const message = error instanceof Error ? error.message : String(error);
  const words = scrub(error instanceof Error && error.name === 'AbortError' ? 'no answer in time' : message);
  const labels = [code, status === null ? '' : `HTTP ${status}`].filter((part) => part !== '').join(', ');
  return new HubferryError(
    codeOfStatus(status, code),
    `${what} cannot be read${labels === '' ? '' : ` (${labels})`}: ${words}`,
  );
}

function codeOfStatus(status: number | null, code: string): HubferryError['code'] {
  if (status === 404 || code === 'SecretDisabled') return 'KEY_VAULT_NO_KEY';
  if (status === 401 || status === 403) return 'KEY_VAULT_UNAUTHORIZED';
  return 'KEY_VAULT_UNREACHABLE';
}
