import { ServiceError } from './errors.js';
import type { HubSettings } from './settings.js';

/** True for B1 to B3, which know devices and their messages, and little else (§5). */
export function isBasicTier({ tier }: Pick<HubSettings, 'tier'>): boolean {
  return tier.startsWith('B');
}

/** @throws {ServiceError} OperationNotAvailableInCurrentTier in tiers B1 to B3 (§5). */
export function requireStandardTier(settings: Pick<HubSettings, 'tier'>): void {
  if (!isBasicTier(settings)) return;
  throw new ServiceError(
    'OperationNotAvailableInCurrentTier',
    `The operation is not available in tier ${settings.tier}.`,
  );
}
