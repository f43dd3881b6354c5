import type { TokenCredential } from '@azure/identity';
import type {
  BlobRequestConditions,
  BlobServiceClient,
  BlockBlobClient,
  ContainerClient,
} from '@azure/storage-blob';
import type { StorageConfig } from '../config/model.js';
import { isOwnContainer } from '../registry/containers.js';
import { HubferryError } from '../registry/errors.js';
import { blobLibrary } from './blob-library.js';
import { type BlobRange, readBlob } from './blob-reader.js';
import { BLOCK_BYTES, BlockWriter } from './blob-writer.js';
import { custodyOf } from './custody.js';
import { entraCredential, STORAGE_ROLE } from './entra.js';
import { DelegationAccess, PolicyAccess } from './granted-access.js';
import { type KeyRing, NO_KEYS } from './key-ring.js';
import { sealedStorage } from './sealed-storage.js';
import {
  StorageAnswerError,
  type StorageCall,
  storageAnswer,
  storageError,
  textOf,
} from './storage-errors.js';
import type {
  BlobBody,
  BlobCondition,
  BlobFacts,
  BlobPlace,
  BlobWriter,
  Custody,
  GrantedAccess,
  RawStorage,
  Storage,
} from './storage-port.js';
import { deadline, storageTransport } from './storage-transport.js';

export type { BlobPlace, BlobWriter, Custody, GrantedAccess, GrantName, Storage } from './storage-port.js';

export interface OpenStorageOptions {
  /** Certificates to trust instead of the system's and NODE_EXTRA_CA_CERTS; not through a proxy. */
  readonly ca?: string | Buffer;
  /** Whose tokens of Microsoft Entra ID are used where there is no connection string; left out, those of this process. */
  readonly credential?: TokenCredential;
  /** What is sealed with, and opened. Left out: none. */
  readonly keys?: KeyRing;
}

/**
 * A client of a storage account. Nothing is sent until it is asked for something.
 *
 * @throws HubferryError STORAGE_UNREACHABLE where the environment names a proxy that is none
 */
export function openStorage(config: StorageConfig, options: OpenStorageOptions = {}): Storage {
  return sealedStorage(openRawStorage(config, options), options.keys ?? NO_KEYS);
}

/** One that shows blobs as they are kept. @throws HubferryError as `openStorage` */
export function openRawStorage(
  config: StorageConfig,
  { ca, credential }: Omit<OpenStorageOptions, 'keys'> = {},
): RawStorage {
  const { connectionString, account } = config;
  const endpoint = blobEndpointOf(config);
  const transport = storageTransport(endpoint, ca);
  if (connectionString !== null) {
    const service = blobLibrary().BlobServiceClient.fromConnectionString(connectionString, transport);
    const call = (what: string): StorageCall => ({ account, what });
    return new StorageClient(config, service, call, new PolicyAccess(service, call, transport));
  }
  const service = new (blobLibrary().BlobServiceClient)(endpoint, entraCredential(credential), transport);
  const call = (what: string): StorageCall => ({ account, what, role: STORAGE_ROLE });
  return new StorageClient(config, service, call, new DelegationAccess(service, call));
}

/** The blob endpoint of an account, without the container that its name may end with. */
export function blobEndpointOf({ account, container }: StorageConfig): string {
  return container === undefined ? account : account.slice(0, -`/${container}`.length);
}

/** Where a container of ours is: a container of the account, or a folder of the one that was made beforehand. */
interface Place {
  readonly client: ContainerClient;
  /** Empty, or the folder with its slash. */
  readonly folder: string;
}

/** Blobs of a folder that are deleted at the same time. */
const DELETES_AT_ONCE = 16;

/** How often the account is asked how far it is with a copy, in milliseconds; small blobs are done at once. */
const COPY_POLL = 500;

class StorageClient implements RawStorage {
  readonly account: string;
  readonly home: string | null;
  readonly access: GrantedAccess;
  readonly custody: Custody;
  readonly #service: BlobServiceClient;
  readonly #call: (what: string) => StorageCall;

