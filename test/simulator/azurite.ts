import {
  BlobServiceClient,
  type ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { ACCOUNT, ACCOUNT_KEY, startAzurite as startBlobService } from '../../demo/azurite.js';

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
  const blobs = await startBlobService();
  const credential = new StorageSharedKeyCredential(ACCOUNT, ACCOUNT_KEY);
  const service = new BlobServiceClient(`http://127.0.0.1:${blobs.port}/${ACCOUNT}`, credential, {
    retryOptions: { maxTries: 1 },
  });
  return {
    port: blobs.port,
    stop: () => blobs.stop(),
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
  };
}

/** The text of a blob. */
export async function readBlob(container: ContainerClient, name: string): Promise<string> {
  return (await container.getBlobClient(name).downloadToBuffer()).toString('utf8');
}

/** Writes a text blob. */
export async function writeBlob(container: ContainerClient, name: string, text: string): Promise<void> {
  await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
}
