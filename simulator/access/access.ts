import type { HubState } from '../hub-state.js';
import { type DataAction, type Right, unauthorized } from './rights.js';
import { type PolicyName, policyRights, verifyToken } from './sas.js';

export { unauthorized } from './rights.js';

/** Who asks, after the credentials were found good. */
export type Principal =
  | { readonly kind: 'sas'; readonly policy: PolicyName }
  | { readonly kind: 'entra'; readonly actions: readonly DataAction[] };

/** What a route demands: all of the rights under SAS, all of the actions under Entra ID. */
export interface Access {
  /** A switch where it is not documented which policy is needed (§1.5). */
  readonly rights: readonly Right[] | 'jobsPolicy' | 'configurationsPolicy';
  readonly actions: readonly DataAction[];
}

/** A request, as far as its credentials go. */
export interface Credentials {
  /** Value of the Authorization header. */
  readonly header: string | undefined;
  /** Name under which the hub was called, without port, lower case. */
  readonly host: string;
  /** As sent, without query. */
  readonly path: string;
}

/**
 * Finds out who asks, by shared access signature or bearer token (§1.5). Tokens are checked against the machine's own
 * clock, not the simulated one: clients make them by theirs.
 * @throws {ServiceError} IotHubUnauthorizedAccess
 */
export async function authenticate({ header, host, path }: Credentials, hub: HubState): Promise<Principal> {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(header ?? '')?.[1];
  if (bearer !== undefined) return { kind: 'entra', actions: await hub.tokens.verify(bearer) };
  const hosts = [host, `${hub.name}.localhost`];
  return { kind: 'sas', policy: verifyToken({ header, keys: hub.keys, hosts, path, now: Date.now() }) };
}

/** Identities of devices and modules alike (§1.5). */
export const identityAccess = {
  read: { rights: ['RegistryRead'], actions: ['devices/read'] },
  write: { rights: ['RegistryWrite'], actions: ['devices/write'] },
  remove: { rights: ['RegistryWrite'], actions: ['devices/delete'] },
} as const satisfies Readonly<Record<string, Access>>;

/** The rights that a route demands under SAS, by the hub's settings. */
export function rightsOf({ rights }: Access, settings: HubState['settings']): readonly Right[] {
  if (typeof rights !== 'string') return rights;
  return settings[rights] === 'owner'
    ? ['RegistryRead', 'RegistryWrite', 'ServiceConnect']
    : ['RegistryRead', 'RegistryWrite'];
}

/** @throws {ServiceError} IotHubUnauthorizedAccess when the principal lacks one of what the route demands. */
export function requireAccess(principal: Principal, access: Access, hub: HubState): void {
  const allowed =
    principal.kind === 'sas'
      ? holdsAll<Right>(policyRights[principal.policy], rightsOf(access, hub.settings))
      : holdsAll(principal.actions, access.actions);
  if (!allowed) throw unauthorized();
}

function holdsAll<T>(held: readonly T[], wanted: readonly T[]): boolean {
  return wanted.every((one) => held.includes(one));
}
