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

/** Names of the two policies that a job's container has. */
export type GrantName = 'input' | 'output';

/**
 * Containers and block blobs of one storage account. Every method throws HubferryError: STORAGE_UNREACHABLE (worth
 * another try), STORAGE_UNAUTHORIZED, STORAGE_REFUSED (a `StorageAnswerError` where the account answered).
 */
export interface Storage {
  /** The account's blob endpoint, as in the configuration. */
  readonly account: string;

  /** Makes a private container. @returns false if it was there */
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

  /**
   * Sets a stored access policy of a container (others stay as they are) and signs a container URI bound to it. The URI
   * is secret. A new policy may take up to 30 s to become known (Microsoft: "Define a stored access policy"); with `r`
   * among the permissions this waits until it is.
   *
   * @param permissions letters of a container SAS, such as `r` or `rwd`
   */
  grant(container: string, name: GrantName, permissions: string, expiresOn: Date): Promise<string>;
  /** Moves the expiry of all policies of a container, and so of all URIs granted. */
  extend(container: string, expiresOn: Date): Promise<void>;
  /** Removes all policies of a container, so that no URI granted is good any more. A missing container is fine. */
  revoke(container: string): Promise<void>;
}
