import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** The emulator's documented account, the same everywhere: no secret. */
export const ACCOUNT = 'devstoreaccount1';
export const ACCOUNT_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** A blob service on loopback, in memory. */
export interface Azurite {
  readonly port: number;
  readonly connectionString: string;
  stop(): Promise<void>;
}

export interface AzuriteOptions {
  /** Files of a certificate and its key: serves HTTPS, and takes tokens of Microsoft Entra ID (unsigned ones too). */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Starts Azurite's blob service on a port of its own choice. */
export async function startAzurite({ tls }: AzuriteOptions = {}): Promise<Azurite> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const args = ['--inMemoryPersistence', '--skipApiVersionCheck', '--silent', '--disableTelemetry'];
  if (tls !== undefined) args.push('--oauth', 'basic', '--cert', tls.cert, '--key', tls.key);
  const child = spawn(process.execPath, [main, ...args, '--blobHost', '127.0.0.1', '--blobPort', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // It would outlive a crash of ours, and hold our output open.
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  void exited.then(() => process.off('exit', endWithUs));
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    child.stdout.resume();
    return {
      port: Number(port),
      connectionString: connectionStringAt(Number(port), ACCOUNT_KEY, tls === undefined ? 'http' : 'https'),
      stop: async () => {
        child.kill('SIGKILL');
        await exited;
      },
    };
  }
  throw new Error('Azurite did not start.');
}

/** The connection string of Azurite's account, with its own key or another. */
export function connectionStringAt(
  port: number,
  key: string = ACCOUNT_KEY,
  protocol: 'http' | 'https' = 'http',
): string {
  return `DefaultEndpointsProtocol=${protocol};AccountName=${ACCOUNT};AccountKey=${key};BlobEndpoint=${protocol}://127.0.0.1:${port}/${ACCOUNT}`;
}
