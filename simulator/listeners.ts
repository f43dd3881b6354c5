import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import { answerBadHttp, type Refuse } from './traffic/bad-http.js';

export interface Tls {
  readonly key: string;
  readonly cert: string;
}

/** A port on both loopback addresses (on IPv4 alone where there is no IPv6). */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** What happens at a port. */
export interface Door {
  readonly handle: RequestListener;
  /** The reply to what is not HTTP. */
  readonly refuse: Refuse;
  /**
   * Asked twice for each connection: when it is made, without a name, and in its TLS handshake with the name that the
   * client gave there, if any. @returns false to close it.
   */
  admits(serverName: string | undefined): boolean;
}

/**
 * Listens on 127.0.0.1 and ::1, so that `localhost` works whichever address a client tries.
 * @param port 0 = a free one.
 * @throws {Error} with code EADDRINUSE that names the port.
 */
export async function listen(port: number, tls: Tls, door: Door): Promise<Listener> {
  for (let attempt = 0; ; attempt++) {
    const first = await open(port, '127.0.0.1', tls, door);
    const address = first.address();
    const taken = typeof address === 'object' && address !== null ? address.port : port;
    try {
      const second = await open(taken, '::1', tls, door);
      return { port: taken, close: () => closeAll([first, second]) };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EADDRINUSE') return { port: taken, close: () => closeAll([first]) };
      await closeAll([first]);
      // A port that is free on one address only: take another.
      if (port !== 0 || attempt === 10) throw error;
    }
  }
}

function open(port: number, host: string, tls: Tls, door: Door): Promise<Server> {
  const server = createServer(
    {
      ...tls,
      // Clients that reuse connections must not meet one that just closes.
      keepAliveTimeout: 65_000,
      // Node would answer a request without Host itself, and without a body.
      requireHostHeader: false,
      // No context = that of the server.
      SNICallback: (name, callback) => callback(door.admits(name) ? null : new Error('refused'), undefined),
    },
    door.handle,
  );
  server.on('connection', (socket) => {
    if (!door.admits(undefined)) socket.destroy();
  });
  answerBadHttp(server, door.refuse);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(Object.assign(new Error(`port ${port} is in use`), { code: 'EADDRINUSE' }));
      } else {
        reject(error);
      }
    });
    server.listen({ port, host, ipv6Only: host === '::1' }, () => resolve(server));
  });
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    }),
  );
}
