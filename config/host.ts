/**
 * The one spelling of a hub's host name by which hubferry knows the hub: lower case, without `:443` and without the
 * final dot. Other ports are kept, since they are other hubs.
 */
export function canonicalHost(hostName: string): string {
  const [, name = '', port] = /^(.*?)(?::(\d+))?$/s.exec(hostName.trim().toLowerCase()) ?? [];
  const host = name.replace(/\.$/, '');
  return port === undefined || Number(port) === 443 ? host : `${host}:${Number(port)}`;
}
