import { HubferryError } from '../registry/errors.js';
import type { HubConfig } from './model.js';
import type { YamlSource } from './yaml-source.js';

/**
 * The containers made beforehand, by the host of the hub whose jobs they are for. Hubs do not share one: a hub writes its
 * error log under a fixed name, and may read whatever is in the container of its job.
 *
 * @param home where all else is kept, if that was made beforehand, too: then no container is made for a job either
 * @throws HubferryError CONFIG_INVALID
 */
export function containersOf(
  hubs: readonly HubConfig[],
  home: string | undefined,
  source: YamlSource,
): ReadonlyMap<string, string> {
  const faulty = (alias: string, words: string): never => {
    throw new HubferryError('CONFIG_INVALID', `${source.where(['hubs', alias, 'container'])}: ${words}`);
  };
  const byHost = new Map<string, string>();
  const hosts = new Map<string, HubConfig>();
  for (const hub of hubs) {
    const { alias, host, container } = hub;
    if (container === undefined) continue;
    if (container === home)
      faulty(alias, 'this is storage.container; a hub must not open what is kept there');
    const other = hosts.get(container);
    if (other !== undefined && other.host !== host)
      faulty(alias, `this is the container of ${other.alias}, too; every hub needs its own`);
    if ((byHost.get(host) ?? container) !== container)
      faulty(alias, `${host} has another container under another alias; give it one`);
    hosts.set(container, hub);
    byHost.set(host, container);
  }
  const without = home === undefined ? undefined : hubs.find(({ host }) => !byHost.has(host));
  if (without !== undefined)
    faulty(
      without.alias,
      'this key is missing; with storage.container, every hub needs a container of its own',
    );
  return byHost;
}
