import type { Found, Removed, Thing } from '../activities/gc.js';
import { jobState, type RunInput } from './messages.js';
import { proxies } from './proxies.js';

export interface GcInput extends Omit<RunInput, 'run'> {
  /** Hubs whose containers made beforehand are looked at. */
  readonly hosts: readonly string[];
  /** RUNs that somebody says are lost. */
  readonly named: readonly string[];
  /** From which age on a run without a report is taken for one that never began, ms. */
  readonly olderThan: number;
  /** What was shown, and is to go where that still holds; null: nothing, it is only looked. */
  readonly remove: readonly Thing[] | null;
}

/** Looks for what lost runs left in the storage account, or removes what such a look has shown. */
export async function gc({ settings, remove, ...input }: GcInput): Promise<Found | Removed> {
  const { ask, transfer } = proxies(settings);
  const { account, hosts, named, olderThan, server = null } = input;
  const look = { account, hosts, named, olderThan, server, jobState: jobState.name };
  return remove === null ? ask.findLeftovers(look) : transfer.removeLeftovers({ ...look, shown: remove });
}
