import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { StorageConfig } from '../../config/model.js';
import { ACCOUNT, connectionStringAt } from '../../demo/azurite.js';

export { ACCOUNT_KEY, type Azurite, startAzurite } from '../../demo/azurite.js';

/** The configuration of Azurite's account, as `config/` would give it. */
export function storageAt(port: number, key?: string): StorageConfig & { connectionString: string } {
  return {
    account: `http://127.0.0.1:${port}/${ACCOUNT}`,
    connectionString: connectionStringAt(port, key),
  };
}

/** A port that hands everything on to another, until told otherwise. */
export interface Wire {
  readonly port: number;
  /** Cuts each of the next connections' answers after so many bytes. */
  cut(...bytes: number[]): void;
  close(): Promise<void>;
}

export async function startWire(to: number): Promise<Wire> {
  const cuts: number[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let left = Number.POSITIVE_INFINITY;
    client.on('data', (chunk) => {
      left = cuts.shift() ?? Number.POSITIVE_INFINITY;
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      const part = chunk.subarray(0, Math.min(chunk.length, left));
      left -= part.length;
      client.write(part, () => {
        if (left === 0) client.destroy();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut: (...bytes) => cuts.push(...bytes),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      // Closing twice is fine: the second call is told so by an error, and waits for nothing.
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
