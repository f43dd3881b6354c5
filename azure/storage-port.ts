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

/** What has to be true of a blob for it to be written or deleted; it is left alone otherwise. */
export interface BlobCondition {
  /** The lease under which it is held. */
  readonly lease?: string;
  /** It is still as it was read: see {@link Storage.readTagged}. */
  readonly etag?: string;
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

/** What an account does with data beside what it is told to, as far as its data plane says. */
export interface Custody {
  /** For how many days it keeps blobs that were deleted or replaced (soft delete); 0: not at all; null: it does not tell. */
  deletedBlobsStay(): Promise<number | null>;
  /** Whether it keeps earlier versions of blobs (versioning), by writing and deleting an empty one in a container. */
  versionsStay(container: string): Promise<boolean>;
  /** For how many days it keeps a container that was just deleted; 0: not at all; null: it does not tell. */
  deletedContainerStays(container: string): Promise<number | null>;
  /** Whether anybody may read the blobs of a container. */
  isPublic(container: string): Promise<boolean>;
}

/** What a hub is to read cannot be sealed. */
export interface ForHub {
  /** Whether a hub is to read it. Left out: no. */
  readonly forHub?: boolean;
}

/**
 * Containers and block blobs of one storage account. Every method throws HubferryError: STORAGE_UNREACHABLE and
 * STORAGE_CONTENDED (worth another try), STORAGE_UNAUTHORIZED, STORAGE_REFUSED (a `StorageAnswerError` where the account
 * answered).
 *
 * Sizes and ranges are those of what was written, however it is kept. Where it is sealed, methods that read also throw
 * KEY_UNKNOWN, and SEAL_BROKEN for what is not as it was written.
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
  readonly custody: Custody;

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
  /** The same of a blob as it is kept, with the tag that changes whenever it is written. */
  readTagged(container: string, blob: string): Promise<{ text: string; etag: string } | null>;
  /**
   * Writes a small blob as UTF-8.
   *
   * @returns false if `onlyIfAbsent` and there is one, which may be one's own, from a call whose reply was lost; or if a
   *   condition does not hold
   */
  writeText(
    container: string,
    blob: string,
    text: string,
    options?: ForHub & { onlyIfAbsent?: boolean } & BlobCondition,
  ): Promise<boolean>;
  /**
   * Writes a blob of any size as blocks of `blockBytes` (4 MiB by default). A second writer of the same data, even at the
   * same time, does no harm: the same data gives the same blocks however it is cut into writes, and sealed data blocks of
   * each writer's own, of which one that comes second is told STORAGE_CONTENDED.
   */
  writer(container: string, blob: string, options?: ForHub & { blockBytes?: number }): BlobWriter;
  /**
   * A writer that puts a blob's sealed form in its place, given its bytes; null where that is not to be done: nothing is
   * sealed, or it is already.
   */
  sealer(container: string, blob: string): Promise<BlobWriter | null>;
  /**
   * A missing blob is fine.
   *
   * @returns false if a condition does not hold
   */
  deleteBlob(container: string, blob: string, condition?: BlobCondition): Promise<boolean>;
  /**
   * Leases a blob for ever; who has the lease already gets it again. While it lasts nobody else can write or delete the blob.
   *
   * @param lease a UUID, chosen by whoever takes it
   * @returns whether it is ours now; false where another lease holds the blob, or there is no blob
   * @throws HubferryError also LEASE_REFUSED
   */
  lease(container: string, blob: string, lease: string): Promise<boolean>;
  /**
   * Ends whatever lease holds a blob, at once, provided that the blob is still as it was read; otherwise nothing happens.
   *
   * @throws HubferryError also LEASE_REFUSED
   */
  breakLease(container: string, blob: string, etag: string): Promise<void>;
  /** Copies a blob within the account; its bytes do not pass this process. */
  copy(from: BlobPlace, to: BlobPlace): Promise<void>;
}

/** What an account says of a blob. */
export interface BlobFacts {
  readonly bytes: number;
  readonly contentType: string;
  /** Of this version of it. */
  readonly etag: string;
}

/** A blob's bytes, or those of a range, and what the account says of the whole; null where the range is empty. */
export interface BlobBody extends AsyncIterable<Buffer> {
  readonly facts: BlobFacts | null;
}

/** Blobs byte by byte as the account keeps them. */
export interface RawStorage extends Omit<Storage, 'list' | 'read' | 'writer' | 'sealer'> {
  list(
    container: string,
    prefix?: string,
  ): AsyncIterable<{ name: string; bytes: number; contentType: string }>;
  /** Null if there is no such blob. */
  facts(container: string, blob: string): Promise<BlobFacts | null>;
  /** @param range with an `etag`: of that version only; STORAGE_CONTENDED where there is another one */
  read(
    container: string,
    blob: string,
    range?: { offset: number; count?: number; etag?: string },
  ): Promise<BlobBody>;
  /** Writes a small blob as `writeText` does. @param contentType left out: that of its name */
  write(
    container: string,
    blob: string,
    bytes: Buffer,
    options?: { onlyIfAbsent?: boolean; contentType?: string } & BlobCondition,
  ): Promise<boolean>;
  /** @param series tells the blocks of this writer from those of others, 6 bytes; left out: it is not to be told */
  writer(
    container: string,
    blob: string,
    options?: { blockBytes?: number; contentType?: string; series?: Buffer },
  ): BlobWriter;
}
