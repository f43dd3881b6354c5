import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import {
  BlobServiceClient,
  type ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

const account = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Azurite in memory, on a free port, for one test file. */
export interface Azurite {
  readonly port: number;
  /** A new container. */
  container(name: string): Promise<ContainerClient>;
  /** A container URI with a SAS of the given permissions (`rwd`, `rl` …). */
  uri(container: ContainerClient, permissions?: string): string;
  stop(): Promise<void>;
}

export async function startAzurite(): Promise<Azurite> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const options = ['--inMemoryPersistence', '--skipApiVersionCheck', '--silent', '--disableTelemetry'];
  const child = spawn(process.execPath, [main, ...options, '--blobHost', '127.0.0.1', '--blobPort', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await announcedPort(child.stdout);
  const credential = new StorageSharedKeyCredential(account, accountKey);
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${account}`, credential, {
    retryOptions: { maxTries: 1 },
  });
  return {
    port,
    container: async (name) => {
      const container = service.getContainerClient(name);
      await container.create();
      return container;
    },
    uri: (container, permissions = 'racwdl') => {
      const sas = generateBlobSASQueryParameters(
        {
          containerName: container.containerName,
          permissions: ContainerSASPermissions.parse(permissions),
          expiresOn: new Date(Date.now() + 3_600_000),
        },
        credential,
      );
      return `${container.url}?${sas.toString()}`;
    },
    stop: () => stop(child),
  };
}

/** Waits until `check` says true; looks every 10 ms, for 20 s at most. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The text of a blob. */
export async function readBlob(container: ContainerClient, name: string): Promise<string> {
  return (await container.getBlobClient(name).downloadToBuffer()).toString('utf8');
}

/** Writes a text blob. */
export async function writeBlob(container: ContainerClient, name: string, text: string): Promise<void> {
  await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function announcedPort(output: Readable): Promise<number> {
  for await (const line of createInterface({ input: output })) {
    const port = /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error('Azurite did not start');
}
