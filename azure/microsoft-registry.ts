import type { Agent } from 'node:https';
import iothub, { type Registry } from 'azure-iothub';
import { HubferryError } from '../registry/errors.js';
import { isJsonObject } from '../registry/record.js';
import {
  type HubCall,
  type HubRefusal,
  hubAnswerError,
  hubSilentError,
  unreadableAnswer,
} from './hub-errors.js';

/** Microsoft's client of a hub, by connection string. */
export function registryBySas(connectionString: string, agent: Agent): Registry {
  return withAgent(iothub.Registry.fromConnectionString(connectionString), agent);
}

/**
 * Microsoft's client of a hub, by tokens. It would ask for those of the public cloud everywhere and keep them itself, so
 * it is given ours, which look expired to it.
 */
export function registryByToken(host: string, token: () => Promise<string>, agent: Agent): Registry {
  const credential = { getToken: async () => ({ token: await token(), expiresOnTimestamp: 0 }) };
  return withAgent(iothub.Registry.fromTokenCredential(host, credential), agent);
}

/**
 * Puts our agent in the place of its own: there is no public way to give it one, and its own does not understand a port
 * in the host and never gives up waiting.
 */
function withAgent(registry: Registry, agent: Agent): Registry {
  const client: unknown = Reflect.get(registry, '_restApiClient');
  const setOptions: unknown = isJsonObject(client) ? Reflect.get(client, 'setOptions') : undefined;
  if (typeof setOptions !== 'function') {
    throw new HubferryError('INTERNAL', 'this version of azure-iothub does not take an agent');
  }
  Reflect.apply(setOptions, client, [{ http: { agent } }]);
  return registry;
}

/** Runs a call of Microsoft's client, its errors mapped to ours. */
export async function callRegistry<T>(call: HubCall, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal !== null) throw hubAnswerError(call, refusal);
    // It checks its arguments with these: our fault, and no news from the hub.
    if (error instanceof ReferenceError || error instanceof TypeError) throw error;
    // Its parser throws what JSON.parse throws; the message quotes the body.
    throw error instanceof SyntaxError ? unreadableAnswer(call) : hubSilentError(call, error);
  }
}

/** Status, headers and body of an answer that Microsoft's client turned into an error. */
function refusalOf(error: unknown): HubRefusal | null {
  if (!isJsonObject(error) || !isJsonObject(error['response'])) return null;
  const { statusCode, headers } = error['response'];
  if (typeof statusCode !== 'number' || !isJsonObject(headers)) return null;
  const text = typeof error['responseBody'] === 'string' ? error['responseBody'] : '';
  const told = ['iothub-errorcode', 'content-type', 'retry-after'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return { status: statusCode, headers: Object.fromEntries(told), text };
}
