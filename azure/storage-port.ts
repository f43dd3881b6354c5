/** A blob written piece by piece. What is in it becomes visible at `close`, all at once. */
export interface BlobWriter {
  /**
   * Adds data. Await the answer: it holds back a caller that is faster than the storage.
   *
   * @returns nothing while the data is only buffered
   */
  write(data: string | Buffer): Promise<void> | void;
  /** Bytes given so far. */
  readonly bytes: number;
  /** Sends what is left and replaces the blob as a whole. */
  close(): Promise<void>;
}

/** What a hub is given a job's container for; with something after it that tells jobs in one container apart. */
export type GrantName = 'input' | 'output' | `${'input' | 'output'}-${string}`;

/** A blob, and the container that it is in. */
export interface BlobPlace {
  readonly container: string;
  readonly blob: string;
}

/** What decides how long access lasts, in milliseconds. */
export interface GrantTimes {
  /** How long access should last if it can be extended: `sasLifetime`. */
  readonly lifetime: number;
  /** How long a job may take at most: `jobDeadline`. */
  readonly deadline: number;
}

/**
 * How a hub gets at the container of one job, and how that ends. There are three ways, and callers need not know which:
 * a SAS bound to a stored access policy (with the account's key), a user delegation SAS (under Microsoft Entra ID), and
 * the hub's own identity.
 */
export interface GrantedAccess {
  /** Whether {@link extend} and {@link revoke} do anything; otherwise access ends at its expiry, or with the hub's role. */
  readonly revocable: boolean;
  /** Whether the hub opens containers by its own identity. */
  readonly hubIdentity: boolean;

  /** When access that is granted now shall end, in epoch ms. */
  expiry(now: number, times: GrantTimes): number;
  /**
   * Makes the URI by which a hub may use a container. The URI is secret, unless the hub's own identity opens the container.
   * Access of the same name that was granted before ends if it is revocable. A new stored access policy may take up to
   * 30 s to become known (Microsoft: "Define a stored access policy"); with `r` among the permissions this waits until it is.
   *
   * @param permissions letters of a container SAS, such as `r` or `rwd`
   */
  grant(container: string, name: GrantName, permissions: string, expiresOn: Date): Promise<string>;
  /** Moves the expiry of all access that was granted to a container. Nothing happens where it cannot be moved. */
  extend(container: string, expiresOn: Date): Promise<void>;
  /**
   * Ends all access that was granted to a container; a missing one is fine. Nothing happens where access ends by itself
   * only.
   */
  revoke(container: string): Promise<void>;
}

/**
 * Containers and block blobs of one storage account. Every method throws HubferryError: STORAGE_UNREACHABLE (worth
 * another try), STORAGE_UNAUTHORIZED, STORAGE_REFUSED (a `StorageAnswerError` where the account answered).
 *
 * Where the configuration names a container for everything (`home`), the containers that hubferry would make are folders
 * of it, and nobody needs to know: by these methods they are made, listed and deleted like containers.
 */
export interface Storage {
  /** The account as the configuration names it (see `StorageConfig`). */
  readonly account: string;
  /** The container made beforehand whose folders stand for containers; null: containers are made. */
  readonly home: string | null;
  /** The account's own way to grant access; a hub's jobs use that of `Connections.access`. */
  readonly access: GrantedAccess;

  /**
   * Makes a private container.
   *
   * @returns false if it was there
   * @throws HubferryError also CONTAINERS_NOT_ALLOWED; with a `home` only STORAGE_CONTAINER_MISSING where that is not there
   */
  createContainer(name: string): Promise<boolean>;
  /** A missing container is fine. */
  deleteContainer(name: string): Promise<void>;
  containerExists(name: string): Promise<boolean>;
  /** Names of containers that start with `prefix`. */
  listContainers(prefix: string): AsyncIterable<string>;

  /** Blobs whose names start with `prefix`, by name. */
  list(container: string, prefix?: string): AsyncIterable<{ name: string; bytes: number }>;
  /** Bytes, or null if there is no such blob. */
  size(container: string, blob: string): Promise<number | null>;
  /**
   * A blob's bytes, or those of a range (a range past the end is empty). A connection cut in the middle is taken up where
   * it was, as long as the blob has not changed.
   */
  read(
    container: string,
    blob: string,
    range?: { offset: number; count?: number },
  ): Promise<AsyncIterable<Buffer>>;
  /** A whole blob as UTF-8, or null if there is none. For small ones. */
  readText(container: string, blob: string): Promise<string | null>;
  /**
   * Writes a small blob as UTF-8.
   *
   * @returns false if `onlyIfAbsent` and there is one. It may then be one's own, from a call whose reply was lost.
   */
  writeText(
    container: string,
    blob: string,
    text: string,
    options?: { onlyIfAbsent?: boolean },
  ): Promise<boolean>;
  /**
   * Writes a blob of any size as blocks of `blockBytes` (4 MiB by default). The same data gives the same blocks however it
   * is cut into writes, so that a second writer of the same data, even at the same time, does no harm.
   */
  writer(container: string, blob: string, options?: { blockBytes?: number }): BlobWriter;
  /** A missing blob is fine. */
  deleteBlob(container: string, blob: string): Promise<void>;
  /** Copies a blob within the account; its bytes do not pass this process. */
  copy(from: BlobPlace, to: BlobPlace): Promise<void>;
}
