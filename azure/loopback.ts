import type { LookupFunction } from 'node:net';

/** The host without port and brackets: `localhost:8443` is `localhost`, `[::1]:443` is `::1`. */
function bareHost(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(host) ?? [];
  return (bracketed ?? plain ?? host).toLowerCase().replace(/\.$/, '');
}

/** `localhost` and everything below it, which RFC 6761 reserves for loopback. */
function isLocalName(bare: string): boolean {
  return bare === 'localhost' || bare.endsWith('.localhost');
}

/**
 * Whether a host (with or without port) is this machine by its very name: `localhost`, `*.localhost`, 127.0.0.0/8, ::1.
 * A hub in the cloud cannot reach storage there.
 */
export function isLoopbackHost(host: string): boolean {
  const bare = bareHost(host);
  return isLocalName(bare) || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

const LOOPBACK = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/**
 * How to resolve a host name, for `net.connect`: `localhost` and `*.localhost` to 127.0.0.1, then ::1, without the
 * system's resolver, which knows the latter on few systems only; undefined (the system's) for all others.
 */
export function lookupFor(host: string): LookupFunction | undefined {
  if (!isLocalName(bareHost(host))) return undefined;
  return (_name, options, callback) => {
    const [first] = LOOPBACK;
    if (options.all === true) callback(null, LOOPBACK);
    else callback(null, first?.address ?? '', first?.family);
  };
}
