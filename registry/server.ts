/** A namespace of a Temporal server. */
export interface Server {
  /** As its clients call it: an address and a namespace, or `embedded on HOST (FOLDER)`. Null where nobody said. */
  readonly server: string | null;
  /** What it keeps when its address changes. Null where it does not tell, or nobody wrote it down. */
  readonly namespaceId: string | null;
}

/** How an embedded server is called: by the machine, and the folder of which there is one server at a time. */
export const embeddedServer = (host: string, folder: string): string => `${EMBEDDED}${host} (${folder})`;

const EMBEDDED = 'embedded on ';

/** An address that means another machine on each machine. */
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|[\w.-]+\.localhost)(?::|\/|$)/i;

/**
 * Whether two are one server, for all that is known. An embedded server that lost its database has another id, but is in
 * the place of the one that had it; of an address this cannot be said.
 */
export function isSameServer(one: Server, other: Server): boolean {
  if (one.namespaceId !== null && one.namespaceId === other.namespaceId) return true;
  if (one.server === null || one.server !== other.server) return false;
  if (one.server.startsWith(EMBEDDED)) return true;
  return (one.namespaceId === null || other.namespaceId === null) && !LOOPBACK.test(one.server);
}
