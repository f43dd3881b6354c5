import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A blob service on loopback, in memory. */
export interface Azurite {
  readonly connectionString: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Azurite's own well-known development account: public, and no secret. */
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

const START_TIMEOUT = 30_000;

/** Starts Azurite's blob service on a free loopback port. */
export async function startAzurite(port: number): Promise<Azurite> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const args = ['--inMemoryPersistence', '--skipApiVersionCheck', '--silent', '--disableTelemetry'];
  const child = spawn(
    process.execPath,
    [main, ...args, '--blobHost', '127.0.0.1', '--blobPort', String(port)],
    {
      stdio: 'ignore',
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const until = Date.now() + START_TIMEOUT;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > until) throw new Error('Azurite did not start.');
    await pause(50);
  }
  return {
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
