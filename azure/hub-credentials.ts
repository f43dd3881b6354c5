import type { Agent } from 'node:https';
import type { TokenCredential } from '@azure/identity';
import type { Registry } from 'azure-iothub';
import type { HubConfig } from '../config/model.js';
import { hubScope, tokenSource } from './entra.js';
import { registryBySas, registryByToken } from './microsoft-registry.js';
import { sasCredentials, sasToken } from './sas.js';

/** Who we are at a hub. */
export interface HubCredentials {
  /** With its port, if it has one. */
  readonly host: string;
  /** The shared access policy; null under Microsoft Entra ID. */
  readonly policy: string | null;
  /** The value of the Authorization header of one request. @throws HubferryError SIGN_IN_FAILED */
  readonly authorize: () => string | Promise<string>;
  /** Microsoft's client with the same credentials. */
  readonly registry: (agent: Agent) => Registry;
}

/**
 * The credentials of a hub: its connection string, or else Microsoft Entra ID.
 *
 * @param credential whose token is asked for; left out, that of this process
 */
export function hubCredentials(
  { host, connectionString }: Pick<HubConfig, 'host' | 'connectionString'>,
  credential?: TokenCredential,
): HubCredentials {
  if (connectionString !== null) {
    const sas = sasCredentials(connectionString);
    return {
      host: sas.host,
      policy: sas.policy,
      authorize: () => sasToken(sas),
      registry: (agent) => registryBySas(connectionString, agent),
    };
  }
  // One source for both clients and all hubs: it keeps the token, so that it is asked for once an hour and not for every call.
  const token = tokenSource(credential, hubScope(host));
  return {
    host,
    policy: null,
    authorize: async () => `Bearer ${await token()}`,
    registry: (agent) => registryByToken(host, token, agent),
  };
}
