import { setTimeout } from 'node:timers/promises';
import {
  BlobServiceClient,
  type BlockBlobClient,
  ContainerClient,
  ContainerSASPermissions,
  type SignedIdentifier,
} from '@azure/storage-blob';
import type { StorageConfig } from '../config/model.js';
import { readBlob } from './blob-reader.js';
import { BLOCK_BYTES, BlockWriter } from './blob-writer.js';
import { StorageAnswerError, type StorageCall, storageAnswer, storageError } from './storage-errors.js';
import type { BlobWriter, GrantName, Storage } from './storage-port.js';

export type { BlobWriter, GrantName, Storage } from './storage-port.js';

/**
 * The library's own retries only bridge a blip: what lasts longer is for Temporal's retry policy, which is visible, gives
 * the worker's slot back while it waits, and can be cancelled. The library's default would hide up to a minute in a call.
 */
const RETRY = { maxTries: 3, retryDelayInMs: 100, maxRetryDelayInMs: 1_000 };

/** Milliseconds for a call that does not stream, tries included; the library has no limit of its own. */
const CALL_TIMEOUT = 60_000;

/** How long a new access policy may take to become known (Microsoft: up to 30 s), in milliseconds, and between looks. */
const POLICY_KNOWN = { within: 45_000, every: 500 };

/** A client of a storage account. Nothing is sent until it is asked for something. */
export function openStorage({ connectionString, account }: StorageConfig): Storage {
  return new StorageClient(
    account,
    BlobServiceClient.fromConnectionString(connectionString, { retryOptions: RETRY }),
  );
}

class StorageClient implements Storage {
  readonly account: string;
  readonly #service: BlobServiceClient;

  constructor(account: string, service: BlobServiceClient) {
    this.account = account;
    this.#service = service;
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

  async grant(container: string, name: GrantName, permissions: string, expiresOn: Date): Promise<string> {
    const call = this.#call(`grant access to container ${container}`);
    const allowed = ContainerSASPermissions.parse(permissions);
    // No start: the clocks of this machine, the storage and the hub differ.
    const policy = {
      id: name,
      accessPolicy: { expiresOn, permissions: allowed.toString() },
    };
    await this.#changePolicies(call, container, (others) => [
      ...others.filter((other) => other.id !== name),
      policy,
    ]);
    const client = this.#service.getContainerClient(container);
    const uri = await client.generateSasUrl({ identifier: name });
    if (allowed.read) await untilKnown(call, uri);
    return uri;
  }

  async extend(container: string, expiresOn: Date): Promise<void> {
    const call = this.#call(`extend the access to container ${container}`);
    await this.#changePolicies(call, container, (policies) =>
      policies.map((policy) => ({ ...policy, accessPolicy: { ...policy.accessPolicy, expiresOn } })),
    );
  }

  async revoke(container: string): Promise<void> {
    const call = this.#call(`revoke the access to container ${container}`);
    const client = this.#service.getContainerClient(container);
    const options = { abortSignal: deadline() };
    await storageAnswer(call, () => client.setAccessPolicy(undefined, [], options), [404]);
  }

  async #changePolicies(
    call: StorageCall,
    container: string,
    change: (policies: SignedIdentifier[]) => SignedIdentifier[],
  ): Promise<void> {
    const client = this.#service.getContainerClient(container);
    await storageAnswer(call, async () => {
      const { signedIdentifiers } = await client.getAccessPolicy({ abortSignal: deadline() });
      await client.setAccessPolicy(undefined, change(signedIdentifiers), { abortSignal: deadline() });
    });
  }

  #blob(container: string, blob: string): BlockBlobClient {
    return this.#service.getContainerClient(container).getBlockBlobClient(blob);
  }

  #call(what: string): StorageCall {
    return { account: this.account, what };
  }
}

function deadline(): AbortSignal {
  return AbortSignal.timeout(CALL_TIMEOUT);
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

/**
 * Waits until a signed URI is taken, so that a hub that is given it does not refuse it: asks for a blob that is not
 * there, which is 404 with the right to read and 403 without.
 */
async function untilKnown(call: StorageCall, uri: string): Promise<void> {
  const blob = new ContainerClient(uri, undefined, { retryOptions: RETRY }).getBlobClient('hubferry-probe');
  const until = Date.now() + POLICY_KNOWN.within;
  for (;;) {
    try {
      await storageAnswer(call, () => blob.getProperties({ abortSignal: deadline() }), [404]);
      return;
    } catch (error) {
      const unknown = error instanceof StorageAnswerError && error.status === 403;
      if (!unknown || Date.now() > until) throw error;
      await setTimeout(POLICY_KNOWN.every);
    }
  }
}
