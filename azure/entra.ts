import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/identity';
import { HubferryError } from '../registry/errors.js';
import { scrub } from './scrub.js';

/**
 * What a hub's tokens are made for. Microsoft's own clients know two: one for Azure Government, by the suffix of its
 * hubs, and one for all other clouds, China's among them (facts §1.5).
 *
 * @param host canonical
 */
export function hubScope(host: string): string {
  const name = host.replace(/:\d+$/, '');
  return name.endsWith('.azure-devices.us')
    ? 'https://iothubs.azure.us/.default'
    : 'https://iothubs.azure.net/.default';
}

/** The role that a worker's identity needs for everything at a hub. */
export const HUB_ROLE = 'IoT Hub Data Contributor';

/** The roles that a worker's identity needs at a storage account: for blobs, and to sign access for jobs. */
export const STORAGE_ROLE = 'Storage Blob Data Contributor';
export const DELEGATOR_ROLE = 'Storage Blob Delegator';

/**
 * A credential whose failures are our errors.
 *
 * @param credential left out, the identity of this process as Microsoft's library finds it (environment, workload
 *   identity, managed identity, a developer's sign-in), one for all hubs and accounts
 */
export function entraCredential(credential: TokenCredential = processCredential): TokenCredential {
  return {
    getToken: async (scopes, options) => {
      try {
        return await credential.getToken(scopes, options);
      } catch (error) {
        throw signInError(error);
      }
    },
  };
}

/** Loaded and made when it is first asked: most configurations have connection strings only. */
const processCredential: TokenCredential = {
  getToken: async (scopes: string | string[], options?: GetTokenOptions): Promise<AccessToken | null> => {
    found ??= import('@azure/identity').then(({ DefaultAzureCredential }) => new DefaultAzureCredential());
    return (await found).getToken(scopes, options);
  },
};

let found: Promise<TokenCredential> | undefined;

/** Gives a token at any time; Microsoft's library keeps it and makes a new one before it expires. */
export type TokenSource = () => Promise<string>;

/**
 * The tokens of a credential for a scope; hubs of one cloud share them.
 *
 * @param given left out, that of this process
 * @throws (the source) HubferryError SIGN_IN_FAILED
 */
export function tokenSource(given: TokenCredential | undefined, scope: string): TokenSource {
  const credential = given ?? processCredential;
  const known = sources.get(credential) ?? new Map<string, TokenSource>();
  sources.set(credential, known);
  const source = known.get(scope) ?? newSource(entraCredential(credential), scope);
  known.set(scope, source);
  return source;
}

const sources = new WeakMap<TokenCredential, Map<string, TokenSource>>();

function newSource(credential: TokenCredential, scope: string): TokenSource {
  let source: Promise<TokenSource> | undefined;
  return async () => {
    source ??= import('@azure/identity').then(({ getBearerTokenProvider }) =>
      getBearerTokenProvider(credential, scope),
    );
    return (await source)();
  };
}

function signInError(error: unknown): HubferryError {
  if (error instanceof HubferryError) return error;
  return new HubferryError(
    'SIGN_IN_FAILED',
    `Microsoft Entra ID gives this process no token (${scrub(wordsOf(error))})`,
  );
}

/** A chain of credentials says what each of them found; what Entra ID itself said (AADSTS…) tells the most. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /AADSTS\d+[^\n]*/.exec(message)?.[0] ?? message.replace(/\s*\n\s*/g, '; ');
}
