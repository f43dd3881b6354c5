import type { HubState } from '../hub-state.js';
import { type DataAction, type Right, unauthorized } from './rights.js';
import { type PolicyName, policyRights } from './sas.js';

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

function rightsOf({ rights }: Access, hub: HubState): readonly Right[] {
  if (typeof rights !== 'string') return rights;
  return hub.settings[rights] === 'owner'
    ? ['RegistryRead', 'RegistryWrite', 'ServiceConnect']
    : ['RegistryRead', 'RegistryWrite'];
}

/** @throws {ServiceError} IotHubUnauthorizedAccess when the principal lacks one of what the route demands. */
export function requireAccess(principal: Principal, access: Access, hub: HubState): void {
  const allowed =
    principal.kind === 'sas'
      ? holdsAll<Right>(policyRights[principal.policy], rightsOf(access, hub))
      : holdsAll(principal.actions, access.actions);
  if (!allowed) throw unauthorized();
}

function holdsAll<T>(held: readonly T[], wanted: readonly T[]): boolean {
  return wanted.every((one) => held.includes(one));
}
