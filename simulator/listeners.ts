import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';

export interface Tls {
  readonly key: string;
  readonly cert: string;
}

/** A port on both loopback addresses (on IPv4 alone where there is no IPv6). */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on 127.0.0.1 and ::1, so that `localhost` works whichever address a client tries.
 * @param port 0 = a free one.
 * @throws {Error} with code EADDRINUSE that names the port.
 */
export async function listen(port: number, tls: Tls, handle: RequestListener): Promise<Listener> {
  for (let attempt = 0; ; attempt++) {
    const first = await open(port, '127.0.0.1', tls, handle);
    const address = first.address();
    const taken = typeof address === 'object' && address !== null ? address.port : port;
    try {
      const second = await open(taken, '::1', tls, handle);
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

function open(port: number, host: string, tls: Tls, handle: RequestListener): Promise<Server> {
  // Clients that reuse connections must not meet one that just closes.
  const server = createServer({ ...tls, keepAliveTimeout: 65_000 }, handle);
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
