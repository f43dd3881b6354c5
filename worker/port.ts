import { connect, createServer } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** A loopback port that was free a moment ago; the caller must be ready to try another. */
export async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('the system gave no port'));
      });
    });
  });
}

/** Whether nobody listens on a loopback port. */
export async function isPortFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, LOOPBACK, () => server.close(() => resolve(true)));
  });
}

/** Whether somebody answers on a loopback port. A gRPC connect before that costs a second of back-off. */
export async function isPortOpen(port: number, timeout = 1_000): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port });
    const end = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.setTimeout(timeout, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
