import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { StoragePipelineOptions } from '@azure/storage-blob';
import { HubferryError } from '../registry/errors.js';
import { ProxyFault, proxyFor } from './proxy.js';

/**
 * The library's own retries only bridge a blip: what lasts longer is for Temporal's retry policy, which is visible, gives
 * the worker's slot back while it waits, and can be cancelled. The library's default would hide up to a minute in a call.
 */
const RETRY = { maxTries: 3, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 };

/** Milliseconds for a call that does not stream, tries included; the library has no limit of its own. */
const CALL_TIMEOUT = 60_000;

/** Options of the library's clients. Its types do not know `agent`, which it hands on to its core. */
export type StorageTransport = StoragePipelineOptions & { readonly agent?: HttpAgent };

/**
 * How an account is reached. The library takes the proxy of the environment by itself, but for this machine too, and
 * without the ports and `*` of NO_PROXY; an agent of our own keeps it from that.
 *
 * @param ca certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS
 * @throws HubferryError STORAGE_UNREACHABLE where the environment names a proxy that is none
 */
export function storageTransport(account: string, ca?: string | Buffer): StorageTransport {
  const url = new URL(account);
  try {
    return { retryOptions: RETRY, ...direct(url, ca) };
  } catch (error) {
    if (!(error instanceof ProxyFault)) throw error;
    throw new HubferryError('STORAGE_UNREACHABLE', `${url.href} cannot be reached: ${error.message}`);
  }
}

/**
 * The agent for a service that is reached directly; none where Microsoft's library is to take the proxy of the
 * environment.
 *
 * @throws ProxyFault
 */
export function direct(url: URL, ca?: string | Buffer): { readonly agent?: HttpAgent } {
  if (proxyFor(url) !== null) return {};
  const agent =
    url.protocol === 'https:'
      ? new HttpsAgent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) })
      : new HttpAgent({ keepAlive: true });
  return { agent };
}

/** The time limit of one call. */
export function deadline(): AbortSignal {
  return AbortSignal.timeout(CALL_TIMEOUT);
}
