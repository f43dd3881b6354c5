import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { StorageConfig } from '../../config/model.js';

/** The emulator's documented account, the same everywhere: no secret. */
export const ACCOUNT_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** A blob service on loopback, in memory. */
export interface Azurite {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts Azurite on a port of its own choice. */
export async function startAzurite(): Promise<Azurite> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const args = ['--inMemoryPersistence', '--skipApiVersionCheck', '--silent', '--disableTelemetry'];
  const child = spawn(process.execPath, [main, ...args, '--blobHost', '127.0.0.1', '--blobPort', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return { port: Number(port), stop };
  }
  throw new Error('Azurite did not start');
}

/** The configuration of Azurite's account, as `config/` would give it. */
export function storageAt(port: number, key: string = ACCOUNT_KEY): StorageConfig {
  const account = `http://127.0.0.1:${port}/devstoreaccount1`;
  return {
    account,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=${key};BlobEndpoint=${account}`,
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
