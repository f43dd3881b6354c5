import type { Finding } from '../activities/check.js';
import type { RunInput } from './messages.js';
import { proxies } from './proxies.js';

export interface CheckInput extends Omit<RunInput, 'run'> {
  readonly hosts: readonly string[];
}

/** Asks every hub and the storage account, from where the worker runs, whether a migration could do its work. */
export async function check(input: CheckInput): Promise<Finding[]> {
  const { ask } = proxies(input.settings);
  const { account, hosts } = input;
  const found = await Promise.all([
    ask.checkStorage({ account }),
    ...hosts.map((host) => ask.checkHub({ account, host })),
  ]);
  return found.flat();
}
