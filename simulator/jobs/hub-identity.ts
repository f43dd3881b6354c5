import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { ServiceError } from '../errors.js';
import { containerRetries, unauthorizedToWrite } from './blobs.js';
import { storageLibrary } from './storage-library.js';

/** The managed identities of a hub: what identityBased jobs reach storage with (§4). */
export class HubIdentity {
  readonly #storage: BlobServiceClient | undefined;
  readonly #users: ReadonlySet<string>;
  /** When a container was first asked for, in simulated time: its role counts from then. */
  readonly #asked = new Map<string, number>();

  /**
   * @param storage connection string of the account in which the identities have their role.
   * @param users ARM ids of user-assigned identities.
   * @throws {TypeError} when the connection string is none.
   */
  constructor(storage?: string, users: readonly string[] = []) {
    this.#users = new Set(users.map((id) => id.toLowerCase()));
    try {
      this.#storage =
        storage === undefined
          ? undefined
          : storageLibrary().BlobServiceClient.fromConnectionString(storage, containerRetries);
    } catch {
      throw new TypeError('identityStorage must be the connection string of a storage account');
    }
  }

  /** @throws {ServiceError} ArgumentInvalid for a user-assigned identity that the hub does not have. */
  checkUser(armId: string): void {
    if (this.#users.has(armId.toLowerCase())) return;
    throw new ServiceError('ArgumentInvalid', `The hub has no user-assigned identity '${armId}'.`);
  }

  /**
   * A container by its bare URI.
   * @param roleDelay milliseconds for which a container that nobody asked for before is refused: a role assignment
   * needs about 30 s to work (§4).
   * @throws {ServiceError} BlobContainerValidationError when the identity has no role there, or not yet.
   */
  container(uri: string, now: number, roleDelay: number): ContainerClient {
    const [bare = uri] = uri.split('?');
    const endpoint = this.#storage?.url.replace(/\/?$/, '/') ?? '';
    const name = bare.slice(endpoint.length).replace(/\/$/, '');
    const since = this.#asked.get(bare) ?? now;
    this.#asked.set(bare, since);
    if (this.#storage === undefined || !bare.startsWith(endpoint) || name === '' || name.includes('/')) {
      throw noRole();
    }
    if (now - since < roleDelay) throw noRole();
    return this.#storage.getContainerClient(name);
  }
}

function noRole(): ServiceError {
  return new ServiceError('BlobContainerValidationError', unauthorizedToWrite);
}