  constructor(
    { account, container }: StorageConfig,
    service: BlobServiceClient,
    call: (what: string) => StorageCall,
    access: GrantedAccess,
  ) {
    this.account = account;
    this.home = container ?? null;
    this.access = access;
    this.#service = service;
    this.#call = call;
    this.custody = custodyOf(service, call, (name) => this.#place(name));
  }

  async createContainer(name: string): Promise<boolean> {
    const { client, folder } = this.#place(name);
    if (folder !== '') {
      await this.#needContainer(client);
      return false;
    }
    const call = this.#call(`create container ${name}`);
    const create = (): Promise<unknown> => client.create({ abortSignal: deadline() });
    try {
      return (await storageAnswer(call, create, ['ContainerAlreadyExists'])) !== null;
    } catch (error) {
      throw isNotAllowed(error) ? new HubferryError('CONTAINERS_NOT_ALLOWED', error.message) : error;
    }
  }

  async deleteContainer(name: string): Promise<void> {
    const { client, folder } = this.#place(name);
    if (folder !== '') {
      await this.#empty(name);
      return;
    }
    const call = this.#call(`delete container ${name}`);
    const remove = (): Promise<unknown> => client.delete({ abortSignal: deadline() });
    await storageAnswer(call, remove, [404, 'ContainerBeingDeleted']);
  }

  async containerExists(name: string): Promise<boolean> {
    const { client, folder } = this.#place(name);
    if (folder === '') return await this.#isThere(client);
    const call = this.#call(`look at folder ${name}`);
    const pages = client.listBlobsFlat({ prefix: folder }).byPage({ maxPageSize: 1 });
    for await (const page of mapped(call, pages)) if (page.segment.blobItems.length > 0) return true;
    return false;
  }

  /** @throws HubferryError STORAGE_CONTAINER_MISSING */
  async #needContainer(client: ContainerClient): Promise<void> {
    if (await this.#isThere(client)) return;
    throw new HubferryError(
      'STORAGE_CONTAINER_MISSING',
      `${this.account} has no container ${client.containerName}`,
    );
  }

  async #isThere(client: ContainerClient): Promise<boolean> {
    const call = this.#call(`look at container ${client.containerName}`);
    const look = (): Promise<unknown> => client.getProperties({ abortSignal: deadline() });
    return (await storageAnswer(call, look, [404])) !== null;
  }

  /** Deletes the blobs of a folder. */
  async #empty(name: string): Promise<void> {
    const blobs = this.list(name);
    const worker = async (): Promise<void> => {
      for (;;) {
        const { done, value } = await blobs.next();
        if (done === true) return;
        await this.deleteBlob(name, value.name);
      }
    };
    await Promise.all(Array.from({ length: DELETES_AT_ONCE }, worker));
  }

  async *listContainers(prefix: string): AsyncGenerator<string> {
    if (this.home !== null) {
      const call = this.#call('list its folders');
      const folders = this.#service.getContainerClient(this.home).listBlobsByHierarchy('/', { prefix });
      for await (const item of mapped(call, folders)) {
        if (item.kind === 'prefix') yield item.name.slice(0, -1);
      }
      return;
    }
    const call = this.#call('list its containers');
    const pages = this.#service.listContainers({ prefix }).byPage();
    for await (const page of mapped(call, pages)) {
      for (const { name } of page.containerItems) yield name;
    }
  }

  async *list(
    container: string,
    prefix = '',
  ): AsyncGenerator<{ name: string; bytes: number; contentType: string }> {
    const call = this.#call(`list container ${container}`);
    const { client, folder } = this.#place(container);
    const pages = client.listBlobsFlat({ prefix: `${folder}${prefix}` }).byPage();
    for await (const page of mapped(call, pages)) {
      for (const { name, properties } of page.segment.blobItems) {
        const { contentLength = 0, contentType = '' } = properties;
        yield { name: name.slice(folder.length), bytes: contentLength, contentType };
      }
    }
  }

  async size(container: string, blob: string): Promise<number | null> {
    return (await this.facts(container, blob))?.bytes ?? null;
  }

  async facts(container: string, blob: string): Promise<BlobFacts | null> {
    const client = this.#blob(container, blob);
    const call = this.#call(`look at ${container}/${blob}`);
    const answer = await storageAnswer(call, () => client.getProperties({ abortSignal: deadline() }), [404]);
    if (answer === null) return null;
    const { contentLength = 0, contentType = '', etag = '*' } = answer;
    return { bytes: contentLength, contentType, etag };
  }

  async read(container: string, blob: string, range: BlobRange = { offset: 0 }): Promise<BlobBody> {
    return await readBlob(this.#call(`read ${container}/${blob}`), this.#blob(container, blob), range);
  }

  async readText(container: string, blob: string): Promise<string | null> {
    return await textOf(() => this.read(container, blob));
  }

  async readTagged(container: string, blob: string): Promise<{ text: string; etag: string } | null> {
    const call = this.#call(`read ${container}/${blob}`);
    const client = this.#blob(container, blob);
    const read = async (): Promise<{ text: string; etag: string }> => {
      const answer = await client.download(0, undefined, { abortSignal: deadline() });
      const all: Buffer[] = [];
      for await (const chunk of answer.readableStreamBody ?? []) all.push(Buffer.from(chunk));
      return { text: Buffer.concat(all).toString('utf8'), etag: answer.etag ?? '' };
    };
    return await storageAnswer(call, read, [404]);
  }

  async writeText(
    container: string,
    blob: string,
    text: string,
    options: { onlyIfAbsent?: boolean } & BlobCondition = {},
  ): Promise<boolean> {
    return await this.write(container, blob, Buffer.from(text, 'utf8'), options);
  }

  async write(
    container: string,
    blob: string,
    body: Buffer,
    {
      onlyIfAbsent = false,
      contentType = contentTypeOf(blob),
      ...condition
    }: { onlyIfAbsent?: boolean; contentType?: string } & BlobCondition = {},
  ): Promise<boolean> {
    const conditions = { ...conditionsOf(condition), ...(onlyIfAbsent ? { ifNoneMatch: '*' } : {}) };
    const answer = await storageAnswer(
      this.#call(`write ${container}/${blob}`),
      () =>
        this.#blob(container, blob).upload(body, body.length, {
          abortSignal: deadline(),
          blobHTTPHeaders: { blobContentType: contentType },
          conditions,
        }),
      [...(onlyIfAbsent ? ['BlobAlreadyExists', 'ConditionNotMet'] : []), ...faultsOf(condition)],
    );
    return answer !== null;
  }

  writer(
    container: string,
    blob: string,
    {
      blockBytes = BLOCK_BYTES,
      contentType = contentTypeOf(blob),
      series,
    }: { blockBytes?: number; contentType?: string; series?: Buffer } = {},
  ): BlobWriter {
    return new BlockWriter({
      call: this.#call(`write ${container}/${blob}`),
      blob: this.#blob(container, blob),
      contentType,
      blockBytes,
      series,
      deadline,
    });
  }

  async deleteBlob(container: string, blob: string, condition: BlobCondition = {}): Promise<boolean> {
    const call = this.#call(`delete ${container}/${blob}`);
    const conditions = conditionsOf(condition);
    const remove = async (): Promise<true> => {
      const options = { abortSignal: deadline(), conditions };
      await storageAnswer(call, () => this.#blob(container, blob).delete(options), [404]);
      return true;
    };
    return (await storageAnswer(call, remove, faultsOf(condition))) !== null;
  }

  async lease(container: string, blob: string, lease: string): Promise<boolean> {
    const call = this.#call(`lease ${container}/${blob}`);
    const client = this.#blob(container, blob).getBlobLeaseClient(lease);
    const take = (): Promise<unknown> => client.acquireLease(FOR_EVER, { abortSignal: deadline() });
    return (await leaseAnswer(call, take, ['LeaseAlreadyPresent', 404])) !== null;
  }

  async breakLease(container: string, blob: string, etag: string): Promise<void> {
    const call = this.#call(`end the lease of ${container}/${blob}`);
    const client = this.#blob(container, blob).getBlobLeaseClient();
    const options = { abortSignal: deadline(), conditions: { ifMatch: etag } };
    await leaseAnswer(call, () => client.breakLease(0, options), [
      'LeaseNotPresentWithLeaseOperation',
      404,
      412,
    ]);
  }

  async copy(from: BlobPlace, to: BlobPlace): Promise<void> {
    const call = this.#call(`copy ${from.container}/${from.blob} to ${to.container}/${to.blob}`);
    const source = this.#blob(from.container, from.blob).url;
    await storageAnswer(call, async () => {
      const copying = await this.#blob(to.container, to.blob).beginCopyFromURL(source, {
        abortSignal: deadline(),
        intervalInMs: COPY_POLL,
      });
      await copying.pollUntilDone();
    });
  }

  #place(container: string): Place {
    if (this.home === null || !isOwnContainer(container))
      return { client: this.#service.getContainerClient(container), folder: '' };
    return { client: this.#service.getContainerClient(this.home), folder: `${container}/` };
  }

  #blob(container: string, blob: string): BlockBlobClient {
    const { client, folder } = this.#place(container);
    return client.getBlockBlobClient(`${folder}${blob}`);
  }
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  txt: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8',
  html: 'text/html; charset=utf-8',
};

