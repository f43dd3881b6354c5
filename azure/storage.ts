import type { TokenCredential } from '@azure/identity';
import { BlobServiceClient, type BlockBlobClient } from '@azure/storage-blob';
import type { StorageConfig } from '../config/model.js';
import { readBlob } from './blob-reader.js';
import { BLOCK_BYTES, BlockWriter } from './blob-writer.js';
import { entraCredential, STORAGE_ROLE } from './entra.js';
import { DelegationAccess, PolicyAccess } from './granted-access.js';
import { type StorageCall, storageAnswer, storageError } from './storage-errors.js';
import type { BlobWriter, GrantedAccess, Storage } from './storage-port.js';
import { deadline, storageTransport } from './storage-transport.js';

export type { BlobWriter, GrantedAccess, GrantName, Storage } from './storage-port.js';

export interface OpenStorageOptions {
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS; not through a proxy. */
  readonly ca?: string | Buffer;
  /** Whose tokens of Microsoft Entra ID are used where there is no connection string; left out, those of this process. */
  readonly credential?: TokenCredential;
}

/**
 * A client of a storage account. Nothing is sent until it is asked for something.
 *
 * @throws HubferryError STORAGE_UNREACHABLE where the environment names a proxy that is none
 */
export function openStorage(
  { connectionString, account }: StorageConfig,
  { ca, credential }: OpenStorageOptions = {},
): Storage {
  const transport = storageTransport(account, ca);
  if (connectionString !== null) {
    const service = BlobServiceClient.fromConnectionString(connectionString, transport);
    const call = (what: string): StorageCall => ({ account, what });
    return new StorageClient(account, service, call, new PolicyAccess(service, call, transport));
  }
  const service = new BlobServiceClient(account, entraCredential(credential), transport);
  const call = (what: string): StorageCall => ({ account, what, role: STORAGE_ROLE });
  return new StorageClient(account, service, call, new DelegationAccess(service, call));
}

class StorageClient implements Storage {
  readonly account: string;
  readonly access: GrantedAccess;
  readonly #service: BlobServiceClient;
  readonly #call: (what: string) => StorageCall;

  constructor(
    account: string,
    service: BlobServiceClient,
    call: (what: string) => StorageCall,
    access: GrantedAccess,
  ) {
    this.account = account;
    this.access = access;
    this.#service = service;
    this.#call = call;
  }

  async createContainer(name: string): Promise<boolean> {
    const call = this.#call(`create container ${name}`);
    const container = this.#service.getContainerClient(name);
    const create = (): Promise<unknown> => container.create({ abortSignal: deadline() });
    return (await storageAnswer(call, create, ['ContainerAlreadyExists'])) !== null;
  }

  async deleteContainer(name: string): Promise<void> {
    const container = this.#service.getContainerClient(name);
    const call = this.#call(`delete container ${name}`);
    const remove = (): Promise<unknown> => container.delete({ abortSignal: deadline() });
    await storageAnswer(call, remove, [404, 'ContainerBeingDeleted']);
  }

  async containerExists(name: string): Promise<boolean> {
    const container = this.#service.getContainerClient(name);
    const call = this.#call(`look at container ${name}`);
    return (
      (await storageAnswer(call, () => container.getProperties({ abortSignal: deadline() }), [404])) !== null
    );
  }

  async *listContainers(prefix: string): AsyncGenerator<string> {
    const call = this.#call('list its containers');
    const pages = this.#service.listContainers({ prefix }).byPage();
    for await (const page of mapped(call, pages)) {
      for (const { name } of page.containerItems) yield name;
    }
  }

  async *list(container: string, prefix = ''): AsyncGenerator<{ name: string; bytes: number }> {
    const call = this.#call(`list container ${container}`);
    const pages = this.#service.getContainerClient(container).listBlobsFlat({ prefix }).byPage();
    for await (const page of mapped(call, pages)) {
      for (const { name, properties } of page.segment.blobItems) {
        yield { name, bytes: properties.contentLength ?? 0 };
      }
    }
  }

  async size(container: string, blob: string): Promise<number | null> {
    const client = this.#blob(container, blob);
    const call = this.#call(`look at ${container}/${blob}`);
    const answer = await storageAnswer(call, () => client.getProperties({ abortSignal: deadline() }), [404]);
    return answer === null ? null : (answer.contentLength ?? 0);
  }

  async read(
    container: string,
    blob: string,
    range: { offset: number; count?: number } = { offset: 0 },
  ): Promise<AsyncIterable<Buffer>> {
    return await readBlob(this.#call(`read ${container}/${blob}`), this.#blob(container, blob), range);
  }

  async readText(container: string, blob: string): Promise<string | null> {
    const call = this.#call(`read ${container}/${blob}`);
    const chunks = await storageAnswer(call, () => this.read(container, blob), [404]);
    if (chunks === null) return null;
    const all: Buffer[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return Buffer.concat(all).toString('utf8');
  }

  async writeText(
    container: string,
    blob: string,
    text: string,
    { onlyIfAbsent = false }: { onlyIfAbsent?: boolean } = {},
  ): Promise<boolean> {
    const body = Buffer.from(text, 'utf8');
    const answer = await storageAnswer(
      this.#call(`write ${container}/${blob}`),
      () =>
        this.#blob(container, blob).upload(body, body.length, {
          abortSignal: deadline(),
          blobHTTPHeaders: { blobContentType: contentTypeOf(blob) },
          ...(onlyIfAbsent ? { conditions: { ifNoneMatch: '*' } } : {}),
        }),
      onlyIfAbsent ? ['BlobAlreadyExists', 'ConditionNotMet'] : [],
    );
    return answer !== null;
  }

  writer(
    container: string,
    blob: string,
    { blockBytes = BLOCK_BYTES }: { blockBytes?: number } = {},
  ): BlobWriter {
    return new BlockWriter({
      call: this.#call(`write ${container}/${blob}`),
      blob: this.#blob(container, blob),
      contentType: contentTypeOf(blob),
      blockBytes,
      deadline,
    });
  }

  async deleteBlob(container: string, blob: string): Promise<void> {
    const call = this.#call(`delete ${container}/${blob}`);
    await storageAnswer(call, () => this.#blob(container, blob).delete({ abortSignal: deadline() }), [404]);
  }

  #blob(container: string, blob: string): BlockBlobClient {
    return this.#service.getContainerClient(container).getBlockBlobClient(blob);
  }
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  txt: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8',
};

function contentTypeOf(blob: string): string {
  return CONTENT_TYPES[/\.(\w+)$/.exec(blob)?.[1] ?? ''] ?? 'application/octet-stream';
}

/** The same values; errors of the iteration mapped. */
async function* mapped<T>(call: StorageCall, values: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    throw storageError(call, error);
  }
}
