import type { ClientRequest } from 'node:http';
import { Agent, type RequestOptions } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { lookupFor } from './loopback.js';
import { proxyFor, tunnel } from './proxy.js';

/**
 * How long a socket may be silent, in milliseconds. A hub first delays calls over its limits (3.2 s were seen) before it
 * refuses them, and Microsoft's client has no time limit of its own.
 */
export const SOCKET_TIMEOUT = 60_000;

export interface HubAgentOptions {
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string | Buffer;
  /** Whether a socket serves more than one request; true by default. */
  readonly keepAlive?: boolean;
  /** Milliseconds; {@link SOCKET_TIMEOUT} by default. */
  readonly timeout?: number;
}

/**
 * An agent for a hub whose host may carry a port. Microsoft's client hands the host over as it stands in the connection
 * string and never sets a port, so `localhost:8443` arrives as one name; Node has by then already put the name without
 * the port into `servername`, so SNI and the check of the certificate are right.
 */
export class HubAgent extends Agent {
  readonly #timeout: number;

  constructor({ ca, keepAlive = true, timeout = SOCKET_TIMEOUT }: HubAgentOptions = {}) {
    super({ keepAlive, timeout, ...(ca === undefined ? {} : { ca }) });
    this.#timeout = timeout;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(options.host ?? '') ?? [];
    const lookup = lookupFor(host);
    const place = {
      ...options,
      host,
      ...(port === undefined ? {} : { port: Number(port) }),
      ...(lookup === undefined ? {} : { lookup }),
    };
    const at = Number(place.port ?? 443);
    let proxy: URL | null;
    try {
      proxy = proxyFor(new URL(`https://${host}:${at}`));
    } catch (error) {
      callback?.(asError(error), new Socket());
      return undefined;
    }
    if (proxy === null) return this.#watched(super.createConnection(place, callback));
    // TLS inside the tunnel, with the hub: the proxy sees its name and nothing else.
    tunnel(proxy, host, at).then(
      (socket) => {
        const inside: RequestOptions & Pick<ConnectionOptions, 'socket'> = { ...place, socket };
        const secured = this.#watched(super.createConnection(inside));
        if (secured) callback?.(null, secured);
      },
      (error: unknown) => callback?.(asError(error), new Socket()),
    );
    return undefined;
  }

  /** The agent only ends idle sockets by itself; one that is waited on would stay open for ever. */
  #watched<T extends Duplex | null | undefined>(socket: T): T {
    socket?.once('timeout', () => socket.destroy(new SilentSocket(this.#timeout)));
    return socket;
  }

  /**
   * Node shortens the time limit of an idle socket to what the server announced (4 s with a server of its own), and does
   * not give it back when the socket is used again: a call that takes longer would be cut.
   */
  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    if (socket instanceof Socket) socket.setTimeout(this.#timeout);
  }
}

/** Nothing was heard from a server for too long. */
export class SilentSocket extends Error {
  readonly code = 'ETIMEDOUT';

  constructor(timeout: number) {
    super(`nothing was heard for ${timeout / 1000} s`);
    this.name = 'SilentSocket';
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