function contentTypeOf(blob: string): string {
  return CONTENT_TYPES[/\.(\w+)$/.exec(blob)?.[1] ?? ''] ?? 'application/octet-stream';
}

/** A lease that does not end by itself, in seconds. */
const FOR_EVER = -1;

function conditionsOf({ lease, etag }: BlobCondition): BlobRequestConditions {
  return {
    ...(lease === undefined ? {} : { leaseId: lease }),
    ...(etag === undefined ? {} : { ifMatch: etag }),
  };
}

/** What is answered where a condition does not hold; a blob that is not there is under no lease. */
function faultsOf({ lease, etag }: BlobCondition): number[] {
  return lease === undefined && etag === undefined ? [] : [412];
}

/** @throws HubferryError LEASE_REFUSED where the account answers, but not as one that knows leases and lets us have them */
async function leaseAnswer<T>(
  call: StorageCall,
  run: () => Promise<T>,
  faults: readonly (number | string)[],
): Promise<T | null> {
  try {
    return await storageAnswer(call, run, faults);
  } catch (error) {
    if (!(error instanceof StorageAnswerError)) throw error;
    const isRefused = error.code === 'STORAGE_REFUSED' || error.status === 501 || isNotAllowed(error);
    throw isRefused ? new HubferryError('LEASE_REFUSED', error.message) : error;
  }
}

/**
 * Whether making a container was refused for want of a right to make any. The other two of the same status are a wrong key,
 * and a firewall.
 */
function isNotAllowed(error: unknown): error is StorageAnswerError {
  if (!(error instanceof StorageAnswerError) || error.status !== 403) return false;
  return error.serviceCode !== 'AuthenticationFailed' && error.serviceCode !== 'AuthorizationFailure';
}

/** The same values; errors of the iteration mapped. */
async function* mapped<T>(call: StorageCall, values: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    throw storageError(call, error);
  }
}
